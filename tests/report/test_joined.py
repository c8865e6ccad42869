import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tests.report.conftest import RATIO

from simcsp.errors import InputError
from simcsp.report.answer import answer
from simcsp.report.comparisons import REFERENCES, Comparison, as_frame, compare
from simcsp.report.joined import (
    METRICS,
    Scored,
    contrastive_models,
    joined_scores,
    joined_transfer,
    require_same_windows,
    variants,
)
from simcsp.report.joined_page import joined_figure, joined_report

RECIPES = [
    {"name": "mlm_control", "contrastive_weight": 0.0, "contrastive_weight_end": None, "positives": "window"},
    {"name": "joint", "contrastive_weight": 1.0, "contrastive_weight_end": None, "positives": "window"},
    {"name": "rising", "contrastive_weight": 0.0, "contrastive_weight_end": 1.0, "positives": "window"},
    {"name": "supervised", "contrastive_weight": 1.0, "contrastive_weight_end": None, "positives": "label"},
]
DIFFERENCES = ((0.03, 0.02), (0.04, 0.05))  # joint minus control: seeds × folds


def scored(labels: int, seed: int, scores: pd.DataFrame, **settings: Any) -> Scored:
    kept = {"finetune.labels": labels, "finetune.epochs": 5 if labels else 1, "pretrain.also": RECIPES, **settings}
    return Scored(f"run-{seed}-{labels}", seed, kept, scores, transfer_of(scores), RATIO, split_seed=seed)


def scores_of(seed: int, shift: float = 0.0) -> pd.DataFrame:
    rows = []
    for fold, difference in enumerate(DIFFERENCES[seed]):
        control = 0.8 + 0.01 * fold + 0.02 * seed
        f1_of = {
            "mlm_control": control,
            "joint": control + difference + shift,
            "logistic_regression": 0.7 + 0.01 * fold,
        }
        for model, f1 in f1_of.items():
            encoder = {} if model == "logistic_regression" else {"sccs": f1 / 2, "nmi": 0.1}
            values = {"f1": f1, "auroc": f1 + 0.1, **encoder}
            rows += [(model, str(fold), "all", name, value) for name, value in values.items()]
            rows.append((model, str(fold), "donor", "f1", 0.0))
    return pd.DataFrame(rows, columns=["model", "fold", "site", "metric", "value"])


def transfer_of(scores: pd.DataFrame) -> pd.DataFrame:
    return scores.assign(species="fly")


def compared(scores: pd.DataFrame, metrics: Sequence[str] = METRICS) -> list[Comparison]:
    variants = dict.fromkeys(scores.index.get_level_values("variant"), RATIO)
    return compare(scores, variants, metrics, REFERENCES)


def answered(runs: list[Scored], metrics: Sequence[str] = METRICS) -> str:
    return answer(compared(joined_scores(runs), metrics), *contrastive_models(run.settings for run in runs))


RUNS = [scored(labels, seed, scores_of(seed, 0.1 if labels else 0.0)) for labels in (200, 0) for seed in (0, 1)]


def test_variants_are_named_by_what_differs_but_the_seed() -> None:
    assert variants(RUNS) == ["200 labels", "200 labels", "all labels", "all labels"]
    cut = [scored(0, seed, scores_of(0), **{"encoder.drop_layers": drop}) for drop in (0, 1) for seed in (0, 1)]
    assert variants(cut) == ["drop layers 0", "drop layers 0", "drop layers 1", "drop layers 1"]
    assert variants(cut[:2]) == ["all runs", "all runs"]
    both = [scored(labels, 0, scores_of(0), **{"encoder.layer": layer}) for labels in (5, 0) for layer in (1, 2)]
    assert len(set(variants(both))) == 4


def test_the_number_of_labels_stands_for_nothing_but_fine_tuning() -> None:
    runs = [scored(labels, 0, scores_of(0), **{"encoder.layers": layers}) for labels, layers in ((200, 2), (1000, 4))]
    assert variants(runs) == ["layers 2, 200 labels", "layers 4, 1000 labels"]


