import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from simcsp.metrics.rank_correlation import rank_correlation


def of(predictor: Sequence[float], outcome: Sequence[float], draws: int = 200) -> tuple[float, float, float, int]:
    return rank_correlation(np.array(predictor), np.array(outcome), draws=draws, seed=0)


def test_value_is_scipys_and_the_interval_holds_it() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=12)
    y = x + rng.normal(size=12)
    value, low, high, models = of(list(x), list(y), draws=2000)
    assert value == stats.spearmanr(x, y).statistic
    assert -1 <= low < value < high <= 1
    assert models == 12
    other = stats.bootstrap((x, y), lambda a, b: stats.spearmanr(a, b).statistic, paired=True, vectorized=False,
                            n_resamples=2000, method="percentile", rng=1)  # fmt: skip
    assert (low, high) == pytest.approx(tuple(other.confidence_interval), abs=0.06)


def test_scores_worked_by_hand() -> None:
    """Ranks 1 2 3 4 and 1 3 2 4: ρ = 1 - 6 · 2 / (4 · 15) = 0.8."""
    assert of([1, 2, 3, 4], [10, 30, 20, 40])[0] == pytest.approx(0.8)


@given(st.lists(st.integers(-9, 9), min_size=3, max_size=8, unique=True))
def test_one_order_is_one_and_the_opposite_minus_one(scores: list[int]) -> None:
    assert of(scores, [math.exp(s) + s for s in scores], draws=20)[0] == pytest.approx(1)
    assert of(scores, [-float(s) for s in scores], draws=20)[0] == pytest.approx(-1)


def test_a_score_that_is_the_same_for_all_predicts_nothing() -> None:
    assert all(math.isnan(value) for value in of([1, 1, 1], [1, 2, 3])[:3])


@pytest.mark.parametrize(
    ("x", "y"), [([1.0, 2.0], [1.0, 2.0]), ([1.0, 2.0, 3.0], [1.0, 2.0]), ([1, 2, math.nan], [1, 2, 3])]
)
def test_too_few_or_unequal_or_undefined_scores_are_refused(x: list[float], y: list[float]) -> None:
    with pytest.raises(ValueError, match=r"rank correlation needs|not finite"):
        of(x, y)
