"""Tables, figures and the page of a hyper-parameter search."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from simcsp.errors import InputError
from simcsp.report.figures import BLACK, BLUE, ORANGE
from simcsp.report.markdown import markdown_table

_COLOURS = {"complete": BLUE, "pruned": ORANGE}
_LOG = ("learning_rate", "temperature")


class Trial(Protocol):
    """What of a trial is reported."""

    @property
    def number(self) -> int:
        """From 0."""

    @property
    def state(self) -> str:
        """``complete``, ``pruned`` or ``failed``."""

    @property
    def settings(self) -> dict[str, Any]:
        """Dotted name → value."""

    @property
    def sccs(self) -> float:
        """Best on the selection part."""

    @property
    def course(self) -> dict[int, float]:
        """SCCS by step."""


def trials_table(trials: Sequence[Trial]) -> pd.DataFrame:
    """One row per trial: number, state, SCCS, and a column for every setting by its dotted name."""
    return pd.DataFrame([{"number": t.number, "state": t.state, "sccs": t.sccs, **t.settings} for t in trials])


def best_trial(table: pd.DataFrame) -> "pd.Series[Any]":
    """Row of the finished trial with the highest SCCS.

    Raises:
        InputError: if no trial came to its end.
    """
    complete = table[table.state == "complete"]
    if complete.empty:
        raise InputError("no trial of the search came to its end", hint="Narrow search.learning_rate")
    return complete.loc[complete.sccs.idxmax()]


def nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by dotted name as the sections of a configuration.

    >>> nested({"encoder.pooling": "site", "pretrain.contrast.batch_size": 64})
    {'encoder': {'pooling': 'site'}, 'pretrain': {'contrast': {'batch_size': 64}}}
    """
    sections: dict[str, Any] = {}
    for dotted, value in settings.items():
        *path, name = dotted.split(".")
        section = sections
        for part in path:
            section = section.setdefault(part, {})
        section[name] = value
    return sections


def history_figure(trials: Sequence[Trial]) -> Figure:
    """SCCS over the steps of every trial, and the best so far over the trials."""
    figure = Figure(figsize=(9.0, 3.2))
    left, right = figure.subplots(1, 2)
    for trial in trials:
        left.plot(
            list(trial.course), list(trial.course.values()), "-", linewidth=1, color=_COLOURS.get(trial.state, "0.7")
        )
    for state, colour in _COLOURS.items():
        right.plot(
            [t.number for t in trials if t.state == state], [t.sccs for t in trials if t.state == state],
            "o", color=colour, markersize=4, label=state,
        )  # fmt: skip
    best = pd.Series({t.number: t.sccs for t in trials if t.state == "complete"}, dtype=float).cummax()
    right.step(best.index, best, where="post", color=BLACK, linewidth=1, label="best so far")
    right.legend(loc="best")
    left.set(xlabel="contrastive step", ylabel="SCCS on the selection part")
    right.set(xlabel="trial", ylabel="best SCCS of the trial")
    for axes in (left, right):
        axes.grid(color="0.92")
    return figure


def slices_figure(table: pd.DataFrame) -> Figure:
    """SCCS against each setting, one point per trial."""
    names = [name for name in table.columns if "." in name]
    figure = Figure(figsize=(2.2 * len(names), 2.9))
    for axes, name in zip(figure.subplots(1, len(names), sharey=True, squeeze=False)[0], names, strict=True):
        short = name.rsplit(".", 1)[-1]
        if not (numeric := short in (*_LOG, "dropout", "mlm_weight")):
            order = [str(value) for value in sorted(set(table[name]))]
            axes.plot(order, [np.nan] * len(order))
        for state, colour in _COLOURS.items():
            rows = table[table.state == state]
            values = rows[name] if numeric else rows[name].astype(str)
            axes.plot(values, rows.sccs, "o", color=colour, markersize=4, label=state)
        if short in _LOG:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(numticks=3))
            axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(short.replace("_", " "))
        axes.grid(color="0.92")
    figure.axes[0].set_ylabel("best SCCS of the trial")
    figure.axes[0].legend(loc="best")
    return figure


def search_report(run: str, table: pd.DataFrame) -> str:
    """The page, as Markdown."""
    best, states = best_trial(table), table.state.value_counts()
    names = [name for name in table.columns if "." in name]
    ranked = table.sort_values("sccs", ascending=False, na_position="last")
    rows = [
        [row.number, row.state, f"{row.sccs:.4f}", *(_cell(row[name]) for name in names)]
        for _, row in ranked.iterrows()
    ]
    counts = ", ".join(f"{states.get(state, 0)} {state}" for state in ("complete", "pruned", "failed"))
    return (
        "\n\n".join(
            [
                f"# Hyper-parameter search of run {run}",
                f"**Best SCCS on the selection part: {best.sccs:.4f}**, in trial {best.number} of {len(table)} "
                f"({counts}). Its settings are in `best.yaml`.",
                markdown_table(["setting", "best"], [[f"`{name}`", _cell(best[name])] for name in names]),
                "## Trials",
                "![SCCS of every trial over its steps, and the best so far over the trials](history.png)",
                "![Best SCCS of every trial against each setting](slices.png)",
                markdown_table(["trial", "state", "SCCS", *(name.rsplit(".", 1)[-1] for name in names)], rows),
                "## What to distrust",
                "- The best of many noisy values is too high. The standard error of one SCCS is about one over the "
                "square root of the number of pairs: settings that differ by less are equals.\n"
                "- SCCS is measured with the pooling and the layers of the trial, so it compares embeddings that are "
                "made in different ways.\n"
                "- Nothing here has seen a fold. Whether a higher SCCS finds more splice sites is what experiment 1 "
                "asks.",
            ]
        )
        + "\n"
    )


def _cell(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