@pytest.mark.parametrize("name", ["data.windows", "data.window", "data.simulate.genes"])
def test_runs_of_different_windows_are_not_compared(name: str) -> None:
    one, same, other = (scored(200, seed, scores_of(0), **{name: value}) for seed, value in ((0, 1), (1, 1), (2, 3)))
    require_same_windows([one, same])
    with pytest.raises(InputError, match=rf"run-0-200 and run-2-200 are of different windows \({name} differs\)"):
        require_same_windows([one, same, other])


def test_a_run_that_repeats_another_is_refused() -> None:
    again = replace(RUNS[0], name="copy")
    with pytest.raises(InputError, match="the runs run-0-200 and copy have the same settings, seed and split"):
        joined_scores([RUNS[0], again])
    with pytest.raises(InputError, match="have the same settings, seed and split"):
        joined_scores([RUNS[0], replace(RUNS[0])])


def test_scores_are_by_variant_model_seed_split_and_fold() -> None:
    table = joined_scores(RUNS)
    assert table.loc[("all labels", "joint", 1, 1, "0"), "f1"] == pytest.approx(0.82 + 0.04)
    assert table.loc[("200 labels", "joint", 1, 1, "0"), "f1"] == pytest.approx(0.82 + 0.14)
    assert len(table) == 2 * 3 * 2 * 2


def test_comparison_is_the_corrected_t_test_over_folds_and_seeds_worked_by_hand() -> None:
    """Differences 0.03, 0.02, 0.04, 0.05: mean 0.035, variance 0.000167, three degrees of freedom."""
    table = as_frame(compared(joined_scores(RUNS)))
    rows = table[(table.reference == "mlm_control") & (table.metric == "f1")].set_index(["variant", "model"])
    found = rows.loc[("all labels", "joint")]
    error = math.sqrt((1 / 4 + RATIO) * np.var([0.03, 0.02, 0.04, 0.05], ddof=1))
    assert (found.pairs, found.difference) == (4, pytest.approx(0.035))
    assert [float(one) for one in found.of_seeds.split()] == pytest.approx([0.025, 0.045])
    assert found.p == pytest.approx(2 * stats.t(3).sf(0.035 / error))
    assert (found.low, found.high) == pytest.approx(stats.t(3, 0.035, error).interval(0.95))
    family = rows.p.to_numpy()
    assert len(family) == 4  # two models in two variants
    order = np.argsort(family)
    expected = np.empty(4)
    expected[order] = np.maximum.accumulate(family[order] * np.arange(4, 0, -1)).clip(max=1)
    assert rows.p_holm.to_numpy() == pytest.approx(expected)


def test_seeds_that_share_a_split_are_averaged_within_each_fold() -> None:
    """Means of 0.03 and 0.045, and of 0.02 and 0.05: 0.0375 and 0.035, one degree of freedom."""
    later = scores_of(1)
    later.loc[(later.model == "joint") & (later.fold == "0") & (later.metric == "f1"), "value"] += 0.005
    runs = [replace(scored(0, seed, table), split_seed=7) for seed, table in ((0, scores_of(0)), (1, later))]
    (found,) = (c for c in compared(joined_scores(runs), ["f1"]) if (c.model, c.reference) == ("joint", "mlm_control"))
    error = math.sqrt((1 / 2 + RATIO) * np.var([0.0375, 0.035], ddof=1))
    assert found.pairs == 2
    assert found.difference == pytest.approx(0.03625)
    assert found.p == pytest.approx(2 * stats.t(1).sf(0.03625 / error))


def test_a_seed_without_a_score_is_not_averaged_away() -> None:
    lacking = scores_of(1)
    lacking.loc[(lacking.model == "joint") & (lacking.fold == "0") & (lacking.metric == "sccs"), "value"] = math.nan
    runs = [replace(scored(0, seed, table), split_seed=7) for seed, table in ((0, scores_of(0)), (1, lacking))]
    scores = joined_scores(runs)
    assert "joint" not in {c.model for c in compared(scores, ["sccs"])}
    said = "Not compared, for want of a score in some folds: joint MLM + SimCSP (all runs, SCCS: 1 of 4 folds)."
    assert said in joined_report("x", runs, scores, compared(scores), joined_transfer(runs))


