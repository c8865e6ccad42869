import random
from collections.abc import Callable
from typing import Any

import igraph
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score, homogeneity_score

from simcsp.metrics.clustering import leiden, neighbour_graph, published_leiden
from simcsp.metrics.nmi import Nmi, NmiSettings, cluster, nmi
from simcsp.sequence.sites import ACCEPTOR, DONOR

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Mixture = tuple[FloatArray, IntArray, IntArray]
Leiden = Callable[..., IntArray]

# Numbers of scanpy 1.11.5 (umap-learn 0.5.12, leidenalg 0.12.0, igraph 1.0.0) on the embeddings of `mixture`:
#   adata = anndata.AnnData(embeddings)
#   sc.pp.pca(adata, n_comps=128, random_state=0)
#   sc.pp.neighbors(adata, use_rep="X_pca")               -> adata.obsp["connectivities"]
#   sc.tl.leiden(adata, random_state=s) for s in 0 … 7    -> clusters, and NMI as sklearn has it
SCANPY_NNZ = 13710
SCANPY_SUM = 4187.463987
SCANPY_SUM_OF_SQUARES = 2275.093294
SCANPY_ROW_0 = {18: 0.161186, 28: 0.178303, 74: 0.469219, 107: 0.082024, 411: 1.0, 597: 0.232956}
SCANPY_CLUSTERS = (5, 7, 8, 6, 6, 6, 7, 6)
SCANPY_DONOR = (0.103782, 0.118124, 0.143201, 0.189157, 0.135783, 0.183688, 0.156972, 0.158542)
SCANPY_ACCEPTOR = (0.447621, 0.466455, 0.432971, 0.501575, 0.393093, 0.452443, 0.403582, 0.427909)


@pytest.fixture(scope="module")
def mixture() -> Mixture:
    """Labels that the embeddings show weakly in donors and better in acceptors."""
    rng = np.random.default_rng(2023)
    labels, site_types = rng.integers(0, 2, 600), rng.integers(0, 2, 600)
    embeddings = rng.normal(size=(600, 160)) * np.linspace(2, 0.5, 160)
    embeddings[:, 0] += 6.0 * site_types
    embeddings[:, 1] += 5.0 * labels
    embeddings[:, 2] += 5.0 * labels * site_types
    return embeddings, labels, site_types


@pytest.fixture(scope="module")
def graph(mixture: Mixture) -> sparse.csr_matrix:
    return neighbour_graph(mixture[0], components=128, neighbours=15)


@pytest.fixture(scope="module")
def karate_club() -> sparse.csr_matrix:
    return sparse.csr_matrix(np.array(igraph.Graph.Famous("Zachary").get_adjacency().data, dtype=np.float32))


def blobs(per_site: int) -> Mixture:
    """Blobs of 40 rows far from each other, ``per_site`` of them per site type, each with one label."""
    number = np.repeat(np.arange(2 * per_site), 40)
    embeddings = np.random.default_rng(0).normal(size=(number.size, 24)) + 40 * np.eye(24)[number]
    return embeddings, number % 2, np.where(number < per_site, DONOR, ACCEPTOR)


def scores(result: Nmi) -> tuple[float, ...]:
    return result.value, result.donor, result.acceptor, result.ami, result.clusters, result.seed_sd


def test_neighbour_weights_match_scanpy(graph: sparse.csr_matrix) -> None:
    assert graph.nnz == SCANPY_NNZ
    assert graph.sum(dtype=np.float64) == pytest.approx(SCANPY_SUM, rel=1e-5)
    assert np.square(graph.data, dtype=np.float64).sum() == pytest.approx(SCANPY_SUM_OF_SQUARES, rel=1e-5)
    assert {j: graph[0, j] for j in SCANPY_ROW_0} == pytest.approx(SCANPY_ROW_0, abs=1e-5)


def test_published_recipe_agrees_with_scanpy_within_its_seed_noise(mixture: Mixture) -> None:
    result = nmi(*mixture, NmiSettings(published=True, seeds=4), seed=0)
    for ours, theirs in (
        (result.donor, SCANPY_DONOR),
        (result.acceptor, SCANPY_ACCEPTOR),
        (result.clusters, SCANPY_CLUSTERS),
    ):
        assert abs(ours - np.mean(theirs)) < 2 * np.std(theirs, ddof=1) / np.sqrt(4)


