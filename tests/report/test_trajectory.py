"""Fine-tuning's curves; the tables and correlations along pre-training are tested on whole runs."""

import numpy as np

from simcsp.report.trajectory import finetuning_figure


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