def test_models_without_a_metric_and_references_that_are_absent_are_left_out() -> None:
    table = as_frame(compared(joined_scores(RUNS)))
    assert set(table.reference) == {"mlm_control", "logistic_regression"}
    assert "logistic_regression" not in set(table[table.metric == "sccs"].model)
    assert not ((table.reference == "logistic_regression") & (table.metric == "nmi")).any()


def test_the_page_has_every_comparison_and_the_answer_in_words() -> None:
    scores, transfer = joined_scores(RUNS), joined_transfer(RUNS)
    page = joined_report("study", RUNS, scores, compared(scores), transfer)
    for heading in (
        "# study: 4 runs together",
        "## What was run",
        "## Against MLM control",
        "## Other species",
        "## What to distrust",
    ):
        assert heading in page
    assert "| 200 labels | joint MLM + SimCSP | F1 | +0.1350 |" in page
    assert "nan" not in page
    assert "Not compared" not in page
    assert "| +0.1250, +0.1450 |" in page
    said = answered(RUNS)
    assert said in page
    assert said.startswith("**Does contrastive pre-training help?**\n\n- 200 labels: ")
    assert "200 labels: Yes: joint MLM + SimCSP against MLM control, F1 +0.1350" in said
    assert len(joined_figure(scores).axes) == 2


def test_the_page_says_which_windows_and_encoder_the_runs_share() -> None:
    def page(*settings: dict[str, Any]) -> str:
        runs = [scored(0, seed, scores_of(0), **one) for seed, one in enumerate(settings)]
        table = joined_scores(runs)
        return joined_report("x", runs, table, compared(table), joined_transfer(runs))

    architecture = {"encoder.architecture": "bert", "encoder.layers": 2, "encoder.hidden": 96}
    small = {"data.window": 100, "encoder.init": "scratch", **architecture}
    assert "\nIn common: windows of 100 nt, encoders bert, 2 layers, hidden size 96.\n" in page(small, small)
    larger = {**small, "encoder.layers": 4, "encoder.hidden": 128}
    assert "\nIn common: windows of 100 nt, encoders bert.\n" in page(small, larger)
    given = {**small, "encoder.init": "510nt"}
    assert "\nIn common: windows of 100 nt, encoders from 510nt.\n" in page(given, given)


def test_nothing_in_common_is_said() -> None:
    only = scores_of(0)
    assert "No contrastively pre-trained encoder" in answered([scored(0, 0, only[only.model == "joint"])])


def test_the_answer_is_of_contrast_without_labels_and_names_the_others_apart() -> None:
    gains = {"joint": 0.01, "rising": 0.02, "supervised": 0.3, "baseline-400": 0.5, "contrast-40": 0.4, "random": 0.6}
    models = {"mlm_control": 0.0, **gains}
    rows = [
        (model, str(fold), "all", "f1", 0.3 + gain + 0.01 * fold + 0.001 * (fold == 0) * (gain > 0))
        for model, gain in models.items()
        for fold in range(3)
    ]
    scores = pd.DataFrame(rows, columns=["model", "fold", "site", "metric", "value"])
    runs = [scored(0, 0, scores, **{"pretrain.contrast.contrastive_weight": 1.0})]
    assert contrastive_models([runs[0].settings]) == ({"best_sccs", "best_nmi", "joint", "rising"}, {"supervised"})
    said = answered(runs, ["f1"])
    assert "help?** Yes: rising, the best of 2, against MLM control, F1 +0.0203" in said
    assert ". Yes: supervised SimCSP against MLM control, F1 +0.3003" in said
    assert said.endswith("It saw labelled or orthologous sites of its own in pre-training.")
    assert said.count("against") == 2
    only = scores[scores.model.isin(["mlm_control", "baseline-400"])]
    assert "No contrastively pre-trained encoder" in answered([scored(0, 0, only)], ["f1"])
