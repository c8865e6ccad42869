import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from simcsp.metrics.significance import Interval
from simcsp.report.tables import (
    CLASSIFICATION,
    COMPARED,
    Comparison,
    compare_with_baseline,
    fold_scores,
    layer_summary,
    metrics_json,
    site_means,
    verdict,
    window_intervals,
)

MODELS = ["baseline", "best_sccs", "best_nmi", "random", "logistic_regression"]
RATIO = 2 / 7  # of a split into 2, 1 and 7 parts
BETTER = Comparison("best_sccs", "f1", 0.03, (0.01, 0.05), 0.01, 0.03, 0.0152, 3.0)


def compared(scores: pd.DataFrame, model: str, metric: str) -> Comparison:
    found = [c for c in compare_with_baseline(fold_scores(scores), RATIO) if (c.model, c.metric) == (model, metric)]
    assert len(found) == 1
    return found[0]


def test_fold_scores_are_those_of_all_sites_in_the_order_written(scores: pd.DataFrame) -> None:
    table = fold_scores(scores)
    assert list(table.index) == [(model, str(fold)) for model in MODELS for fold in range(3)]
    assert table.loc[("best_sccs", "2"), "f1"] == 0.98
    assert table.loc[("best_sccs", "2"), "auroc"] == 0.99
    assert table.loc[("random", "1"), "nmi"] == 0.4
    assert math.isnan(table.loc[("logistic_regression", "1"), "nmi"])


def test_site_means_are_over_folds(scores: pd.DataFrame) -> None:
    means = site_means(scores)
    assert list(means.index) == MODELS
    assert set(means.columns) == {(site, metric) for site in ("donor", "acceptor") for metric in CLASSIFICATION}
    assert means.loc["baseline", ("donor", "f1")] == pytest.approx(0.92 + 0.02)
    assert means.loc["random", ("acceptor", "auroc")] == pytest.approx((0.80 + 0.81 + 0.84) / 3 - 0.02 + 0.01)


def test_every_other_model_is_compared_on_every_metric_it_has(scores: pd.DataFrame) -> None:
    comparisons = compare_with_baseline(fold_scores(scores), RATIO)
    assert [(c.model, c.metric) for c in comparisons] == [
        (model, metric)
        for metric in ("f1", "auroc", "average_precision", "sccs", "nmi")
        for model in MODELS[1:]
        if model != "logistic_regression" or metric in CLASSIFICATION
    ]


@pytest.mark.parametrize("model", ["baseline", "best_nmi"])
def test_a_metric_that_is_undefined_in_a_fold_is_not_compared(scores: pd.DataFrame, model: str) -> None:
    scores.loc[(scores.model == model) & (scores.metric == "sccs") & (scores.fold == "1"), "value"] = math.nan
    found = {c.model for c in compare_with_baseline(fold_scores(scores), RATIO) if c.metric == "sccs"}
    assert found == (set() if model == "baseline" else {"best_sccs", "random"})


def test_comparison_is_the_corrected_t_test_worked_by_hand(scores: pd.DataFrame) -> None:
    """Differences 0.03, 0.02 and 0.04: mean 0.03, variance 0.0001, two degrees of freedom."""
    error = math.sqrt((1 / 3 + RATIO) * 0.0001)
    p = 2 * stats.t(2).sf(0.03 / error)
    found = compared(scores, "best_sccs", "f1")
    assert found.difference == pytest.approx(0.03)
    assert found.p == pytest.approx(p)
    assert found.interval == pytest.approx(stats.t(2, 0.03, error).interval(0.95))
    assert found.effect == pytest.approx(3.0)
    holm = 1 - 0.025 / 4  # four models are compared, and the first of them has to pass this level
    assert found.detectable == pytest.approx(error * (stats.t(2).ppf(holm) + stats.t(2).ppf(0.8)))
    assert p > stats.ttest_1samp([0.03, 0.02, 0.04], 0).pvalue  # the ordinary test would claim more


def test_p_values_are_corrected_over_the_models_of_one_metric(scores: pd.DataFrame) -> None:
    comparisons = [c for c in compare_with_baseline(fold_scores(scores), RATIO) if c.metric == "f1"]
    order = sorted(comparisons, key=lambda c: c.p)
    expected = np.maximum.accumulate([(4 - rank) * c.p for rank, c in enumerate(order)]).clip(max=1)
    assert [c.p_holm for c in order] == pytest.approx(list(expected))
    assert order[0].model == "random"


def test_folds_are_paired_by_name_and_not_by_place(scores: pd.DataFrame) -> None:
    shuffled = scores.sample(frac=1, random_state=3)
    expected = {(c.model, c.metric): c for c in compare_with_baseline(fold_scores(scores), RATIO)}
    for c in compare_with_baseline(fold_scores(shuffled), RATIO):
        assert c.difference == pytest.approx(expected[c.model, c.metric].difference)
        assert c.p == pytest.approx(expected[c.model, c.metric].p)


