"""SCCS: how far windows of one label lie in one direction of the embedding space.

SCCS is the Spearman correlation, over pairs of windows, between the cosine similarity of their embeddings and
whether they share a label. It lies in [-1, 1]; 0 is chance, and an indicator with two values keeps it well below
1 (see `ceiling`). Every window is in at most one pair (the pairs "S3" of SimCSP, Stull & Oluwadare 2023). Cosine
only: the published number took the largest of four similarities.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_ROUNDING = 1e-12  # cosine similarities of one and the same direction differ by less than this


class Sccs(NamedTuple):
    """A measured SCCS.

    Attributes:
        value: the correlation.
        ceiling: the largest value that pairs with as many shared labels can have; print it beside the value.
    """

    value: float
    ceiling: float


def draw_pairs(n: int, rng: np.random.Generator) -> IntArray:
    """Pair ``n`` rows at random, each row at most once: ``(n // 2, 2)`` row numbers; an odd one is left out."""
    return rng.permutation(n)[: n - n % 2].reshape(-1, 2)


def cosine_similarities(first: NDArray[np.floating], second: NDArray[np.floating]) -> FloatArray:
    """Cosine similarity of each row with its partner: two ``(n, d)`` → ``(n,)``; 0 where a vector is zero.

    >>> cosine_similarities(np.array([[3.0, 0.0]]), np.array([[1.0, 1.0]])).round(4).tolist()
    [0.7071]
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    products = np.einsum("nd,nd->n", a, b)
    return np.asarray(np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0))


def ceiling(shared: NDArray[np.bool_]) -> float:
    """Largest Spearman correlation of an indicator with values that have no ties.

    Perfect separation gives the ranks 1 … n, of variance (n² - 1) / 12, and the two groups' mean ranks lie n/2
    apart, whatever the share p of true entries. The correlation is then √(p (1 - p)) · (n/2) over the ranks'
    standard deviation, that is √(3 p (1 - p)) · n / √(n² - 1): 0.866 for many pairs, half of them true. Only
    tied similarities can lie above it.

    >>> round(ceiling(np.arange(1000) < 500), 3)
    0.866
    """
    n, p = shared.size, float(shared.mean())
    return float(np.sqrt(3 * p * (1 - p) / (1 - n**-2)))


def sccs(embeddings: NDArray[np.floating], labels: NDArray[np.integer], seed: int) -> Sccs:
    """Measure SCCS on random pairs.

    Similarities that are all equal, as of collapsed embeddings, have no rank correlation: their value is 0.

    Args:
        embeddings: ``(n, d)``; computed with in float64, whatever the type.
        labels: ``(n,)``; two windows share a label where these are equal.
        seed: of the pairs.

    Raises:
        ValueError: if shapes disagree, a value is not finite, or the drawn pairs are all of one kind.
    """
    if embeddings.ndim != 2 or labels.shape != embeddings.shape[:1]:
        raise ValueError(f"embeddings {embeddings.shape} and labels {labels.shape} are not (n, d) and (n,)")
    if not np.isfinite(embeddings).all():
        raise ValueError("SCCS is undefined: an embedding holds a value that is not finite")
    first, second = draw_pairs(labels.size, np.random.default_rng(seed)).T
    shared = labels[first] == labels[second]
    if shared.all() or not shared.any():
        kind = "share a label" if shared.size and shared.all() else "have different labels"
        raise ValueError(f"SCCS is undefined: all {shared.size} pairs of windows {kind}")
    similarities = cosine_similarities(embeddings[first], embeddings[second])
    if np.ptp(similarities) < _ROUNDING:
        return Sccs(0.0, ceiling(shared))
    return Sccs(float(spearmanr(similarities, shared).statistic), ceiling(shared))