def test_default_recipe_agrees_with_the_published_one_within_seed_noise(mixture: Mixture) -> None:
    result = nmi(*mixture, NmiSettings(seeds=8), seed=0)
    theirs = np.add(SCANPY_DONOR, SCANPY_ACCEPTOR) / 2
    assert abs(result.value - theirs.mean()) < theirs.std(ddof=1)
    assert abs(result.clusters - np.mean(SCANPY_CLUSTERS)) < 1


def test_published_setting_chooses_the_published_leiden(mixture: Mixture, graph: sparse.csr_matrix) -> None:
    published, default = (cluster(mixture[0], NmiSettings(published=choice), seed=5) for choice in (True, False))
    assert np.array_equal(published, published_leiden(graph, seed=5))
    assert np.array_equal(default, leiden(graph, seed=5))
    assert not np.array_equal(published, default)


def test_weights_are_symmetric_with_an_empty_diagonal(graph: sparse.csr_matrix) -> None:
    assert abs(graph - graph.T).max() == 0
    assert not graph.diagonal().any()
    assert 0 < graph.data.min() <= graph.data.max() <= 1


def test_duplicate_rows_are_each_others_neighbours_and_not_their_own() -> None:
    rows = np.repeat(np.random.default_rng(0).normal(size=(10, 5)), 4, axis=0)
    weights = neighbour_graph(rows, components=128, neighbours=4)
    assert not weights.diagonal().any()
    assert weights[0, [1, 2, 3]].toarray().ravel().tolist() == [1.0, 1.0, 1.0]
    assert weights.nnz == 10 * 4 * 3


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda x: np.pad(x, ((0, 0), (0, 500))), id="more dimensions than rows"),
        pytest.param(lambda x: x + 1e5, id="a large common offset"),
        pytest.param(lambda x: x[:, ::-1], id="rotated"),
    ],
)
def test_weights_depend_on_distances_only(
    mixture: Mixture, graph: sparse.csr_matrix, change: Callable[[FloatArray], FloatArray]
) -> None:
    changed = neighbour_graph(change(mixture[0]), components=128, neighbours=15)
    assert abs(changed - graph).max() < 1e-4


def test_single_precision_with_a_large_offset_keeps_its_neighbours(mixture: Mixture) -> None:
    shifted = (mixture[0] + 1e3).astype(np.float32)
    weights = neighbour_graph(shifted, components=160, neighbours=15)
    exact = neighbour_graph(shifted.astype(np.float64), components=160, neighbours=15)
    assert abs(weights - exact).max() < 1e-6


def test_components_beyond_the_first_are_left_out() -> None:
    rng = np.random.default_rng(0)
    signal = np.column_stack([rng.normal(size=(80, 2)) * 9, np.zeros((80, 3))])
    noise = np.column_stack([np.zeros((80, 2)), rng.normal(size=(80, 3))])
    kept = neighbour_graph(signal + noise, components=2, neighbours=6)
    assert kept.nnz == pytest.approx(neighbour_graph(signal, components=5, neighbours=6).nnz, abs=20)
    assert abs(kept - neighbour_graph(signal + noise, components=5, neighbours=6)).max() > 0.1


@pytest.mark.parametrize("find", [leiden, published_leiden])
def test_leiden_finds_the_best_partition_of_the_karate_club(karate_club: sparse.csr_matrix, find: Leiden) -> None:
    # The largest modularity that 34 members allow is 0.4198, with four groups (Brandes et al. 2008).
    club = igraph.Graph.Famous("Zachary")
    best = max((find(karate_club, seed=seed) for seed in range(10)), key=lambda p: club.modularity(p.tolist()))
    assert club.modularity(best.tolist()) == pytest.approx(0.4198, abs=5e-5)
    assert np.unique(best).tolist() == [0, 1, 2, 3]


def test_higher_resolution_gives_more_clusters(graph: sparse.csr_matrix) -> None:
    few, many = (leiden(graph, seed=0, resolution=resolution).max() + 1 for resolution in (0.3, 3.0))
    assert few < min(SCANPY_CLUSTERS)
    assert many > 2 * max(SCANPY_CLUSTERS)


