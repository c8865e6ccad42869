"""Top-k accuracy and average precision, by hand and against scikit-learn over all nucleotides."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from simcsp.metrics.ranking import average_precision, top_k_accuracy


def test_top_k_takes_as_many_as_there_are_sites() -> None:
    labels, scores = np.array([1, 1, 0, 0, 1]), np.array([0.9, 0.2, 0.8, 0.1, 0.7])
    assert top_k_accuracy(labels, scores) == pytest.approx(2 / 3)
    assert top_k_accuracy(labels, scores, missed=1) == pytest.approx(3 / 4)


def test_average_precision_is_that_over_all_nucleotides() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random(2000) < 0.05).astype(int)
    scores = rng.random(2000) + labels
    elsewhere = np.zeros(200_000)
    missed = np.concatenate([np.ones(10), np.zeros(199_990)])
    whole = average_precision_score(np.concatenate([labels, missed]), np.concatenate([scores, elsewhere]))
    assert average_precision(labels, scores, missed=10) == pytest.approx(whole, abs=1e-4)
