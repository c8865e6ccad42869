import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tests.report.conftest import MODELS, RATIO

from simcsp.metrics.significance import Interval
from simcsp.report.comparisons import (
    Comparison,
    against_baseline,
    as_frame,
    as_frame_of_one_run,
    comparison_table,
    seen,
    verdict,
)
from simcsp.report.tables import CLASSIFICATION, fold_scores

BETTER = Comparison(
    variant="this run", reference="baseline", model="best_sccs", metric="f1", pairs=3, difference=0.03, low=0.01,
    high=0.05, p=0.01, effect=3.0, detectable=0.0152, p_holm=0.03,
)  # fmt: skip


def compared(scores: pd.DataFrame, model: str, metric: str) -> Comparison:
    found = [c for c in against_baseline(fold_scores(scores), RATIO) if (c.model, c.metric) == (model, metric)]
    assert len(found) == 1
    return found[0]


def test_every_other_model_is_compared_on_every_metric_it_has(scores: pd.DataFrame) -> None:
    comparisons = against_baseline(fold_scores(scores), RATIO)
    assert [(c.model, c.metric) for c in comparisons] == [
        (model, metric)
        for metric in ("f1", "auroc", "average_precision", "sccs", "nmi")
        for model in MODELS[1:]
        if model != "logistic_regression" or metric in CLASSIFICATION
    ]


@pytest.mark.parametrize("model", ["baseline", "best_nmi"])
def test_a_metric_that_is_undefined_in_a_fold_is_not_compared(scores: pd.DataFrame, model: str) -> None:
    scores.loc[(scores.model == model) & (scores.metric == "sccs") & (scores.fold == "1"), "value"] = math.nan
    found = {c.model for c in against_baseline(fold_scores(scores), RATIO) if c.metric == "sccs"}
    assert found == (set() if model == "baseline" else {"best_sccs", "random"})


def test_comparison_is_the_corrected_t_test_worked_by_hand(scores: pd.DataFrame) -> None:
    """Differences 0.03, 0.02 and 0.04: mean 0.03, variance 0.0001, two degrees of freedom."""
    error = math.sqrt((1 / 3 + RATIO) * 0.0001)
    p = 2 * stats.t(2).sf(0.03 / error)
    found = compared(scores, "best_sccs", "f1")
    assert found.difference == pytest.approx(0.03)
    assert found.p == pytest.approx(p)
    assert (found.low, found.high) == pytest.approx(stats.t(2, 0.03, error).interval(0.95))
    assert found.effect == pytest.approx(3.0)
    holm = 1 - 0.025 / 4  # four models are compared, and the first of them has to pass this level
    assert found.detectable == pytest.approx(error * (stats.t(2).ppf(holm) + stats.t(2).ppf(0.8)))
    assert p > stats.ttest_1samp([0.03, 0.02, 0.04], 0).pvalue  # the ordinary test would claim more


def test_p_values_are_corrected_over_the_models_of_one_metric(scores: pd.DataFrame) -> None:
    comparisons = [c for c in against_baseline(fold_scores(scores), RATIO) if c.metric == "f1"]
    order = sorted(comparisons, key=lambda c: c.p)
    expected = np.maximum.accumulate([(4 - rank) * c.p for rank, c in enumerate(order)]).clip(max=1)
    assert [c.p_holm for c in order] == pytest.approx(list(expected))
    assert order[0].model == "random"


def test_one_checkpoint_under_two_names_is_one_comparison(scores: pd.DataFrame) -> None:
    alone = {c.model: c for c in against_baseline(fold_scores(scores), RATIO) if c.metric == "f1"}
    twin = scores[scores.model == "best_sccs"].assign(model="twin")
    found = {c.model: c for c in against_baseline(fold_scores(pd.concat([scores, twin])), RATIO) if c.metric == "f1"}
    assert found["twin"] == replace(found["best_sccs"], model="twin")
    del found["twin"]
    assert found == alone


def test_folds_are_paired_by_name_and_not_by_place(scores: pd.DataFrame) -> None:
    shuffled = scores.sample(frac=1, random_state=3)
    expected = {(c.model, c.metric): c for c in against_baseline(fold_scores(scores), RATIO)}
    for c in against_baseline(fold_scores(shuffled), RATIO):
        assert c.difference == pytest.approx(expected[c.model, c.metric].difference)
        assert c.p == pytest.approx(expected[c.model, c.metric].p)


def test_interval_over_windows_goes_with_f1_alone(scores: pd.DataFrame) -> None:
    windows = dict.fromkeys(MODELS[1:], Interval(0.01, -0.02, 0.03))
    found = against_baseline(fold_scores(scores), RATIO, windows)
    assert {c.metric for c in found if c.windows == (-0.02, 0.03)} == {"f1"}
    assert {c.windows for c in found if c.metric != "f1"} == {None}


@pytest.mark.parametrize(
    ("comparison", "words"),
    [
        (BETTER, "better than BASELINE"),
        (replace(BETTER, difference=-0.03, reference="mlm_control"), "worse than MLM control"),
        (replace(BETTER, p_holm=0.06), "no detectable difference"),
        (replace(BETTER, p=0.001, p_holm=1.0), "no detectable difference"),
    ],
)
def test_verdict_follows_the_corrected_p_value(comparison: Comparison, words: str) -> None:
    assert verdict(comparison) == words


def test_folds_that_all_differ_by_the_same_have_no_scatter(scores: pd.DataFrame) -> None:
    """Cohen's d_z is 0 of no difference and infinite of any other, in a run and in several."""
    twin = scores[scores.model == "baseline"].assign(model="twin")
    ahead = twin.assign(model="ahead", value=0.5)
    level = scores[scores.model == "baseline"].assign(value=0.25)
    found = against_baseline(fold_scores(pd.concat([level, ahead, level.assign(model="twin")])), RATIO)
    assert {(c.model, c.effect) for c in found if c.metric == "f1"} == {("ahead", math.inf), ("twin", 0.0)}
    table = comparison_table([c for c in found if c.metric == "f1"])
    assert "| +∞ |" in table
    assert "nan" not in table


def test_files_keep_their_columns(scores: pd.DataFrame) -> None:
    """Notebooks and other programs read them."""
    found = against_baseline(fold_scores(scores), RATIO)
    assert list(as_frame_of_one_run(found)) == [
        "model", "metric", "difference", "interval", "p", "p_holm", "detectable", "effect", "windows",
    ]  # fmt: skip
    assert list(as_frame(found)) == list(as_frame([])) == [
        "variant", "reference", "model", "metric", "pairs", "difference", "low", "high", "p", "effect", "detectable",
        "p_holm", "of_seeds",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("detectable", "words"),
    [
        (0.0152, "a difference of 0.015 would have been seen"),
        (1.2, "with so few folds that scatter so much none could have been seen"),
    ],
)
def test_no_difference_above_one_is_promised(detectable: float, words: str) -> None:
    assert seen(replace(BETTER, detectable=detectable)) == words
