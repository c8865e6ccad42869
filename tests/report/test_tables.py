import math

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score
from tests.report.conftest import MODELS, RATIO

from simcsp.report.comparisons import NAMES, against_baseline
from simcsp.report.tables import (
    CLASSIFICATION,
    fold_scores,
    layer_summary,
    metrics_json,
    site_means,
    window_intervals,
)


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


def test_layers_are_summed_up_by_the_best_of_each_score(layers: pd.DataFrame) -> None:
    summary = layer_summary(layers)
    assert list(summary.index) == MODELS[:3]
    assert summary.loc["baseline"].tolist() == [
        "0.150 (layer 0, site)", "0.240 (layer 1, site)", "0.900 (layer 1, site)", "0.100 0.900 (site)",
    ]  # fmt: skip
    assert layer_summary(layers[layers.layer != "mixture"]).weights.tolist() == ["–"] * 3


def test_metrics_hold_folds_means_and_comparisons(scores: pd.DataFrame) -> None:
    table = fold_scores(scores)
    compared = against_baseline(table, RATIO)
    content = metrics_json(table, compared)
    assert list(content) == MODELS
    baseline, kept = content["baseline"], content["best_sccs"]
    assert [fold["f1"] for fold in baseline["folds"]] == [0.90, 0.92, 0.94]
    assert (baseline["mean"]["f1"], baseline["sd"]["f1"]) == pytest.approx((0.92, 0.02))
    assert kept["mean"]["f1"] == pytest.approx(0.95)
    assert kept["mean"]["nmi"] == pytest.approx(0.4)
    assert kept["sd"]["nmi"] == pytest.approx(0.1)
    assert baseline["against_baseline"] == {}
    assert set(kept["against_baseline"]) == set(NAMES)
    (c,) = (c for c in compared if (c.model, c.metric) == ("best_sccs", "f1"))
    assert kept["against_baseline"]["f1"] == {
        "difference": c.difference, "interval": [c.low, c.high], "p": c.p, "p_holm": c.p_holm,
        "detectable_difference": c.detectable, "effect_size": c.effect, "interval_over_windows": None,
    }  # fmt: skip


def test_what_was_not_measured_is_left_out_of_the_metrics(scores: pd.DataFrame) -> None:
    content = metrics_json(fold_scores(scores), [])["logistic_regression"]
    for part in (content["mean"], content["sd"], *content["folds"]):
        assert set(part) == {"f1", "precision", "auroc", "average_precision"}
