"""Whether a difference between two models is more than chance.

Folds of one data set share training windows, so their scores are not independent and the ordinary t-test finds
differences that are not there. The corrected test of Nadeau & Bengio (2003) widens the variance for it. Trainings
with other seeds on the same folds are no further folds: they share the test windows, too. Average them first.
The bootstrap asks the other question: how far does a difference depend on which windows were in the test part?
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

FloatArray = NDArray[np.float64]
Metric = Callable[[NDArray[np.integer], FloatArray], float]
"""Labels ``(n,)`` and probabilities ``(n,)`` to a score."""


class TTest(NamedTuple):
    """A test of the mean difference against zero.

    Attributes:
        mean: of the differences.
        statistic: t.
        p_value: two-sided.
        interval: 95 % confidence interval of the mean.
        df: degrees of freedom.
    """

    mean: float
    statistic: float
    p_value: float
    interval: tuple[float, float]
    df: int


class Interval(NamedTuple):
    """A difference and its 95 % interval."""

    difference: float
    low: float
    high: float


def _standard_error(differences: FloatArray, test_fraction_ratio: float) -> float:
    """Standard error of a mean over overlapping training sets, √((1/n + ratio) · variance)."""
    if differences.ndim != 1 or differences.size < 2:
        raise ValueError(f"a variance needs at least two differences, not an array of shape {differences.shape}")
    if not np.isfinite(differences).all():
        raise ValueError("a difference is not finite")
    if not 0 <= test_fraction_ratio < np.inf:
        raise ValueError("the ratio of test to training windows must be at least 0")
    if np.ptp(differences) == 0:  # rounding of the mean would leave a variance
        return 0.0
    return float(np.sqrt((1 / differences.size + test_fraction_ratio) * differences.var(ddof=1)))


def corrected_t_test(differences: FloatArray, test_fraction_ratio: float) -> TTest:
    """The corrected resampled t-test of Nadeau & Bengio (2003), two-sided.

    Differences that are all equal have no variance: p is 1 if they are 0, else t is infinite and p is 0, which
    says more about the number of folds than about the models.

    Args:
        differences: ``(n,)``, one per fold and repetition: score of one model minus score of the other.
        test_fraction_ratio: test windows per training window, 1 / (k - 1) for k folds without a validation
            part. 0 gives the ordinary paired t-test.

    Returns:
        The test, with n - 1 degrees of freedom.

    Raises:
        ValueError: if there are fewer than two differences, one is not finite, or the ratio is negative.
    """
    error = _standard_error(differences, test_fraction_ratio)
    df = differences.size - 1
    if error == 0:
        mean = float(differences[0])
        statistic = float(np.copysign(np.inf, mean)) if mean else 0.0
    else:
        mean = float(differences.mean())
        statistic = mean / error
    margin = float(stats.t.ppf(0.975, df)) * error
    p_value = 2 * float(stats.t.sf(abs(statistic), df))
    return TTest(mean, statistic, p_value, (mean - margin, mean + margin), df)


def detectable_difference(
    differences: FloatArray, test_fraction_ratio: float, power: float = 0.8, alpha: float = 0.05
) -> float:
    """Smallest true difference that the corrected test would find with the given power.

    From the observed variance, as the sum of the t quantiles at 1 - alpha / 2 and at ``power``, in standard
    errors. A comparison that found nothing should name it: smaller differences remain possible.

    Args:
        differences: ``(n,)``, as for `corrected_t_test`.
        test_fraction_ratio: test windows per training window.
        power: chance of finding the difference, between ``alpha`` and 1.
        alpha: level of the two-sided test.

    Raises:
        ValueError: as `corrected_t_test`; also if not 0 < alpha < power < 1.
    """
    if not 0 < alpha < power < 1:
        raise ValueError("alpha and power must obey 0 < alpha < power < 1")
    error = _standard_error(differences, test_fraction_ratio)
    quantiles = stats.t.ppf([1 - alpha / 2, power], differences.size - 1)
    return float(quantiles.sum()) * error


def effect_size(differences: FloatArray) -> float:
    """Cohen's d_z of paired differences: their mean in units of their standard deviation (Lakens 2013).

    It says how a difference compares with the scatter from fold to fold, whatever the number of folds. Differences
    that are all equal have no scatter: 0 if they are 0, else infinite.

    Args:
        differences: ``(n,)``, as for `corrected_t_test`.

    Raises:
        ValueError: as `corrected_t_test`.

    >>> round(effect_size(np.array([0.01, 0.02, 0.03])), 3)
    2.0
    """
    return corrected_t_test(differences, 0).statistic / math.sqrt(differences.size)


def holm(p_values: FloatArray) -> FloatArray:
    """Adjust the p-values of a family of tests so that the chance of any false claim is bounded (Holm 1979).

    The smallest p-value is multiplied by the number m of tests, the next by m - 1, and so on; none may fall
    below that of a smaller one, nor exceed 1.

    Args:
        p_values: ``(m,)``, in any order.

    Returns:
        ``(m,)`` adjusted p-values in the same order: a test is significant at level α if its own is at most α.

    Raises:
        ValueError: if a value is no probability.

    >>> holm(np.array([0.04, 0.01, 0.03])).round(3).tolist()
    [0.06, 0.03, 0.06]
    """
    if p_values.ndim != 1 or not ((p_values >= 0) & (p_values <= 1)).all():
        raise ValueError("p_values must be a row of numbers from 0 to 1")
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(p_values.size, 0, -1)
    adjusted = np.empty(p_values.size)
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * p_values[order]), 1.0)
    return adjusted


def paired_bootstrap(
    labels: NDArray[np.integer],
    probabilities_a: FloatArray,
    probabilities_b: FloatArray,
    folds: NDArray[np.integer],
    metric: Metric,
    *,
    draws: int,
    seed: int,
) -> Interval:
    """Percentile interval of the difference of two models' scores on the same windows (Efron 1979).

    Windows of each fold are drawn with replacement, the same for both models; a score is the mean over folds. It
    treats windows as independent and the models as given: chance in training and in the choice of the folds is the
    t-test's matter.

    Args:
        labels: ``(n,)``.
        probabilities_a: ``(n,)`` of one model.
        probabilities_b: ``(n,)`` of the other, for the same windows.
        folds: ``(n,)`` that each window was tested in; all equal where there is one test part.
        metric: score of labels and probabilities.
        draws: number of resamples.
        seed: of the resamples.

    Returns:
        Score of a minus score of b on all windows, and 95 % of the draws' differences; the bounds are nan if the
        metric was undefined in a draw.

    Raises:
        ValueError: if shapes disagree, or there are no windows or no draws.
    """
    if not (labels.ndim == 1 and labels.shape == probabilities_a.shape == probabilities_b.shape == folds.shape):
        raise ValueError("labels, both probabilities and folds must have one shape (n,)")
    if not labels.size or draws < 1:
        raise ValueError("a bootstrap needs windows and at least one draw")
    parts = [
        tuple(column[folds == fold] for column in (labels, probabilities_a, probabilities_b))
        for fold in np.unique(folds)
    ]
    rng = np.random.default_rng(seed)

    def difference(*, drawn: bool) -> float:
        of_folds = []
        for y, a, b in parts:
            rows = rng.integers(y.size, size=y.size) if drawn else slice(None)
            of_folds.append(metric(y[rows], a[rows]) - metric(y[rows], b[rows]))
        return float(np.mean(of_folds))

    low, high = np.percentile([difference(drawn=True) for _ in range(draws)], [2.5, 97.5])
    return Interval(difference(drawn=False), float(low), float(high))