def test_scores_of_several_seeds_are_averaged_within_a_fold(scores: pd.DataFrame) -> None:
    other = scores.assign(seed=1, value=scores.value + np.where(scores.model == "best_sccs", 0.02, 0.0))
    both = fold_scores(pd.concat([scores.assign(seed=0), other]))
    assert list(both.index) == list(fold_scores(scores).index)
    assert both.loc[("best_sccs", "1"), "f1"] == pytest.approx(0.94 + 0.01)


def test_windows_are_resampled_for_both_models_alike() -> None:
    rng = np.random.default_rng(0)
    label = np.tile([0, 1], 100)
    columns = {"fold": np.repeat(["fold-0", "fold-1"], 100), "row": np.arange(200), "label": label}
    sure = pd.DataFrame({**columns, "probability": np.clip(label + rng.normal(0, 0.4, 200), 0, 1)})
    unsure = pd.DataFrame({**columns, "probability": np.clip(label + rng.normal(0, 0.9, 200), 0, 1)})
    found = window_intervals(
        {"baseline": unsure, "best_sccs": sure.sample(frac=1, random_state=1), "random": unsure}, 0.5, seed=0
    )
    assert found["random"] == (0, 0, 0)
    f1 = [
        np.mean([f1_score(p.label, p.probability > 0.5) for _, p in table.groupby("fold")]) for table in (sure, unsure)
    ]
    difference, low, high = found["best_sccs"]
    assert difference == pytest.approx(f1[0] - f1[1])
    assert 0 < low < difference < high


def test_interval_over_windows_goes_with_f1_alone(scores: pd.DataFrame) -> None:
    windows = dict.fromkeys(MODELS[1:], Interval(0.01, -0.02, 0.03))
    found = compare_with_baseline(fold_scores(scores), RATIO, windows)
    assert {c.metric for c in found if c.windows == (-0.02, 0.03)} == {"f1"}
    assert {c.windows for c in found if c.metric != "f1"} == {None}


def test_layers_are_summed_up_by_the_best_of_each_score(layers: pd.DataFrame) -> None:
    summary = layer_summary(layers)
    assert list(summary.index) == MODELS[:3]
    assert summary.loc["baseline"].tolist() == [
        "0.150 (layer 0, site)", "0.240 (layer 1, site)", "0.900 (layer 1, site)", "0.100 0.900 (site)",
    ]  # fmt: skip
    assert layer_summary(layers[layers.layer != "mixture"]).weights.tolist() == ["–"] * 3


def test_metrics_hold_folds_means_and_comparisons(scores: pd.DataFrame) -> None:
    table = fold_scores(scores)
    content = metrics_json(table, compare_with_baseline(table, RATIO))
    assert list(content) == MODELS
    baseline, kept = content["baseline"], content["best_sccs"]
    assert [fold["f1"] for fold in baseline["folds"]] == [0.90, 0.92, 0.94]
    assert (baseline["mean"]["f1"], baseline["sd"]["f1"]) == pytest.approx((0.92, 0.02))
    assert kept["mean"]["f1"] == pytest.approx(0.95)
    assert kept["mean"]["nmi"] == pytest.approx(0.4)
    assert kept["sd"]["nmi"] == pytest.approx(0.1)
    assert baseline["against_baseline"] == {}
    assert set(kept["against_baseline"]) == set(COMPARED)
    c = compared(scores, "best_sccs", "f1")
    assert kept["against_baseline"]["f1"] == {
        "difference": c.difference, "interval": list(c.interval), "p": c.p, "p_holm": c.p_holm,
        "detectable_difference": c.detectable, "effect_size": c.effect, "interval_over_windows": None,
    }  # fmt: skip


def test_what_was_not_measured_is_left_out_of_the_metrics(scores: pd.DataFrame) -> None:
    content = metrics_json(fold_scores(scores), [])["logistic_regression"]
    for part in (content["mean"], content["sd"], *content["folds"]):
        assert set(part) == {"f1", "precision", "auroc", "average_precision"}


@pytest.mark.parametrize(
    ("comparison", "words"),
    [
        (BETTER, "better than BASELINE"),
        (replace(BETTER, difference=-0.03), "worse than BASELINE"),
        (replace(BETTER, p_holm=0.06), "no detectable difference (one of 0.015 would have been seen)"),
        (replace(BETTER, p=0.001, p_holm=1.0), "no detectable difference (one of 0.015 would have been seen)"),
    ],
)
def test_verdict_follows_the_corrected_p_value(comparison: Comparison, words: str) -> None:
    assert verdict(comparison) == words
