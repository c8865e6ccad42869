from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from simcsp.errors import InputError
from simcsp.report.search import best_trial, history_figure, nested, search_report, slices_figure, trials_table


@dataclass(frozen=True)
class Tried:
    number: int
    state: str
    sccs: float
    settings: dict[str, Any] = field(default_factory=dict)
    course: dict[int, float] = field(default_factory=dict)


def tried(number: int, state: str, sccs: float) -> Tried:
    rng = np.random.default_rng(number)
    settings = {
        "pretrain.contrast.learning_rate": float(10 ** rng.uniform(-5, -3)),
        "pretrain.contrast.temperature": float(10 ** rng.uniform(-2, 0)),
        "encoder.dropout": float(rng.uniform(0.05, 0.3)),
        "pretrain.contrast.mlm_weight": float(rng.uniform()),
        "pretrain.contrast.batch_size": int(rng.choice([32, 64])),
        "encoder.drop_layers": int(rng.choice([0, 1])),
        "encoder.pooling": str(rng.choice(["cls", "site"])),
    }
    steps = range(0, 100, 20 if state == "complete" else 50)
    return Tried(number, state, sccs, settings, {s: sccs * s / 80 for s in steps})


TRIALS = [
    tried(0, "complete", 0.1), tried(1, "pruned", 0.4), tried(2, "complete", 0.3), tried(3, "failed", float("nan")),
    tried(4, "complete", 0.2), tried(5, "pruned", 0.05),
]  # fmt: skip


def test_best_is_the_best_of_those_that_came_to_their_end() -> None:
    best = best_trial(trials_table(TRIALS))
    assert (best.number, best.sccs) == (2, 0.3)
    with pytest.raises(InputError, match="no trial of the search came to its end"):
        best_trial(trials_table(TRIALS[1:2]))


def test_settings_become_sections() -> None:
    sections = nested(TRIALS[0].settings)
    assert set(sections) == {"pretrain", "encoder"}
    assert sections["pretrain"]["contrast"]["batch_size"] == TRIALS[0].settings["pretrain.contrast.batch_size"]


def test_the_page_lists_every_trial_the_best_first() -> None:
    page = search_report("exp2", trials_table(TRIALS))
    assert "**Best SCCS on the selection part: 0.3000**, in trial 2 of 6 (3 complete, 2 pruned, 1 failed)" in page
    rows = [line.split(" | ")[0] for line in page.split("## Trials")[1].splitlines() if line.startswith("| ")]
    assert rows == ["| trial", "| 1", "| 2", "| 4", "| 0", "| 5", "| 3"]


def test_figures_show_every_trial() -> None:
    history, slices = history_figure(TRIALS), slices_figure(trials_table(TRIALS))
    assert isinstance(history, Figure)
    assert len(history.axes[0].lines) == len(TRIALS)
    best = history.axes[1].lines[-1]
    assert list(np.asarray(best.get_ydata())) == [0.1, 0.3, 0.3]
    assert len(slices.axes) == len(TRIALS[0].settings)
    assert [axes.get_xscale() for axes in slices.axes[:3]] == ["log", "log", "linear"]
