"""Shape of an embedding space: what contrastive training trades, and whether it collapsed.

Alignment and uniformity are those of Wang & Isola (2020), on embeddings scaled to length 1: contrastive learning
pulls the two views of a window together (alignment) and spreads windows over the sphere (uniformity). Lower is
better for both. The effective rank says over how many directions embeddings spread.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr, logsumexp

FloatArray = NDArray[np.float64]


def _on_sphere(embeddings: NDArray[np.floating]) -> FloatArray:
    """Rows scaled to length 1, in float64."""
    rows = np.asarray(embeddings, dtype=np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not ((lengths > 0) & (lengths < np.inf)).all():
        raise ValueError("an embedding is zero or not finite: it has no direction")
    return np.asarray(rows / lengths)


def alignment(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Mean squared distance between two views of the same windows: two ``(n, d)`` → 0 (equal) to 4 (opposite).

    Raises:
        ValueError: if shapes disagree, or an embedding is zero.

    >>> alignment(np.array([[2.0, 0.0]]), np.array([[0.0, 3.0]]))
    2.0
    """
    if first.shape != second.shape or first.ndim != 2 or not first.size:
        raise ValueError(f"views of shapes {first.shape} and {second.shape} are not both (n, d)")
    return float(np.square(_on_sphere(first) - _on_sphere(second)).sum(axis=1).mean())


def uniformity(embeddings: NDArray[np.floating], *, seed: int, max_pairs: int = 1_000_000) -> float:
    """Log of the mean Gaussian potential exp(-2 · squared distance) over pairs of windows.

    0 if all embeddings have one direction, about -4 for many windows spread evenly over a sphere of many
    dimensions, and never below -8.

    Args:
        embeddings: ``(n, d)``, n at least 2.
        seed: of the rows taken.
        max_pairs: beyond it, all pairs of as many random rows as stay within it are taken.

    Raises:
        ValueError: if there are fewer than two rows, fewer than one pair is allowed, or an embedding is zero.
    """
    n = embeddings.shape[0]
    if embeddings.ndim != 2 or n < 2 or max_pairs < 1:
        raise ValueError("uniformity needs embeddings (n, d) of at least two windows, and at least one pair")
    rows = min(n, (1 + math.isqrt(1 + 8 * max_pairs)) // 2)  # rows (rows - 1) / 2 pairs
    taken = np.random.default_rng(seed).choice(n, size=rows, replace=False)
    points = _on_sphere(embeddings[np.sort(taken)])
    cosines = (points @ points.T)[np.triu_indices(rows, k=1)]
    return float(logsumexp(-2 * (2 - 2 * cosines)) - math.log(cosines.size))


def spread(embeddings: NDArray[np.floating]) -> float:
    """Standard deviation of embeddings scaled to length 1, over all dimensions together: 0 when all point one way.

    Its square is 1 minus the mean cosine of two windows (each with itself counted), so it is 1 for directions that
    cancel out, and 0.1 where windows have a cosine of 0.99 on average: the embedding has collapsed (Chen & He 2021,
    section 4.1, has the same number divided by the root of the dimension).

    Args:
        embeddings: ``(n, d)``.

    Raises:
        ValueError: if an embedding is zero or not finite.

    >>> round(spread(np.array([[1.0, 0.0], [0.0, 2.0]])), 4)  # mean (0.5, 0.5)
    0.7071
    """
    middle = _on_sphere(embeddings).mean(axis=0)
    return math.sqrt(max(0.0, 1.0 - float(middle @ middle)))


def effective_rank(embeddings: NDArray[np.floating]) -> float:
    """Number of directions that embeddings spread over: e to the entropy of the singular values' shares.

    Between 1 and the rank of the matrix, which is taken as it is, not centred (Roy & Vetterli 2007). A matrix of
    zeros has 0.

    Args:
        embeddings: ``(n, d)``.

    >>> round(effective_rank(np.diag([5.0, 5.0, 5.0])), 6)
    3.0
    """
    values = np.linalg.svd(np.asarray(embeddings, dtype=np.float64), compute_uv=False)
    total = float(values.sum())
    return float(np.exp(entr(values / total).sum())) if total else 0.0
