"""How well probabilities tell splice sites (label 1) from decoys (label 0), at a threshold and over all of them.

The threshold is one of probability. SpliceBERT's cross-species F1 put 0.5 on the logit: `PUBLISHED_THRESHOLD`.
"""

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    matthews_corrcoef,
    precision_score,
    recall_score,
    roc_auc_score,
)

from simcsp.sequence.sites import ACCEPTOR, DONOR, SITE_NAMES

PUBLISHED_THRESHOLD = float(1 / (1 + np.exp(-0.5)))  # 0.622
SCORES = ("f1", "precision", "recall", "auroc", "average_precision", "accuracy", "mcc")


def classification_scores(
    labels: NDArray[np.integer], probabilities: NDArray[np.floating], threshold: float = 0.5
) -> dict[str, float]:
    """Score predictions of one kind of site, or of all together.

    Precision, recall and F1 are those of splice sites, and 0 where they would divide by 0; so is MCC. AUROC and
    average precision are nan where only one label occurs, and every score is nan where there is no window.

    Args:
        labels: ``(n,)`` of 0 and 1.
        probabilities: ``(n,)`` of label 1, in [0, 1]; ranked in float64.
        threshold: a window is called a splice site if its probability lies above.

    Returns:
        The scores named in `SCORES`, in that order.

    Raises:
        ValueError: if shapes disagree, a label is neither 0 nor 1, or a value is no probability (a logit, nan).
    """
    if labels.ndim != 1 or labels.shape != probabilities.shape:
        raise ValueError(f"labels {labels.shape} and probabilities {probabilities.shape} are not (n,) and (n,)")
    if not np.isin(labels, (0, 1)).all():
        raise ValueError("a label is neither 0 nor 1")
    scores = np.asarray(probabilities, dtype=np.float64)
    if not ((scores >= 0) & (scores <= 1)).all():
        raise ValueError("a value outside 0 to 1 is no probability; logits need a sigmoid first")
    if not labels.size:
        return dict.fromkeys(SCORES, float("nan"))
    called = scores > threshold
    both = np.unique(labels).size == 2
    values = (
        f1_score(labels, called, zero_division=0.0),
        precision_score(labels, called, zero_division=0.0),
        recall_score(labels, called, zero_division=0.0),
        roc_auc_score(labels, scores) if both else np.nan,
        average_precision_score(labels, scores) if both else np.nan,
        accuracy_score(labels, called),
        matthews_corrcoef(labels, called) if both or (called != labels).any() else 0.0,  # which else warns
    )
    return {name: float(value) for name, value in zip(SCORES, values, strict=True)}


def f1_at(labels: NDArray[np.integer], probabilities: NDArray[np.floating], threshold: float = 0.5) -> float:
    """F1 as in `classification_scores`, without its checks and a hundred times faster: for thousands of resamples.

    Args:
        labels: ``(n,)`` of 0 and 1.
        probabilities: ``(n,)`` of label 1.
        threshold: on the probability.
    """
    called = probabilities > threshold
    positives = np.count_nonzero(called) + np.count_nonzero(labels)
    return 2 * np.count_nonzero(called & (labels == 1)) / positives if positives else 0.0


def scores_by_site(
    labels: NDArray[np.integer],
    probabilities: NDArray[np.floating],
    site_types: NDArray[np.integer],
    threshold: float = 0.5,
) -> dict[str, dict[str, float]]:
    """`classification_scores` of all windows, of donors and of acceptors.

    Args:
        labels: ``(n,)`` of 0 and 1.
        probabilities: ``(n,)`` of label 1, in [0, 1].
        site_types: ``(n,)`` of `DONOR` and `ACCEPTOR`.
        threshold: on the probability.

    Returns:
        Scores under ``"all"``, ``"donor"`` and ``"acceptor"``.

    Raises:
        ValueError: as `classification_scores`; also if a site type is unknown.
    """
    if site_types.shape != labels.shape:
        raise ValueError(f"site_types {site_types.shape} and labels {labels.shape} differ in shape")
    if not np.isin(site_types, (DONOR, ACCEPTOR)).all():
        raise ValueError(f"site_types holds values other than {DONOR} (donor) and {ACCEPTOR} (acceptor)")
    by_site = {"all": classification_scores(labels, probabilities, threshold)}
    for site_type in (DONOR, ACCEPTOR):
        rows = site_types == site_type
        by_site[SITE_NAMES[site_type]] = classification_scores(labels[rows], probabilities[rows], threshold)
    return by_site
