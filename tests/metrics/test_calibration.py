"""Temperature, calibration error and thresholds, against numbers worked out by hand and another library."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import f1_score

from simcsp.metrics.calibration import (
    Curve,
    at_share,
    at_temperature,
    calibration_error,
    fit_temperature,
    is_highest,
)


@pytest.mark.parametrize("true", [0.5, 1.0, 3.0])
def test_the_temperature_that_made_the_labels_is_found(true: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 4, 40_000)
    labels = (rng.random(40_000) < expit(logits / true)).astype(int)
    assert fit_temperature(labels, logits) == pytest.approx(true, rel=0.05)


def test_the_temperature_is_that_of_scikit_learn() -> None:
    calibration = pytest.importorskip("sklearn.calibration")
    if not hasattr(calibration, "_TemperatureScaling"):
        pytest.skip("scikit-learn has no temperature scaling before 1.8")
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 500)
    logits = 3 * (labels - 0.5) + rng.normal(0, 3, 500)
    theirs = calibration._TemperatureScaling().fit(np.stack([-logits / 2, logits / 2], axis=1), labels)
    assert fit_temperature(labels, logits) == pytest.approx(1 / theirs.beta_, rel=1e-3)


def test_the_highest_temperature_is_that_of_logits_that_tell_nothing() -> None:
    rng = np.random.default_rng(0)
    labels, logits = np.tile([0, 1], 2000), 10 * rng.normal(size=4000)
    assert is_highest(fit_temperature(labels, logits))
    assert not is_highest(fit_temperature(labels, logits + 10 * labels))


def test_temperature_two_halves_the_logit() -> None:
    assert at_temperature(np.array([2 * np.log(3)]), 2.0) == pytest.approx([0.75])


def test_calibration_error_by_hand() -> None:
    # Two bins: 0.2 and 0.4 with no site (mean 0.3, gap 0.3); 0.9 with one of one (gap 0.1): (2 * 0.3 + 1 * 0.1) / 3.
    assert calibration_error(np.array([0, 0, 1]), np.array([0.2, 0.4, 0.9]), bins=2) == pytest.approx(0.7 / 3)
    assert calibration_error(np.array([1, 0]), np.array([1.0, 0.0])) == 0


def test_the_best_threshold_has_the_highest_f1() -> None:
    rng = np.random.default_rng(2)
    labels = np.repeat([0, 1], 2000)
    scores = rng.normal(labels * 1.5, 1)
    probabilities = np.round(expit(scores), 2)
    best = Curve.of(labels, probabilities).best(0.5)
    every = {t: f1_score(labels, probabilities >= t) for t in np.unique(probabilities)}
    assert best.f1 == pytest.approx(max(every.values()), abs=2e-3)
    assert every[best.probability] == pytest.approx(max(every.values()), abs=2e-3)


def test_rarer_sites_need_a_higher_threshold_and_precision_falls() -> None:
    rng = np.random.default_rng(3)
    labels = np.repeat([0, 1], 2000)
    curve = Curve.of(labels, expit(rng.normal(labels * 3, 1)))
    half, rare = curve.best(0.5), curve.best(0.001)
    assert rare.probability > half.probability
    assert rare.f1 < half.f1
    # By hand from its own rates: precision = q TPR / (q TPR + (1 - q) FPR).
    row = int(np.flatnonzero(curve.probability == rare.probability)[0])
    hits, alarms = 0.001 * curve.true_rate[row], 0.999 * curve.false_rate[row]
    assert rare.precision == pytest.approx(hits / (hits + alarms))


def test_no_false_alarm_among_few_decoys_counts_as_half_of_one() -> None:
    curve = Curve.of(np.array([1, 1, 0, 0, 0]), np.array([0.9, 0.8, 0.3, 0.2, 0.1]))
    assert curve.false_rate[0] == pytest.approx(0.5 / 4)
    assert curve.true_rate.tolist()[:2] == [0.5, 1.0]


def test_equal_probabilities_share_a_point() -> None:
    curve = Curve.of(np.array([1, 0, 1, 0]), np.array([0.7, 0.7, 0.7, 0.1]))
    assert curve.probability.tolist() == [0.7, 0.1]
    assert curve.true_rate.tolist() == [1.0, 1.0]


def test_a_curve_needs_both_labels() -> None:
    with pytest.raises(ValueError, match="splice sites and decoys"):
        Curve.of(np.array([1, 1]), np.array([0.5, 0.6]))


def test_probability_at_another_share_by_hand() -> None:
    # Odds 3 to 1 at one half become 3 to 999 where one in a thousand is a site.
    assert at_share(np.array([0.75]), 0.5, 0.001) == pytest.approx([3 / 1002])
    assert at_share(np.array([0.0, 1.0]), 0.5, 0.001).tolist() == [0.0, 1.0]
    assert at_share(np.array([0.3]), 0.4, 0.4) == pytest.approx([0.3])
