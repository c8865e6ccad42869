"""Linear probe: how much of the labels a logistic regression reads from embeddings.

What NMI misses for want of few clusters, and SCCS for want of one direction, a probe still finds: it asks only that the
label can be read off linearly (Alain & Bengio 2017). Folds keep groups together, so nothing is remembered.
"""

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from simcsp.sequence.sites import ACCEPTOR, DONOR

FOLDS = 5
_STRENGTH = 0.01  # inverse of the L2 penalty, on features of variance 1: hundreds of them for a thousand windows


def linear_probe(
    embeddings: NDArray[np.floating],
    labels: NDArray[np.integer],
    site_types: NDArray[np.integer],
    groups: NDArray[np.str_],
    seed: int,
) -> dict[str, float]:
    """AUROC of cross-validated logistic regression, for donors, for acceptors, and the mean of the two.

    Every window is scored by the model of the fold that it is held out of; the AUROC is the mean over folds, since
    scores of two models have no common scale. A site type is nan if it lacks one of the two labels, in all or in the
    training part of a fold; the mean is then the other one.

    Args:
        embeddings: ``(n, d)``.
        labels: ``(n,)`` of 0 and 1.
        site_types: ``(n,)`` of `DONOR` and `ACCEPTOR`.
        groups: ``(n,)`` windows of one group are never in training and held out at once.
        seed: of the folds.

    Returns:
        ``probe_auroc``, ``probe_auroc_donor``, ``probe_auroc_acceptor``.
    """
    values = []
    for site_type in (DONOR, ACCEPTOR):
        rows = site_types == site_type
        values.append(_held_out_auroc(embeddings[rows], labels[rows], groups[rows], seed))
    defined = [value for value in values if not np.isnan(value)]
    mean = float(np.mean(defined)) if defined else float("nan")
    return dict(zip(("probe_auroc", "probe_auroc_donor", "probe_auroc_acceptor"), (mean, *values), strict=True))


def grouped_folds(
    labels: NDArray[np.integer], groups: NDArray[np.str_], seed: int
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Training and held-out rows of five folds, or of as many as the rarer label and the groups allow; none below two.

    A fold whose training part lacks a label leaves no folds at all.
    """
    counts = np.unique(labels, return_counts=True)[1]
    folds = min(FOLDS, np.unique(groups).size, *(counts.tolist() if counts.size > 1 else (0,)))
    if folds < 2:
        return []
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    pairs = list(splitter.split(np.zeros((len(labels), 1)), labels, groups))
    return pairs if all(np.unique(labels[train]).size > 1 for train, _ in pairs) else []


def held_out_probabilities(
    embeddings: NDArray[np.floating],
    labels: NDArray[np.integer],
    site_types: NDArray[np.integer],
    groups: NDArray[np.str_],
    seed: int,
) -> NDArray[np.float64]:
    """Probability of label 1, ``(n,)``, by the probes of :func:`linear_probe`; for the eye, as folds have no one scale.

    Arguments are those of :func:`linear_probe`. It is nan where a site type has no folds.
    """
    probabilities = np.full(len(labels), np.nan)
    for site_type in (DONOR, ACCEPTOR):
        rows = np.flatnonzero(site_types == site_type)
        for train, held_out in grouped_folds(labels[rows], groups[rows], seed):
            model = _fitted(embeddings[rows[train]], labels[rows[train]])
            probabilities[rows[held_out]] = model.predict_proba(embeddings[rows[held_out]])[:, 1]
    return probabilities


def _held_out_auroc(
    embeddings: NDArray[np.floating], labels: NDArray[np.integer], groups: NDArray[np.str_], seed: int
) -> float:
    scores = []
    for train, held_out in grouped_folds(labels, groups, seed):
        if np.unique(labels[held_out]).size > 1:
            model = _fitted(embeddings[train], labels[train])
            scores.append(roc_auc_score(labels[held_out], model.decision_function(embeddings[held_out])))
    return float(np.mean(scores)) if scores else float("nan")


def _fitted(embeddings: NDArray[np.floating], labels: NDArray[np.integer]) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=_STRENGTH, max_iter=1000)).fit(embeddings, labels)
