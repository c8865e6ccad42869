"""Tables, figures and the page of a hyper-parameter search."""

from collections.abc import Iterable, Mapping, Sequence
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
_ACROSS = 4  # panels in a row


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
    figure = Figure(figsize=(7.4, 3.0))
    left, right = figure.subplots(1, 2)
    for trial in trials:
        left.plot(
            list(trial.course), list(trial.course.values()), "-", linewidth=1, color=_COLOURS.get(trial.state, "0.7")
        )
    for state, colour in _present(t.state for t in trials).items():
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
    rows = -(-len(names) // _ACROSS)
    figure = Figure(figsize=(7.6, 2.4 * rows))
    panels = figure.subplots(rows, _ACROSS, sharey=True, squeeze=False)
    for axes, name in zip(panels.flat, names, strict=False):
        short = name.rsplit(".", 1)[-1]
        if not (numeric := short in (*_LOG, "dropout", "mlm_weight")):
            order = [str(value) for value in sorted(set(table[name]))]
            axes.plot(order, [np.nan] * len(order))
        for state, colour in _present(table.state).items():
            trials = table[table.state == state]
            values = trials[name] if numeric else trials[name].astype(str)
            axes.plot(values, trials.sccs, "o", color=colour, markersize=4, label=state)
        if short in _LOG:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
            axes.xaxis.set_major_formatter(_short_number)
            axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(short.replace("_", " ").replace("mlm", "MLM"))
        axes.margins(x=0.1)
        axes.grid(color="0.92")
    for axes in panels.flat[len(names) :]:
        axes.remove()
    for axes in panels[:, 0]:
        axes.set_ylabel("best SCCS of the trial")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=len(_COLOURS))
    return figure


def _present(states: Iterable[str]) -> dict[str, str]:
    """Colours of the states that there are."""
    found = set(states)
    return {state: colour for state, colour in _COLOURS.items() if state in found}


def _short_number(value: float, place: int | None = None) -> str:  # noqa: ARG001 - a matplotlib formatter is told it
    """0.03, but 3e-5."""
    return f"{value:g}" if value >= 0.01 else f"{value:.0e}".replace("e-0", "e-")


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
