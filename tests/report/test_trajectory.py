"""Curves and correlations along both trainings; the table of a whole run is tested in test_experiments.py."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from simcsp.report.trajectory import finetuning_figure, predictions_of_f1, trajectory_section

# Six encoders, of which the first four are of one phase: more SCCS goes with more F1 there, with less over all.
KEPT = pd.DataFrame(
    {
        "encoder": ["baseline-1", "baseline-2", "baseline-3", "baseline", "contrast-1", "contrast-2"],
        "phase": ["baseline"] * 4 + ["contrast"] * 2,
        "step": [1, 2, 3, 4, 5, 6],
        "sccs": [0.01, 0.02, 0.03, 0.04, 0.08, 0.09],
        "nmi": [0.30, 0.10, 0.20, 0.15, 0.05, 0.25],
        "f1": [0.80, 0.82, 0.81, 0.84, 0.60, 0.50],
        "f1_sd": 0.01,
        "auroc": 0.9,
        "mlm_loss": 1.25,
        "sccs_fine_tuned": 0.5,
        "nmi_fine_tuned": 0.5,
    }
)


@pytest.mark.parametrize("score", ["sccs", "nmi"])
def test_correlations_are_spearmans_over_all_encoders_and_within_a_phase(score: str) -> None:
    found = predictions_of_f1(KEPT, seed=0)
    assert {encoders for _, encoders in found} == {"all", "baseline"}  # two encoders have no correlation
    for encoders, rows in (("all", KEPT), ("baseline", KEPT[:4])):
        one = found[score, encoders]
        assert one.value == pytest.approx(spearmanr(rows[score], rows.f1).statistic)
        assert -1 <= one.low <= one.value <= one.high <= 1
    text = trajectory_section(KEPT, found)
    all_rows = spearmanr(KEPT[score], KEPT.f1).statistic
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {score.upper()} | all |")]
    assert f"| 6 | {all_rows:+.2f} |" in line


def records(*f1: float | None) -> list[dict[str, float]]:
    """Of one fold, measured every 10 steps; None: not measured."""
    return [
        {"step": 10 * number, "loss": 0.5}
        if value is None
        else {"step": 10 * number, "validation/f1": value, "validation/sccs": value / 2, "validation/nmi": value / 4}
        for number, value in enumerate(f1, 1)
    ]


def test_curves_are_means_over_folds_where_every_fold_was_measured() -> None:
    figure = finetuning_figure({"baseline": [records(0.2, 0.4, 0.6), records(0.4, 0.6, None)]})
    drawn = [np.asarray(axes.get_lines()[0].get_xydata()) for axes in figure.axes]
    assert [line.round(9).tolist() for line in drawn] == [
        [[10, 0.3], [20, 0.5]],
        [[10, 0.15], [20, 0.25]],
        [[10, 0.075], [20, 0.125]],
    ]


def test_a_checkpoint_that_is_best_twice_is_one_curve_under_both_names() -> None:
    same = [records(0.2, 0.4)]
    figure = finetuning_figure({"best_sccs": same, "best_nmi": same, "random": [records(0.1, 0.2)]})
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["BEST_SCCS = BEST_NMI", "random start"]
    assert [len(axes.get_lines()) for axes in figure.axes] == [2, 2, 2]