def test_weights_decide_the_clusters() -> None:
    # A ring of four nodes is cut across its two light edges.
    ring = np.array([[0, 9, 0, 1], [9, 0, 1, 0], [0, 1, 0, 9], [1, 0, 9, 0]], dtype=np.float32)
    for turn in (0, 1):
        turned = sparse.csr_matrix(np.roll(ring, turn, axis=(0, 1)))
        expected = np.roll([0, 0, 1, 1], turn)
        for find in (leiden, published_leiden):
            found = find(turned, seed=0)
            assert (found == found[0]).tolist() == (expected == expected[0]).tolist()


@pytest.mark.parametrize("per_site", [2, 4, 8])
def test_pure_clusters_reach_the_ceiling_of_their_number(per_site: int) -> None:
    result = nmi(*blobs(per_site), NmiSettings(), seed=0)
    assert result.clusters == 2 * per_site
    ceiling = 2 / (1 + np.log2(per_site))
    assert (result.value, result.donor, result.acceptor) == pytest.approx((ceiling, ceiling, ceiling))
    assert result.seed_sd == 0


def test_ami_is_that_of_sklearn_averaged_over_site_types(mixture: Mixture) -> None:
    _, labels, site_types = mixture
    result = nmi(*mixture, NmiSettings(seeds=1), seed=0)
    rows = [site_types == site_type for site_type in (DONOR, ACCEPTOR)]
    each = [adjusted_mutual_info_score(labels[row], result.assignment[row]) for row in rows]
    assert result.ami == pytest.approx(np.mean(each))
    assert result.ami < result.value


@pytest.mark.parametrize(("name", "score"), [("ari", adjusted_rand_score), ("homogeneity", homogeneity_score)])
def test_companions_are_those_of_sklearn_averaged_over_site_types(
    mixture: Mixture, name: str, score: Callable[..., float]
) -> None:
    _, labels, site_types = mixture
    result = nmi(*mixture, NmiSettings(seeds=1), seed=0)
    rows = [site_types == site_type for site_type in (DONOR, ACCEPTOR)]
    assert getattr(result, name) == pytest.approx(np.mean([score(labels[r], result.assignment[r]) for r in rows]))


def test_homogeneity_asks_for_pure_clusters_and_not_for_few() -> None:
    few, many = (nmi(*blobs(per_site), NmiSettings(seeds=1), seed=0) for per_site in (2, 8))
    assert (few.homogeneity, many.homogeneity) == pytest.approx((1, 1))
    assert many.value < few.value / 1.9


def test_scores_have_the_names_of_the_tables(mixture: Mixture) -> None:
    result = nmi(*mixture, NmiSettings(seeds=2), seed=0)
    scores = result.scores()
    assert list(scores) == [
        "nmi", "nmi_donor", "nmi_acceptor", "nmi_seed_sd", "ami", "ari", "homogeneity", "clusters",
    ]  # fmt: skip
    assert (scores["nmi"], scores["nmi_seed_sd"], scores["ari"]) == (result.value, result.seed_sd, result.ari)


def test_random_labels_are_near_zero(mixture: Mixture) -> None:
    embeddings, _, site_types = mixture
    result = nmi(embeddings, np.random.default_rng(9).integers(0, 2, 600), site_types, NmiSettings(), seed=0)
    assert result.value < 0.02
    assert abs(result.ami) < 0.02


def test_names_of_labels_do_not_matter(mixture: Mixture) -> None:
    embeddings, labels, site_types = mixture
    settings = NmiSettings(seeds=2)
    renamed = nmi(embeddings, 7 - 3 * labels, site_types, settings, seed=0)
    assert scores(renamed) == pytest.approx(scores(nmi(embeddings, labels, site_types, settings, seed=0)))


@pytest.mark.parametrize("published", [False, True])
def test_seed_decides_the_result(mixture: Mixture, published: bool) -> None:
    settings = NmiSettings(seeds=1, published=published)
    first, again, other = (nmi(*mixture, settings, seed=seed) for seed in (0, 0, 1))
    assert (first.value, first.ami) == (again.value, again.ami)
    assert np.array_equal(first.assignment, again.assignment)
    assert not np.array_equal(first.assignment, other.assignment)


