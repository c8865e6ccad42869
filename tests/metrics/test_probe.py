from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from simcsp.metrics.probe import FOLDS, grouped_folds, held_out_probabilities, linear_probe
from simcsp.sequence.sites import ACCEPTOR, DONOR


def windows(n: int = 400, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Donors whose label shows in one direction, acceptors whose label does not."""
    rng = np.random.default_rng(seed)
    labels, site_types = rng.integers(0, 2, n), np.arange(n) % 2
    embeddings = rng.normal(size=(n, 10))
    embeddings[:, 3] += 4.0 * labels * (site_types == DONOR)
    return embeddings, labels, site_types, np.arange(n).astype(str)


def test_what_shows_linearly_is_found_and_what_does_not_is_chance() -> None:
    found = linear_probe(*windows(), seed=0)
    assert found["probe_auroc_donor"] > 0.98
    assert found["probe_auroc_acceptor"] == pytest.approx(0.5, abs=0.12)
    assert found["probe_auroc"] == pytest.approx((found["probe_auroc_donor"] + found["probe_auroc_acceptor"]) / 2)


def test_held_out_scores_are_those_of_plain_scikit_learn() -> None:
    """Features are given variance 1 in each training part, so the pipeline is a plain logistic regression there."""
    embeddings, labels, site_types, groups = windows()
    rows = site_types == DONOR
    x, y = embeddings[rows], labels[rows]
    scores = []
    for train, held_out in grouped_folds(y, groups[rows], seed=3):
        mean, sd = x[train].mean(axis=0), x[train].std(axis=0)
        model = LogisticRegression(C=0.01).fit((x[train] - mean) / sd, y[train])
        scores.append(roc_auc_score(y[held_out], model.predict_proba((x[held_out] - mean) / sd)[:, 1]))
    found = linear_probe(embeddings, labels, site_types, groups, seed=3)["probe_auroc_donor"]
    assert found == pytest.approx(np.mean(scores), abs=1e-3)


def test_every_window_has_the_probability_of_a_probe_that_has_not_seen_it() -> None:
    embeddings, labels, site_types, groups = windows()
    found = held_out_probabilities(embeddings, labels, site_types, groups, seed=3)
    rows = np.flatnonzero(site_types == DONOR)
    scores = []
    for train, held_out in grouped_folds(labels[rows], groups[rows], seed=3):
        mean, sd = embeddings[rows[train]].mean(axis=0), embeddings[rows[train]].std(axis=0)
        model = LogisticRegression(C=0.01).fit((embeddings[rows[train]] - mean) / sd, labels[rows[train]])
        wanted = model.predict_proba((embeddings[rows[held_out]] - mean) / sd)[:, 1]
        assert found[rows[held_out]] == pytest.approx(wanted, abs=1e-3)
        scores.append(roc_auc_score(labels[rows[held_out]], found[rows[held_out]]))
    probe = linear_probe(embeddings, labels, site_types, groups, seed=3)
    assert probe["probe_auroc_donor"] == pytest.approx(np.mean(scores))


def test_a_site_type_of_one_label_has_no_probability() -> None:
    embeddings, labels, site_types, groups = windows()
    labels[site_types == ACCEPTOR] = 1
    found = held_out_probabilities(embeddings, labels, site_types, groups, seed=0)
    assert np.isnan(found[site_types == ACCEPTOR]).all()
    assert np.isfinite(found[site_types == DONOR]).all()


def test_groups_are_never_in_training_and_held_out_at_once() -> None:
    labels, groups = np.arange(60) % 2, (np.arange(60) // 4).astype(str)
    folds = grouped_folds(labels, groups, seed=1)
    assert len(folds) == FOLDS
    assert sorted(np.concatenate([held_out for _, held_out in folds]).tolist()) == list(range(60))
    for train, held_out in folds:
        assert not set(groups[train]) & set(groups[held_out])


def test_remembering_the_twins_of_a_group_is_worth_nothing() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(rng.integers(0, 2, 40), 5)
    embeddings = np.repeat(rng.normal(size=(40, 200)), 5, axis=0)  # five equal windows per group
    site_types, groups = np.full(200, DONOR), np.repeat(np.arange(40), 5)
    kept = linear_probe(embeddings, labels, site_types, groups.astype(str), seed=0)["probe_auroc"]
    torn = linear_probe(embeddings, labels, site_types, np.arange(200).astype(str), seed=0)["probe_auroc"]
    assert torn > 0.99
    assert kept < 0.8


@pytest.mark.parametrize(
    ("labels", "groups"),
    [
        pytest.param(np.zeros(20, dtype=int), np.arange(20), id="one label"),
        pytest.param(np.arange(20) % 2, np.zeros(20, dtype=int), id="one group"),
        pytest.param(np.arange(20) // 10, np.arange(20) // 10, id="a group for each label"),
    ],
)
def test_a_site_type_that_cannot_be_held_out_is_nan(labels: NDArray[Any], groups: NDArray[Any]) -> None:
    embeddings, *_ = windows(20)
    found = linear_probe(embeddings, labels, np.full(20, ACCEPTOR), groups.astype(str), seed=0)
    assert np.isnan(list(found.values())).all()
