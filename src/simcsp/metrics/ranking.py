"""How well scores of all positions of a genome find the few that are splice sites."""

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score


def top_k_accuracy(labels: NDArray[np.integer], scores: NDArray[np.floating], missed: int = 0) -> float:
    """Share of splice sites among the k highest scores, where k is the number of splice sites.

    As Jaganathan et al. (2019), Cell 176:535, measure SpliceAI. Of equal scores the later ones rank higher, so that
    the order of rows is part of the input; scores here hardly ever tie.

    >>> top_k_accuracy(np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.3, 0.1]))
    0.5

    Args:
        labels: ``(n,)`` of 0 and 1.
        scores: ``(n,)``.
        missed: splice sites that were given no score at all.
    """
    k = int(labels.sum()) + missed
    best = np.argsort(scores, kind="stable")[::-1][:k]
    return float(labels[best].sum() / k)


def average_precision(labels: NDArray[np.integer], scores: NDArray[np.floating], missed: int = 0) -> float:
    """Average precision over all nucleotides, if those without a score rank last.

    Splice sites among them would add their share times that of splice sites in the genome, about 1e-4, which is left
    out.

    >>> round(average_precision(np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.3, 0.1]), missed=2), 4)
    0.4167

    Args:
        labels: ``(n,)`` of 0 and 1.
        scores: ``(n,)``.
        missed: splice sites that were given no score at all.
    """
    found = int(labels.sum())
    return float(average_precision_score(labels, scores) * found / (found + missed))
