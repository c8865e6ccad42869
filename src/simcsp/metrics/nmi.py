"""NMI: how far clusters of the embeddings, found without labels, agree with the labels.

The embeddings of all sites are clustered together: PCA, nearest neighbours, UMAP's fuzzy weights, Leiden. The
normalised mutual information (arithmetic) of clusters and labels is taken within donors and within acceptors, as
telling a donor from an acceptor is no merit. It lies in [0, 1].

The recipe is that of SpliceBERT (Chen et al. 2024), minus its noise, and averaged over several Leiden seeds. NMI
rewards few clusters as much as pure ones: K equal and pure clusters per site type reach 2 / (1 + log2 K) only. So
what it hides is reported with it: the number of clusters, AMI and ARI, which correct for chance, and homogeneity,
which asks for pure clusters and not for few.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    adjusted_mutual_info_score,
    adjusted_rand_score,
    homogeneity_score,
    normalized_mutual_info_score,
)

from simcsp.metrics.clustering import leiden, neighbour_graph, published_leiden
from simcsp.sequence.sites import ACCEPTOR, DONOR

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class NmiSettings:
    """How NMI clusters.

    Attributes:
        components: principal components that distances are measured in, where there are as many.
        neighbours: nearest neighbours of each row, itself included.
        resolution: of Leiden; more gives more clusters.
        seeds: Leiden runs that are averaged.
        published: Leiden as scanpy 1.8.2 ran it for SpliceBERT (the leidenalg package on a directed graph). Up
            to 80 times slower, and it finds partitions of lower modularity; the other fields must have the
            published values, but for `seeds`: published was one run with seed 0.
    """

    components: int = 128
    neighbours: int = 15
    resolution: float = 1.0
    seeds: int = 3
    published: bool = False

    def __post_init__(self) -> None:
        if self.components < 1 or self.seeds < 1:
            raise ValueError("components and seeds must be at least 1")
        if self.neighbours < 2:
            raise ValueError("neighbours must be at least 2: a row counts as its own first neighbour")
        if not 0 < self.resolution < float("inf"):
            raise ValueError("resolution must be above 0")
        if self.published and (self.components, self.neighbours, self.resolution) != (128, 15, 1.0):
            raise ValueError("the published NMI has 128 components, 15 neighbours and resolution 1")


@dataclass(frozen=True, kw_only=True)
class Nmi:
    """A measured NMI; every number is an average over Leiden seeds.

    Attributes:
        value: mean of `donor` and `acceptor`, or the one that is defined.
        donor: NMI within donors; nan if they have fewer than two labels, or there are none.
        acceptor: NMI within acceptors, likewise.
        ami: adjusted mutual information, averaged over site types as `value` is.
        ari: adjusted Rand index, likewise.
        homogeneity: share of the labels' entropy that the clusters explain, likewise; 1 where they are pure.
        clusters: number of clusters.
        seed_sd: standard deviation over seeds of `value`; nan for one seed.
        assignment: ``(n,)`` cluster of each row under the first seed.
    """

    value: float
    donor: float
    acceptor: float
    ami: float
    ari: float
    homogeneity: float
    clusters: float
    seed_sd: float
    assignment: IntArray

    def scores(self) -> dict[str, float]:
        """All numbers by the names they have in tables."""
        return {
            "nmi": self.value,
            "nmi_donor": self.donor,
            "nmi_acceptor": self.acceptor,
            "nmi_seed_sd": self.seed_sd,
            "ami": self.ami,
            "ari": self.ari,
            "homogeneity": self.homogeneity,
            "clusters": self.clusters,
        }


def _clusterings(embeddings: NDArray[np.floating], settings: NmiSettings, seeds: Iterable[int]) -> list[IntArray]:
    """One clustering per seed, on one graph. Equal rows have no nearest neighbours: they are one cluster."""
    if (embeddings == embeddings[:1]).all():
        return [np.zeros(embeddings.shape[0], dtype=np.int64) for _ in seeds]
    graph = neighbour_graph(embeddings, components=settings.components, neighbours=settings.neighbours)
    if settings.published:
        return [published_leiden(graph, seed=seed) for seed in seeds]
    return [leiden(graph, seed=seed, resolution=settings.resolution) for seed in seeds]


def cluster(embeddings: NDArray[np.floating], settings: NmiSettings, seed: int) -> IntArray:
    """Cluster rows as `nmi` does under its first seed: ``(n, d)`` → ``(n,)`` cluster numbers from 0."""
    return _clusterings(embeddings, settings, [seed])[0]


def _by_site_type(
    score: Callable[[IntArray, IntArray], float],
    labels: NDArray[np.integer],
    site_types: NDArray[np.integer],
    assignment: IntArray,
) -> FloatArray:
    """Score within donors and within acceptors, ``(2,)``; nan where there are not two labels to tell apart."""
    scores = np.full(2, np.nan)
    for place, site_type in enumerate((DONOR, ACCEPTOR)):
        rows = site_types == site_type
        if np.unique(labels[rows]).size > 1:
            scores[place] = score(labels[rows], assignment[rows])
    return scores


def _refuse_undefined(
    embeddings: NDArray[np.floating], labels: NDArray[np.integer], site_types: NDArray[np.integer]
) -> None:
    if embeddings.ndim != 2 or not labels.shape == site_types.shape == embeddings.shape[:1]:
        raise ValueError("embeddings, labels and site_types are not (n, d), (n,) and (n,)")
    if not np.isin(site_types, (DONOR, ACCEPTOR)).all():
        raise ValueError(f"site_types holds values other than {DONOR} (donor) and {ACCEPTOR} (acceptor)")
    if not np.isfinite(embeddings).all():
        raise ValueError("NMI is undefined: an embedding holds a value that is not finite")
    if all(np.unique(labels[site_types == kind]).size < 2 for kind in (DONOR, ACCEPTOR)):
        raise ValueError("NMI is undefined: neither donors nor acceptors have two labels")


def nmi(
    embeddings: NDArray[np.floating],
    labels: NDArray[np.integer],
    site_types: NDArray[np.integer],
    settings: NmiSettings,
    seed: int,
) -> Nmi:
    """Measure NMI on one joint clustering per Leiden seed ``seed``, ``seed + 1``, ….

    Embeddings that are all equal are one cluster, and their NMI is 0.

    Args:
        embeddings: ``(n, d)``.
        labels: ``(n,)``, for instance 1 for splice sites and 0 for decoys.
        site_types: ``(n,)`` of `DONOR` and `ACCEPTOR`.
        settings: of the clustering.
        seed: the first Leiden seed.

    Raises:
        ValueError: if shapes disagree, a site type is unknown, a value is not finite, or neither donors nor
            acceptors have two labels.
    """
    _refuse_undefined(embeddings, labels, site_types)
    runs = _clusterings(embeddings, settings, range(seed, seed + settings.seeds))

    def measured(score: Callable[[IntArray, IntArray], float]) -> FloatArray:
        """``(seeds, 2)`` scores within donors and within acceptors."""
        return np.array([_by_site_type(score, labels, site_types, run) for run in runs])

    scores = measured(normalized_mutual_info_score)
    per_seed = np.nanmean(scores, axis=1)
    donor, acceptor = scores.mean(axis=0)
    return Nmi(
        value=float(per_seed.mean()),
        donor=float(donor),
        acceptor=float(acceptor),
        ami=float(np.nanmean(measured(adjusted_mutual_info_score))),
        ari=float(np.nanmean(measured(adjusted_rand_score))),
        homogeneity=float(np.nanmean(measured(homogeneity_score))),
        clusters=float(np.mean([np.unique(run).size for run in runs])),
        seed_sd=float(per_seed.std(ddof=1)) if settings.seeds > 1 else float("nan"),
        assignment=runs[0],
    )
