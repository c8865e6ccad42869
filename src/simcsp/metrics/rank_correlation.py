"""Whether one score predicts another: rank correlation over a few models, with an interval."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

FloatArray = NDArray[np.float64]


class RankCorrelation(NamedTuple):
    """Spearman's ρ and its 95 % interval.

    Attributes:
        value: ρ; nan if one of the scores is the same for all models.
        low: lower bound, nan as the value is.
        high: upper bound.
        models: number of them.
    """

    value: float
    low: float
    high: float
    models: int


def rank_correlation(predictor: FloatArray, outcome: FloatArray, *, draws: int, seed: int) -> RankCorrelation:
    """Spearman's rank correlation with the percentile interval of a bootstrap over models (Efron 1979).

    Models are drawn with replacement; draws in which a score is the same for all have no correlation and are drawn
    again by leaving them out. With fewer than about ten models the interval is wide and too short at once: read it as
    "at least this uncertain". Checkpoints of one training are no independent models either.

    Args:
        predictor: ``(n,)``, for instance SCCS of every checkpoint.
        outcome: ``(n,)``, for instance F1 after fine-tuning from it.
        draws: number of resamples.
        seed: of the resamples.

    Raises:
        ValueError: if shapes disagree, a value is not finite, or there are fewer than three models.

    >>> scores = np.array([0.1, 0.2, 0.3, 0.4])
    >>> rank_correlation(scores, scores**2, draws=100, seed=0)[:2]
    (1.0, 1.0)
    """
    if predictor.ndim != 1 or predictor.shape != outcome.shape or predictor.size < 3:
        raise ValueError(
            f"a rank correlation needs two rows of at least 3 scores, not {predictor.shape}, {outcome.shape}"
        )
    if not (np.isfinite(predictor).all() and np.isfinite(outcome).all()):
        raise ValueError("a score is not finite")
    if np.ptp(predictor) == 0 or np.ptp(outcome) == 0:
        return RankCorrelation(float("nan"), float("nan"), float("nan"), predictor.size)
    rng = np.random.default_rng(seed)
    found = []
    for rows in rng.integers(predictor.size, size=(draws, predictor.size)):
        one, other = predictor[rows], outcome[rows]
        if np.ptp(one) and np.ptp(other):
            found.append(float(spearmanr(one, other).statistic))
    low, high = np.percentile(found, [2.5, 97.5])
    return RankCorrelation(float(spearmanr(predictor, outcome).statistic), float(low), float(high), predictor.size)
