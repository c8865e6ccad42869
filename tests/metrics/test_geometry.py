from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.distance import pdist

from simcsp.metrics.geometry import alignment, effective_rank, spread, uniformity

FloatArray = NDArray[np.float64]


def test_equal_views_are_perfectly_aligned_whatever_their_length() -> None:
    views = np.random.default_rng(0).normal(size=(5, 3))
    assert alignment(views, 7 * views) == pytest.approx(0)


@pytest.mark.parametrize(("second", "expected"), [([[0.0, 2.0]], 2.0), ([[-5.0, 0.0]], 4.0)])
def test_alignment_of_orthogonal_and_opposite_views(second: list[list[float]], expected: float) -> None:
    assert alignment(np.array([[3.0, 0.0]]), np.array(second)) == pytest.approx(expected)


def test_alignment_is_a_mean_over_windows() -> None:
    first, second = np.eye(2)[[0, 0]], np.eye(2)[[0, 1]]
    assert alignment(first, second) == pytest.approx(1.0)


def test_uniformity_of_orthogonal_opposite_and_equal_vectors() -> None:
    assert uniformity(2 * np.eye(4), seed=0) == pytest.approx(-4)
    assert uniformity(np.array([[1.0, 0.0], [-3.0, 0.0]]), seed=0) == pytest.approx(-8)
    assert uniformity(np.ones((6, 3)), seed=0) == pytest.approx(0)


def test_uniformity_is_the_log_of_a_mean_over_pairs() -> None:
    # squared distances of e1, e1, e2: 0, 2, 2
    assert uniformity(np.eye(2)[[0, 0, 1]], seed=0) == pytest.approx(np.log((1 + 2 * np.exp(-4)) / 3))


def test_uniformity_equals_its_definition_on_random_vectors() -> None:
    points = np.random.default_rng(1).normal(size=(60, 5))
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    expected = np.log(np.exp(-2 * pdist(unit, "sqeuclidean")).mean())
    assert uniformity(points, seed=0) == pytest.approx(expected)


def test_uniformity_of_some_pairs_estimates_that_of_all() -> None:
    points = np.random.default_rng(2).normal(size=(900, 8))
    every = uniformity(points, seed=0, max_pairs=500_000)
    some = [uniformity(points, seed=seed, max_pairs=10_000) for seed in range(4)]
    assert some == pytest.approx([every] * 4, abs=0.1)
    assert len(set(some)) == 4


@pytest.mark.parametrize(("max_pairs", "rows"), [(1, 2), (2, 2), (3, 3), (9, 4), (10, 5), (99, 5)])
def test_as_many_rows_are_taken_as_have_no_more_than_the_pairs_allowed(max_pairs: int, rows: int) -> None:
    # Only one of five vectors differs from the others: it is in rows - 1 pairs, or was not taken.
    points = np.eye(2)[[0, 1, 0, 0, 0]]
    pairs = rows * (rows - 1) / 2
    with_it = np.log((pairs - rows + 1 + (rows - 1) * np.exp(-4)) / pairs)
    values = [uniformity(points, seed=seed, max_pairs=max_pairs) for seed in range(20)]
    assert min(values) == pytest.approx(with_it)
    assert max(values) == pytest.approx(0 if rows < 5 else with_it)


def test_effective_rank_worked_by_hand() -> None:
    # shares 3/4 and 1/4: e to the entropy is 4 / 3^(3/4)
    assert effective_rank(np.array([[0.0, 3.0], [1.0, 0.0], [0.0, 0.0]])) == pytest.approx(4 / 3**0.75)


def test_effective_rank_lies_between_one_and_the_rank() -> None:
    column = np.arange(1.0, 6.0)[:, None]
    assert effective_rank(column * np.ones((1, 7))) == pytest.approx(1)
    assert effective_rank(1e-3 * np.eye(6)) == pytest.approx(6)
    assert effective_rank(np.zeros((4, 3))) == 0


def test_half_precision_is_computed_in_double() -> None:
    points = (100 * np.random.default_rng(3).normal(size=(50, 4))).astype(np.float16)
    double = points.astype(np.float64)
    assert alignment(points, points[::-1]) == alignment(double, double[::-1])
    assert uniformity(points, seed=0) == uniformity(double, seed=0)
    assert effective_rank(points) == effective_rank(double)


@pytest.mark.parametrize(
    "measure", [lambda e: alignment(e, e), lambda e: uniformity(e, seed=0)], ids=["alignment", "uniformity"]
)
@pytest.mark.parametrize("fault", [0.0, np.nan, np.inf])
def test_an_embedding_without_direction_is_refused(measure: Callable[[FloatArray], float], fault: float) -> None:
    embeddings = np.eye(3)
    embeddings[1] = fault
    with pytest.raises(ValueError, match="no direction"):
        measure(embeddings)


def test_shapes_that_disagree_are_refused() -> None:
    with pytest.raises(ValueError, match="not both"):
        alignment(np.eye(3), np.eye(2))
    with pytest.raises(ValueError, match="at least two windows"):
        uniformity(np.eye(1), seed=0)


def test_spread_is_one_minus_the_mean_cosine() -> None:
    points = np.random.default_rng(0).normal(size=(30, 5)) + 1
    cosines = (points @ points.T) / np.outer(*2 * [np.linalg.norm(points, axis=1)])
    assert spread(points) ** 2 == pytest.approx(1 - cosines.mean())


def test_spread_of_one_direction_is_zero_and_of_opposite_ones_is_one() -> None:
    assert spread(np.array([[1.0, 1.0], [3.0, 3.0]])) == pytest.approx(0, abs=1e-7)
    assert spread(np.array([[1.0, 1.0], [-3.0, -3.0]])) == pytest.approx(1)
