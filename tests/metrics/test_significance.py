import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from simcsp.metrics.significance import (
    corrected_t_test,
    detectable_difference,
    effect_size,
    holm,
    paired_bootstrap,
)

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.integer]

# The example of the vignette of the R package correctR 0.2.1, x - y after
#   set.seed(123); x <- rnorm(30, mean = 0.6, sd = 0.1); y <- rnorm(30, mean = 0.4, sd = 0.1)
# whose resampled_ttest(x, y, n = 30, n1 = 80, n2 = 20) prints 2.407318 and 0.02265982.
CORRECTR_DIFFERENCES = np.array(
    [
        *(0.101306, 0.206489, 0.266358, 0.119237, 0.130771, 0.302642, 0.1907, 0.079685, 0.161911, 0.193481),
        *(0.391879, 0.256773, 0.366617, -0.005827, 0.02362, 0.491002, 0.290074, 0.050004, 0.192139, 0.161058),
        *(0.067886, 0.181057, 0.101687, -0.009749, 0.160073, -0.120316, 0.438654, 0.156876, 0.073801, 0.303787),
    ]
)

p_value_lists = st.lists(st.floats(0, 1), min_size=1, max_size=8).map(np.array)


def f1(labels: IntArray, probabilities: FloatArray) -> float:
    called = probabilities > 0.5
    return float(2 * (called & (labels == 1)).sum() / (called.sum() + labels.sum()))


def test_corrected_t_test_matches_correctr() -> None:
    result = corrected_t_test(CORRECTR_DIFFERENCES, 20 / 80)
    assert result.statistic == pytest.approx(2.407318, rel=1e-5)
    assert result.p_value == pytest.approx(0.02265982, rel=1e-4)
    assert result.mean == pytest.approx(CORRECTR_DIFFERENCES.mean())
    assert result.df == 29


def test_corrected_t_test_worked_by_hand() -> None:
    # Mean 2, variance 1; five folds of 4 : 1, so the error is √(1/3 + 1/4) = 0.7638. With two degrees of freedom
    # P(|T| > t) is 1 - t / √(2 + t²), and the 97.5 % quantile is 0.95 √(2 / (1 - 0.95²)) = 4.3027.
    result = corrected_t_test(np.array([1.0, 2.0, 3.0]), 1 / 4)
    t = 2 / np.sqrt(7 / 12)
    margin = 0.95 * np.sqrt(2 / (1 - 0.95**2)) * np.sqrt(7 / 12)
    assert result.statistic == pytest.approx(t)
    assert result.p_value == pytest.approx(1 - t / np.sqrt(2 + t**2))
    assert result.interval == pytest.approx((2 - margin, 2 + margin))


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(-100, 100), min_size=2, max_size=12).filter(lambda d: len(set(d)) > 1))
def test_without_overlap_it_is_the_paired_t_test(differences: list[int]) -> None:
    expected = stats.ttest_1samp(differences, 0)
    result = corrected_t_test(np.array(differences, dtype=np.float64), 0)
    assert (result.statistic, result.p_value) == pytest.approx((expected.statistic, expected.pvalue))
    assert result.interval == pytest.approx(tuple(expected.confidence_interval()))


def test_overlapping_folds_without_a_difference_are_called_different_in_one_of_twenty() -> None:
    # Scores of overlapping folds that correlate by ρ = test / (test + training) are what the correction is for.
    rng, ratio = np.random.default_rng(0), 0.25
    shared = ratio / (1 + ratio)
    draws = np.sqrt(shared) * rng.normal(size=(2000, 1)) + np.sqrt(1 - shared) * rng.normal(size=(2000, 10))
    corrected, naive = (np.mean([corrected_t_test(d, r).p_value < 0.05 for d in draws]) for r in (ratio, 0))
    assert corrected == pytest.approx(0.05, abs=0.015)
    assert naive > 0.2


@pytest.mark.parametrize(
    ("difference", "statistic", "p_value"), [(0.0, 0.0, 1.0), (0.1, np.inf, 0.0), (-0.1, -np.inf, 0.0)]
)
def test_equal_differences_have_no_variance(difference: float, statistic: float, p_value: float) -> None:
    result = corrected_t_test(np.full(3, difference), 0.25)
    assert result == (difference, statistic, p_value, (difference, difference), 2)


