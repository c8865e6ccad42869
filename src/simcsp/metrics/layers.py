"""SCCS, NMI and what goes with them for every layer of an encoder, pooled in every way.

Shapes: ``n`` windows, ``L`` hidden states, the embedding layer among them, ``P`` width of a pooled one.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simcsp.metrics.mixture import cross_fitted_mixture
from simcsp.metrics.nmi import NmiSettings, nmi
from simcsp.metrics.probe import linear_probe
from simcsp.metrics.sccs import sccs

Floats = NDArray[np.float32]
MIXTURE = "mixture"


class Sites(NamedTuple):
    """What is known of the windows, ``(n,)`` each."""

    label: NDArray[np.integer]
    site_type: NDArray[np.integer]
    group: NDArray[np.str_]


def embedding_scores(vectors: NDArray[np.floating], sites: Sites, settings: NmiSettings, seed: int) -> dict[str, float]:
    """SCCS, NMI with its companions, and the linear probe's AUROC of ``(n, P)`` embeddings, by name."""
    return {
        "sccs": sccs(vectors, sites.label, seed).value,
        **nmi(vectors, sites.label, sites.site_type, settings, seed).scores(),
        **linear_probe(vectors, *sites, seed=seed),
    }


def layer_scores(
    states: Mapping[str, Floats], sites: Sites, settings: NmiSettings, seed: int
) -> Iterator[dict[str, object]]:
    """Score every hidden state, and the learnt mixture of all, under each pooling.

    Args:
        states: pooling → ``(n, L, P)``.
        sites: of the windows.
        settings: of NMI.
        seed: of pairs, clusters and folds.

    Yields:
        ``layer`` (0 is the embedding, or ``mixture``), ``pooling``, and what `embedding_scores` gives. A mixture also
        has ``weights``, those of the layers, and is left out where there are too few windows to learn it.
    """
    for pooling, pooled in states.items():
        for layer in range(pooled.shape[1]):
            scores = embedding_scores(pooled[:, layer], sites, settings, seed)
            yield {"layer": str(layer), "pooling": pooling, **scores}
        mixed = cross_fitted_mixture(pooled, *sites, seed=seed)
        if mixed is not None:
            scores = embedding_scores(mixed[0], sites, settings, seed)
            yield {"layer": MIXTURE, "pooling": pooling, **scores, "weights": " ".join(f"{w:.3f}" for w in mixed[1])}