def test_seeds_are_averaged(mixture: Mixture) -> None:
    both = nmi(*mixture, NmiSettings(seeds=2), seed=3)
    singles = [nmi(*mixture, NmiSettings(seeds=1), seed=seed) for seed in (3, 4)]
    for name in ("value", "donor", "acceptor", "ami", "clusters"):
        assert getattr(both, name) == pytest.approx(np.mean([getattr(single, name) for single in singles]))
    assert both.value == pytest.approx((both.donor + both.acceptor) / 2)
    assert both.seed_sd == pytest.approx(np.std([single.value for single in singles], ddof=1))
    assert np.isnan(singles[0].seed_sd)
    assert np.array_equal(both.assignment, cluster(mixture[0], NmiSettings(), seed=3))


@pytest.mark.parametrize("find", [leiden, published_leiden])
def test_random_generators_of_the_process_are_left_alone(karate_club: sparse.csr_matrix, find: Leiden) -> None:
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002
    expected = random.random(), np.random.random()  # noqa: NPY002
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002
    find(karate_club, seed=0)
    assert (random.random(), np.random.random()) == expected  # noqa: NPY002


def test_igraph_draws_from_python_again_after_leiden(karate_club: sparse.csr_matrix) -> None:
    def drawn_after(seed: int) -> list[tuple[int, int]]:
        leiden(karate_club, seed=seed)
        random.seed(7)
        return [tuple(edge) for edge in igraph.Graph.Erdos_Renyi(n=30, p=0.2).get_edgelist()]

    assert drawn_after(1) == drawn_after(2)


@pytest.mark.parametrize(("missing", "present"), [(DONOR, "acceptor"), (ACCEPTOR, "donor")])
def test_an_absent_site_type_is_nan_and_the_other_counts(missing: int, present: str) -> None:
    embeddings, labels, site_types = blobs(4)
    rows = site_types != missing
    result = nmi(embeddings[rows], labels[rows], site_types[rows], NmiSettings(seeds=2), seed=0)
    assert result.value == getattr(result, present) == pytest.approx(2 / 3)
    assert np.isnan(result.donor if missing == DONOR else result.acceptor)
    assert 0 < result.ami < 1


def test_a_site_type_with_one_label_is_as_absent() -> None:
    embeddings, labels, site_types = blobs(4)
    labels[site_types == DONOR] = 1
    result = nmi(embeddings, labels, site_types, NmiSettings(seeds=1), seed=0)
    assert np.isnan(result.donor)
    assert result.value == pytest.approx(2 / 3)


def test_collapsed_embeddings_are_one_cluster_with_nmi_zero() -> None:
    labels, site_types = np.arange(40) % 2, np.arange(40) // 20
    result = nmi(np.full((40, 8), 0.3, dtype=np.float16), labels, site_types, NmiSettings(), seed=0)
    assert (result.value, result.ami, result.clusters) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"labels": np.zeros(6, dtype=np.int64)}, "neither donors nor acceptors have two labels"),
        ({"site_types": np.full(6, 2)}, "values other than 0"),
        ({"site_types": np.zeros(5, dtype=np.int64)}, "are not"),
        ({"embeddings": np.full((6, 2), np.inf)}, "not finite"),
    ],
)
def test_input_without_an_nmi_is_refused(changes: dict[str, NDArray[Any]], problem: str) -> None:
    sound = {"embeddings": np.eye(6), "labels": np.arange(6) % 2, "site_types": np.zeros(6, dtype=np.int64)}
    with pytest.raises(ValueError, match=problem):
        nmi(**(sound | changes), settings=NmiSettings(), seed=0)


@pytest.mark.parametrize(
    "nonsense",
    [
        {"components": 0},
        {"neighbours": 1},
        {"resolution": 0.0},
        {"resolution": float("nan")},
        {"seeds": 0},
        {"published": True, "resolution": 0.5},
        {"published": True, "components": 64},
    ],
)
def test_settings_refuse_nonsense(nonsense: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be|has 128 components"):
        NmiSettings(**nonsense)
