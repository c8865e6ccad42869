"""The models a language model has to beat: logistic regression on one-hot nucleotides around a site or branch point."""

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score

from simcsp.datasets.branch_points import REGION, UNKNOWN, BranchPoints, region_of
from simcsp.datasets.splits import Fold
from simcsp.datasets.windows import WindowTable
from simcsp.sequence.alphabet import FIRST_NUCLEOTIDE, VOCABULARY, Tokens

CENTRE = 80  # nt around the site, the yardstick's usual reach
_MOTIF = 5  # nt on either side of a branch point; it pairs with U2 snRNA from about -5 to +3
_STRENGTHS = (0.01, 0.1, 1.0)  # inverse of the L2 penalty; the best on validation is kept


def one_hot(windows: Tokens, centre: int = CENTRE) -> NDArray[np.float32]:
    """One-hot A, C, G, T of the central nucleotides: ``(n, length)`` → ``(n, 4 centre)``; N is all zeros."""
    margin = max(0, (windows.shape[1] - centre) // 2)
    middle = windows[:, margin : windows.shape[1] - margin]
    nucleotides = np.arange(FIRST_NUCLEOTIDE, len(VOCABULARY))
    hot: NDArray[np.bool_] = middle[:, :, None] == nucleotides
    return hot.reshape(len(windows), -1).astype(np.float32)


def logistic_regression(table: WindowTable, fold: Fold, asked: NDArray[np.intp]) -> NDArray[np.float64]:
    """Fit one model per site type on ``fold.train`` and give the probabilities of the rows ``asked``.

    The penalty is chosen by AUROC on ``fold.validation``.
    """
    probabilities = np.full(len(asked), np.nan)
    for site_type in np.unique(table.site_type):
        train, validation = (rows[table.site_type[rows] == site_type] for rows in (fold.train, fold.validation))
        features, labels = one_hot(table.tokens[train]), table.label[train]
        held_out = one_hot(table.tokens[validation])
        models = [LogisticRegression(C=strength, max_iter=1000).fit(features, labels) for strength in _STRENGTHS]
        scores = [roc_auc_score(table.label[validation], m.predict_proba(held_out)[:, 1]) for m in models]
        chosen = table.site_type[asked] == site_type
        best = models[int(np.argmax(scores))]
        probabilities[chosen] = best.predict_proba(one_hot(table.tokens[asked[chosen]]))[:, 1]
    return probabilities


def branch_point_regression(table: BranchPoints, fold: Fold) -> NDArray[np.float64]:
    """Fit place in the region and motif on ``fold.train`` and give the probabilities of ``fold.test``, ``(n, 27)``.

    The penalty is chosen by average precision on ``fold.validation``.
    """
    (train, labels), (held_out, truth) = (_labelled_nucleotides(table.take(rows)) for rows in fold[:2])
    models = [LogisticRegression(C=strength, max_iter=1000).fit(train, labels) for strength in _STRENGTHS]
    scores = [average_precision_score(truth, model.predict_proba(held_out)[:, 1]) for model in models]
    best = models[int(np.argmax(scores))]
    features = _place_and_motif(table.tokens[fold.test])
    found = best.predict_proba(features.reshape(-1, features.shape[-1]))[:, 1]
    return np.asarray(found.reshape(-1, REGION), dtype=np.float64)


def _labelled_nucleotides(table: BranchPoints) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """Features ``(m, F)`` and labels ``(m,)`` of the ``m`` nucleotides that have one."""
    asked = table.label != UNKNOWN
    return _place_and_motif(table.tokens)[asked], table.label[asked]


def _place_and_motif(windows: Tokens) -> NDArray[np.float32]:
    """One-hot place in the region and nucleotides around it: ``(n, L)`` → ``(n, 27, F)``."""
    width, region = 2 * _MOTIF + 1, region_of(windows.shape[1])
    around = np.lib.stride_tricks.sliding_window_view(windows, width, axis=1)[:, region.start - _MOTIF :][:, :REGION]
    motif = one_hot(around.reshape(-1, width), width).reshape(len(windows), REGION, -1)
    place = np.broadcast_to(np.eye(REGION, dtype=np.float32), (len(windows), REGION, REGION))
    return np.concatenate([place, motif], axis=2)
