import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu
from sklearn.metrics import precision_recall_fscore_support

from simcsp.metrics.classification import (
    PUBLISHED_THRESHOLD,
    SCORES,
    classification_scores,
    f1_at,
    scores_by_site,
)
from simcsp.sequence.sites import ACCEPTOR, DONOR

IntArray = NDArray[np.int64]

# 3 true positives, 1 false positive, 2 false negatives, 4 true negatives
LABELS = np.array([1, 1, 1, 0, 1, 1, 0, 0, 0, 0])
PROBABILITIES = np.array([0.9, 0.8, 0.7, 0.6, 0.4, 0.3, 0.2, 0.1, 0.05, 0.0])


def test_scores_of_a_confusion_matrix_worked_by_hand() -> None:
    scores = classification_scores(LABELS, PROBABILITIES)
    assert tuple(scores) == SCORES
    assert scores == pytest.approx(
        {
            "f1": 2 * 3 / (2 * 3 + 1 + 2),
            "precision": 3 / 4,
            "recall": 3 / 5,
            "auroc": 23 / 25,  # the decoy at 0.6 lies above two of five splice sites
            "average_precision": (1 + 1 + 1 + 4 / 5 + 5 / 6) / 5,
            "accuracy": 7 / 10,
            "mcc": (3 * 4 - 1 * 2) / np.sqrt(4 * 5 * 5 * 6),
        }
    )


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 8)), min_size=2, max_size=40))
def test_auroc_is_the_chance_of_ranking_a_site_above_a_decoy(windows: list[tuple[int, int]]) -> None:
    labels, eighths = np.array(windows).T
    if np.unique(labels).size < 2:
        return
    pairs = labels.sum() * (1 - labels).sum()
    expected = mannwhitneyu(eighths[labels == 1], eighths[labels == 0]).statistic / pairs
    assert classification_scores(labels, eighths / 8)["auroc"] == pytest.approx(expected)


def test_threshold_is_exclusive_and_can_be_set() -> None:
    labels, probabilities = np.array([1, 1, 0]), np.array([0.5, 0.51, 0.2])
    assert classification_scores(labels, probabilities)["recall"] == 0.5
    assert classification_scores(labels, probabilities, threshold=0.49)["recall"] == 1.0
    assert classification_scores(labels, probabilities, threshold=0.1)["precision"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("label", [0, 1])
def test_one_label_leaves_ranking_scores_undefined(label: int) -> None:
    scores = classification_scores(np.full(4, label), np.array([0.1, 0.4, 0.6, 0.9]))
    assert np.isnan([scores["auroc"], scores["average_precision"]]).all()
    assert (scores["accuracy"], scores["recall"], scores["mcc"]) == (0.5, 0.5 * label, 0.0)


def test_nothing_called_gives_zero_and_no_warning() -> None:
    scores = classification_scores(np.array([0, 1]), np.array([0.1, 0.2]))
    assert (scores["f1"], scores["precision"], scores["mcc"]) == (0.0, 0.0, 0.0)
    assert scores["auroc"] == 1.0


def test_no_windows_leave_every_score_undefined() -> None:
    scores = classification_scores(np.array([], dtype=np.int64), np.array([]))
    assert tuple(scores) == SCORES
    assert np.isnan(list(scores.values())).all()


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 8)), min_size=1, max_size=40), st.integers(1, 7))
def test_scores_are_those_of_scikit_learn(windows: list[tuple[int, int]], eighths: int) -> None:
    labels, probabilities = np.array(windows).T / [[1], [8]]
    called = probabilities > eighths / 8
    found = classification_scores(labels.astype(int), probabilities, eighths / 8)
    expected = precision_recall_fscore_support(labels, called, average="binary", zero_division=0)
    assert (found["precision"], found["recall"], found["f1"]) == pytest.approx(expected[:3])
    assert f1_at(labels.astype(int), probabilities, eighths / 8) == pytest.approx(expected[2])
    assert found["accuracy"] == pytest.approx((labels == called).mean())


def test_site_types_are_scored_apart() -> None:
    site_types = np.where(np.arange(10) % 2, ACCEPTOR, DONOR)
    by_site = scores_by_site(LABELS, PROBABILITIES, site_types, threshold=0.35)
    assert by_site == {
        "all": classification_scores(LABELS, PROBABILITIES, 0.35),
        "donor": classification_scores(LABELS[::2], PROBABILITIES[::2], 0.35),
        "acceptor": classification_scores(LABELS[1::2], PROBABILITIES[1::2], 0.35),
    }
    assert by_site["donor"]["f1"] == 1.0
    assert by_site["acceptor"]["f1"] == pytest.approx(0.5)


def test_an_absent_site_type_is_nan() -> None:
    by_site = scores_by_site(LABELS, PROBABILITIES, np.full(10, DONOR))
    assert by_site["donor"] == by_site["all"]
    assert np.isnan(list(by_site["acceptor"].values())).all()


@pytest.mark.parametrize(
    ("labels", "probabilities", "problem"),
    [
        ([0, 1], [-2.0, 3.0], "logits need a sigmoid"),
        ([0, 1], [0.2, np.nan], "no probability"),
        ([0, 2], [0.2, 0.3], "neither 0 nor 1"),
        ([0, 1, 1], [0.2, 0.3], "are not"),
    ],
)
def test_input_without_scores_is_refused(labels: list[int], probabilities: list[float], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        classification_scores(np.array(labels), np.array(probabilities))


@pytest.mark.parametrize(("site_types", "problem"), [(np.full(10, 5), "other than"), (np.zeros(9), "differ")])
def test_unknown_site_types_are_refused(site_types: IntArray, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        scores_by_site(LABELS, PROBABILITIES, site_types)


def test_the_published_threshold_calls_fewer_splice_sites() -> None:
    """0.6 is above a probability of 0.5, but the logit of 0.6, 0.405, is below 0.5."""
    labels, probabilities = np.array([1, 1, 0, 0]), np.array([0.9, 0.6, 0.6, 0.1])
    assert pytest.approx(0.6224593) == PUBLISHED_THRESHOLD
    assert classification_scores(labels, probabilities)["f1"] == pytest.approx(0.8)  # 2 right of 3 called
    assert classification_scores(labels, probabilities, PUBLISHED_THRESHOLD)["f1"] == pytest.approx(2 / 3)  # 1 of 1