@pytest.mark.parametrize(
    ("differences", "ratio", "problem"),
    [
        ([0.1], 0.25, "at least two differences"),
        ([0.1, np.nan], 0.25, "not finite"),
        ([0.1, 0.2], -0.1, "at least 0"),
        ([0.1, 0.2], np.nan, "at least 0"),
    ],
)
def test_input_without_a_test_is_refused(differences: list[int], ratio: float, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        corrected_t_test(np.array(differences), ratio)


@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
def test_detectable_difference_has_the_power_asked_for(power: float) -> None:
    # The noncentral t distribution is the exact law of the statistic; the sum of quantiles approximates it.
    size = 15
    differences = np.random.default_rng(1).normal(size=size)
    error = differences.std(ddof=1) * np.sqrt(1 / size + 0.25)
    shift = detectable_difference(differences, 0.25, power=power) / error
    reached = stats.nct.sf(stats.t.ppf(0.975, size - 1), size - 1, shift)
    assert reached == pytest.approx(power, abs=0.02)


def test_detectable_difference_worked_by_hand() -> None:
    # t quantiles for 9 degrees of freedom from a printed table: 2.262 (97.5 %) and 0.883 (80 %)
    differences = np.array([-1.0, 1.0] * 5)  # variance 10 / 9
    expected = (2.262 + 0.883) * np.sqrt((1 / 10 + 1 / 4) * 10 / 9)
    assert detectable_difference(differences, 1 / 4) == pytest.approx(expected, rel=1e-3)
    assert detectable_difference(np.zeros(5), 1 / 4) == 0.0


@pytest.mark.parametrize("levels", [{"power": 1.0}, {"alpha": 0.0}, {"power": 0.01}])
def test_impossible_power_is_refused(levels: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="0 < alpha < power < 1"):
        detectable_difference(np.arange(4.0), 0.25, **levels)


# Hours of sleep that ten patients gained from one drug minus those from another (Student 1908, Biometrika 6:1; R's
# data set `sleep`), of which R's paired t.test prints t = -4.0621, df = 9, p-value = 0.002833 and the interval
# -2.4598858 to -0.7001142.
SLEEP_1 = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
SLEEP_2 = np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])


def test_paired_test_and_effect_size_of_a_published_example() -> None:
    test = corrected_t_test(SLEEP_1 - SLEEP_2, 0)
    assert (round(test.statistic, 4), test.df, round(test.p_value, 6)) == (-4.0621, 9, 0.002833)
    assert test.interval == pytest.approx((-2.4598858, -0.7001142), abs=1e-7)
    assert effect_size(SLEEP_1 - SLEEP_2) == pytest.approx(-1.58 / 1.229995, rel=1e-5)  # mean and SD of the differences


@pytest.mark.parametrize(("difference", "effect"), [(0.0, 0.0), (0.1, np.inf), (-0.1, -np.inf)])
def test_effect_of_equal_differences(difference: float, effect: float) -> None:
    assert effect_size(np.full(3, difference)) == effect


def test_seeds_on_the_same_folds_are_averaged_and_not_counted_as_folds() -> None:
    """Five folds, three seeds each: folds correlate as overlapping training sets make them, seeds share windows."""
    rng, ratio = np.random.default_rng(0), 2 / 7
    shared = ratio / (1 + ratio)
    of_folds = np.sqrt(shared) * rng.normal(size=(2000, 1)) + np.sqrt(1 - shared) * rng.normal(size=(2000, 5))
    draws = of_folds[:, :, None] + 0.5 * rng.normal(size=(2000, 5, 3))
    averaged = np.mean([corrected_t_test(d.mean(axis=1), ratio).p_value < 0.05 for d in draws])
    counted = np.mean([corrected_t_test(d.ravel(), ratio).p_value < 0.05 for d in draws])
    assert averaged == pytest.approx(0.05, abs=0.015)
    assert counted > 0.08


def test_holm_of_a_published_example() -> None:
    # That of the documentation of pingouin.holm (Vallat 2018, Journal of Open Source Software 3:1026).
    p_values = np.array([0.50, 0.003, 0.32, 0.054, 0.0003])
    assert holm(p_values) == pytest.approx([0.64, 0.012, 0.64, 0.162, 0.0015])


