"""The model a language model has to beat: logistic regression on one-hot nucleotides around the site."""

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from simcsp.datasets.splits import Fold
from simcsp.datasets.windows import WindowTable
from simcsp.sequence.alphabet import FIRST_NUCLEOTIDE, VOCABULARY, Tokens

CENTRE = 80  # nt around the site, the yardstick's usual reach
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
