from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import pearsonr, rankdata, spearmanr
from sklearn.metrics.pairwise import paired_cosine_distances

from simcsp.metrics.sccs import ceiling, cosine_similarities, draw_pairs, sccs

FloatArray = NDArray[np.float64]


def directions(angles: FloatArray) -> FloatArray:
    return np.column_stack([np.cos(angles), np.sin(angles)])


@settings(deadline=None)
@given(n=st.integers(0, 41), seed=st.integers(0, 99))
def test_every_row_is_in_at_most_one_pair(n: int, seed: int) -> None:
    pairs = draw_pairs(n, np.random.default_rng(seed))
    assert pairs.shape == (n // 2, 2)
    assert np.unique(pairs).size == pairs.size
    assert set(pairs.ravel().tolist()) <= set(range(n))


def test_four_pairs_worked_by_hand() -> None:
    # Similarities .9 .3 .6 .1 have ranks 4 2 3 1; pairs 1 and 2 share a label, mid-ranks 3.5 3.5 1.5 1.5.
    # Deviations from 2.5: (1.5 -.5 .5 -1.5) and (1 1 -1 -1), so 2 / (√5 · √4) = 0.4472.
    second = draw_pairs(8, np.random.default_rng(3))[:, 1]
    angles, labels = np.zeros(8), np.zeros(8, dtype=np.int64)
    angles[second] = np.arccos([0.9, 0.3, 0.6, 0.1])
    labels[second] = [0, 0, 1, 1]
    assert sccs(directions(angles), labels, seed=3).value == pytest.approx(2 / np.sqrt(20))


def test_value_equals_pearson_correlation_of_ranks() -> None:
    rng = np.random.default_rng(0)
    embeddings, labels = rng.normal(size=(501, 8)), rng.integers(0, 3, 501)
    embeddings[:, 0] += labels
    first, second = draw_pairs(501, np.random.default_rng(5)).T
    similarity = 1 - paired_cosine_distances(embeddings[first], embeddings[second])
    expected = pearsonr(rankdata(similarity), rankdata(labels[first] == labels[second])).statistic
    assert expected > 0.1
    assert sccs(embeddings, labels, seed=5).value == pytest.approx(expected)


@pytest.mark.parametrize("true", [1, 2, 3, 5])
def test_ceiling_is_the_best_of_all_untied_rankings(true: int) -> None:
    best = max(
        spearmanr(range(6), [place in chosen for place in range(6)]).statistic
        for chosen in combinations(range(6), true)
    )
    assert ceiling(np.arange(6) < true) == pytest.approx(best)


def test_ceiling_of_many_balanced_pairs_is_half_the_root_of_three() -> None:
    assert ceiling(np.arange(100_000) % 2 == 0) == pytest.approx(np.sqrt(3) / 2, abs=1e-9)


def test_separated_labels_reach_the_ceiling() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 400)
    result = sccs(directions(labels * np.pi / 2 + rng.uniform(0, 0.1, 400)), labels, seed=0)
    assert result.value == pytest.approx(result.ceiling)
    assert result.ceiling == pytest.approx(0.866, abs=0.005)


def test_labels_without_relation_to_the_embeddings_are_near_zero() -> None:
    rng = np.random.default_rng(2)
    assert abs(sccs(rng.normal(size=(4000, 16)), rng.integers(0, 2, 4000), seed=0).value) < 3 / np.sqrt(2000)


def test_length_of_embeddings_does_not_matter() -> None:
    rng = np.random.default_rng(4)
    embeddings, labels = rng.normal(size=(200, 6)), rng.integers(0, 2, 200)
    scaled = embeddings * rng.uniform(0.1, 10, size=(200, 1))
    assert sccs(scaled, labels, seed=0).value == pytest.approx(sccs(embeddings, labels, seed=0).value)


def test_half_precision_is_computed_in_double() -> None:
    rng = np.random.default_rng(4)
    embeddings, labels = (rng.normal(size=(200, 6)) * 300).astype(np.float16), rng.integers(0, 2, 200)
    assert sccs(embeddings, labels, seed=0) == sccs(embeddings.astype(np.float64), labels, seed=0)


def test_seed_decides_the_pairs() -> None:
    rng = np.random.default_rng(6)
    embeddings, labels = rng.normal(size=(100, 6)), rng.integers(0, 2, 100)
    assert sccs(embeddings, labels, seed=1) == sccs(embeddings, labels, seed=1)
    assert sccs(embeddings, labels, seed=1) != sccs(embeddings, labels, seed=2)


def test_collapsed_embeddings_have_value_zero() -> None:
    rng = np.random.default_rng(0)
    one_direction = np.outer(rng.uniform(0.1, 9, 60), rng.normal(size=33))
    assert sccs(one_direction, rng.integers(0, 2, 60), seed=0).value == 0.0


def test_a_zero_vector_has_similarity_zero() -> None:
    assert cosine_similarities(np.zeros((1, 3)), np.ones((1, 3))).tolist() == [0.0]


def test_one_label_is_refused() -> None:
    with pytest.raises(ValueError, match="all 5 pairs of windows share a label"):
        sccs(np.eye(10), np.ones(10, dtype=np.int64), seed=0)


def test_pairs_that_all_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="all 5 pairs of windows have different labels"):
        sccs(np.eye(10), np.arange(10), seed=0)


def test_values_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        sccs(np.array([[np.nan], [1.0]]), np.array([0, 1]), seed=0)


def test_shapes_that_disagree_are_refused() -> None:
    with pytest.raises(ValueError, match=r"are not \(n, d\) and \(n,\)"):
        sccs(np.eye(4), np.arange(3), seed=0)