def test_holm_worked_by_hand() -> None:
    # sorted .005 .01 .03 .04, times 4 3 2 1: .02 .03 .06 .04, and none may be below the one before
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.6, 0.7])).tolist() == [1.0, 1.0]
    assert holm(np.array([])).size == 0


@settings(deadline=None)
@given(p_value_lists, st.sampled_from([0.01, 0.05, 0.2]))
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values: FloatArray, alpha: float) -> None:
    rejected = np.zeros(p_values.size, dtype=bool)
    for step, place in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[place] * (p_values.size - step) > alpha:
            break
        rejected[place] = True
    assert (holm(p_values) <= alpha).tolist() == rejected.tolist()


@pytest.mark.parametrize("p_values", [[0.1, 1.1], [np.nan], [[0.1]]])
def test_holm_refuses_what_is_no_probability(p_values: FloatArray) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        holm(np.array(p_values))


def predictions(n: int = 300) -> tuple[IntArray, FloatArray, FloatArray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, n)
    good, poor = (np.clip(0.5 + shift * (labels - 0.5) + rng.normal(0, 0.3, n), 0, 1) for shift in (0.6, 0.4))
    return labels, good, poor


def test_paired_bootstrap_agrees_with_scipy() -> None:
    labels, good, poor = predictions()
    ours = paired_bootstrap(labels, good, poor, np.zeros(300, dtype=np.int64), f1, draws=4000, seed=0)
    theirs = stats.bootstrap(
        (labels, good, poor),
        lambda y, a, b: f1(y, a) - f1(y, b),
        paired=True,
        vectorized=False,
        n_resamples=4000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert ours.difference == f1(labels, good) - f1(labels, poor)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.006)
    assert ours.low < ours.difference < ours.high


def test_a_score_is_the_mean_over_folds_and_windows_stay_in_theirs() -> None:
    rng = np.random.default_rng(0)
    labels, folds = rng.integers(0, 2, 90), np.arange(90) % 3
    good, poor = rng.permutation(90) / 90, rng.permutation(90) / 90 + 0.001  # no value occurs twice
    seen: set[frozenset[int]] = set()

    def watched(y: IntArray, probabilities: FloatArray) -> float:
        seen.add(frozenset(np.flatnonzero(np.isin(good, probabilities)) % 3))
        return f1(y, probabilities)

    result = paired_bootstrap(labels, good, poor, folds, watched, draws=10, seed=0)
    each = [f1(labels[folds == k], good[folds == k]) - f1(labels[folds == k], poor[folds == k]) for k in range(3)]
    assert result.difference == pytest.approx(np.mean(each))
    assert seen - {frozenset()} == {frozenset({0}), frozenset({1}), frozenset({2})}


def test_models_that_predict_the_same_differ_by_nothing() -> None:
    labels, good, _ = predictions(40)
    assert paired_bootstrap(labels, good, good, np.zeros(40, dtype=np.int64), f1, draws=20, seed=0) == (0.0, 0.0, 0.0)


def test_bootstrap_is_decided_by_its_seed() -> None:
    first, again, other = (
        paired_bootstrap(*predictions(60), np.zeros(60, dtype=np.int64), f1, draws=20, seed=seed) for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_a_metric_undefined_in_a_draw_leaves_no_interval() -> None:
    def sometimes(labels: IntArray, probabilities: FloatArray) -> float:
        return float("nan") if labels.all() else float(probabilities.mean())

    result = paired_bootstrap(np.array([0, 1]), np.ones(2), np.zeros(2), np.arange(2) // 2, sometimes, draws=50, seed=0)
    assert result.difference == 1.0
    assert np.isnan([result.low, result.high]).all()


@pytest.mark.parametrize(
    ("sizes", "draws", "problem"),
    [((3, 3, 2, 3), 5, "one shape"), ((3, 3, 3, 2), 5, "one shape"), ((0,) * 4, 5, "windows"), ((3,) * 4, 0, "draw")],
)
def test_bootstrap_without_windows_or_draws_is_refused(sizes: tuple[int, ...], draws: int, problem: str) -> None:
    labels, a, b, folds = (np.ones(size) for size in sizes)
    with pytest.raises(ValueError, match=problem):
        paired_bootstrap(labels.astype(np.int64), a, b, folds.astype(np.int64), f1, draws=draws, seed=0)
