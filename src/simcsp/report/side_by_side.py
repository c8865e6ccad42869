"""Several evaluated runs next to each other: scores with intervals, curves of pre-training, differences with tests."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simcsp import runs
from simcsp.errors import InputError
from simcsp.metrics.significance import corrected_t_test
from simcsp.report.comparisons import NAMES, Comparison, compare, is_detected, seen, verdict
from simcsp.report.figures import BLACK, BLUE, COLOURS, GREEN, ORANGE, PURPLE, RED, SKY, TITLES
from simcsp.report.finished_runs import pretrained_folder, read_evaluated_run, read_settings
from simcsp.report.joined import Scored, joined_scores, variants
from simcsp.report.tables import fold_scores

PHASES = ("baseline", "contrast")
_CURVES = {
    "validation/mlm_loss": "held-out MLM loss (nats per base)",
    "validation/sccs": "SCCS (Spearman)",
    "validation/nmi": "NMI",
}
_RUNS = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, BLACK)
_DASHES = ("-", "--", ":")


def read_runs(names: Sequence[str]) -> list[Scored]:
    """Evaluated runs by name.

    Raises:
        InputError: if none is named, one is named twice, or an evaluation has not finished.
    """
    chosen = [name.strip() for name in names if name.strip()]
    if not chosen or len(set(chosen)) < len(chosen):
        raise InputError("name runs, each once", hint="SIMCSP_RUNS=one,two")
    return [read_evaluated_run(name) for name in chosen]


def mean_scores(scored: Sequence[Scored], metrics: Sequence[str] = ("f1", "auroc")) -> pd.DataFrame:
    """Means over the test parts of the folds: one row per run, model and metric.

    Returns:
        ``run``, ``model``, ``metric``, ``folds``, ``mean``, and ``low`` and ``high`` of its 95 % interval, which
        allows for the training windows that folds share (Nadeau & Bengio 2003); nan for a single fold.
    """
    rows = []
    for run in scored:
        table = fold_scores(run.scores)
        for model in dict.fromkeys(table.index.get_level_values("model")):
            for metric in metrics:
                values = table.loc[model][metric].dropna().to_numpy(dtype=np.float64)
                if values.size:
                    low, high = _interval(values, run.test_to_train)
                    found = {"folds": values.size, "mean": values.mean(), "low": low, "high": high}
                    rows.append({"run": run.name, "model": model, "metric": metric, **found})
    return pd.DataFrame(rows)


def score_table(means: pd.DataFrame) -> pd.DataFrame:
    """:func:`mean_scores` to be read: a row per run and model, a column per metric."""
    interval = means.low.map("{:.3f}".format) + " to " + means.high.map("{:.3f}".format)
    shown = means.assign(
        shown=means["mean"].map("{:.4f}".format) + " (" + interval + ")",
        model=[TITLES.get(model, model) for model in means.model],
        metric=[NAMES.get(metric, metric) for metric in means.metric],
    )
    return shown.pivot(index=["run", "model"], columns="metric", values="shown").loc[
        list(shown[["run", "model"]].drop_duplicates().itertuples(index=False, name=None)), shown.metric.unique()
    ]


def scores_figure(means: pd.DataFrame) -> Figure:
    """Means and intervals of :func:`mean_scores`: a panel per metric, a group of points per run."""
    names, metrics = list(dict.fromkeys(means.run)), list(dict.fromkeys(means.metric))
    lines = means[["run", "model"]].drop_duplicates().reset_index(drop=True)
    places = -(lines.index.to_numpy() + np.array([names.index(run) for run in lines.run]))
    figure = Figure(figsize=(2.4 + 3.6 * len(metrics), 1.0 + 0.3 * (len(lines) + len(names))))
    panels = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    for axes, metric in zip(panels, metrics, strict=True):
        shown = lines.assign(place=places).merge(means[means.metric == metric], on=["run", "model"])
        for row in shown.itertuples():
            colour = COLOURS.get(row.model, "0.3")
            axes.plot([row.low, row.high], [row.place, row.place], "-", color=colour, linewidth=2, alpha=0.6)
            axes.plot(row.mean, row.place, "o", color=colour, markersize=6)
        axes.set_xlabel(f"{NAMES.get(metric, metric)} on the test parts, mean with 95 % interval")
        axes.grid(axis="x", color="0.92")
    panels[0].set_yticks(places, [TITLES.get(model, model) for model in lines.model])
    for name in names:
        top = places[(lines.run == name).to_numpy()].max()
        panels[0].text(0.0, top + 0.55, name, fontweight="bold", transform=panels[0].get_yaxis_transform())
    panels[0].set_ylim(places.min() - 0.7, places.max() + 1.2)
    return figure


def pretraining_figure(names: Sequence[str]) -> Figure:
    """Held-out MLM loss, SCCS and NMI of the selection part over the steps of both phases, a colour per run.

    Runs that share pre-training are one curve.
    """
    folders = _pretrainings(names)
    figure = Figure(figsize=(12.6, 3.6))
    for axes, (metric, title) in zip(figure.subplots(1, 3), _CURVES.items(), strict=True):
        for number, (folder, sharing) in enumerate(folders.items()):
            look = {"color": _RUNS[number % len(_RUNS)], "linestyle": _DASHES[number // len(_RUNS) % len(_DASHES)]}
            _draw_course(axes, folder, metric, look, ", ".join(sharing))
        axes.set(xlabel="pre-training step", ylabel=title)
        axes.grid(color="0.92")
    figure.axes[0].legend(loc="best", fontsize=8)
    return figure


def differences(scored: Sequence[Scored], reference: str = "baseline", metric: str = "f1") -> pd.DataFrame:
    """Every model against one of its own runs, paired over folds and splits, in the words of the report.

    Runs that differ in nothing but the seed are tested together.
    """
    names = variants(scored)
    ratios = dict(zip(names, (run.test_to_train for run in scored), strict=True))
    found = compare(joined_scores(scored), ratios, metrics=(metric,), references=(reference,))
    against = f"{NAMES.get(metric, metric)} − {TITLES.get(reference, reference)}"
    return pd.DataFrame(
        [
            {
                "runs": row.variant,
                "model": TITLES.get(row.model, row.model),
                against: f"{row.difference:+.4f}",
                "95 % interval": f"{row.low:+.4f} to {row.high:+.4f}",
                "pairs": row.pairs,
                "p (Holm)": f"{row.p_holm:.3g}",
                "in words": _in_words(row),
            }
            for row in found
        ]
    )


def _interval(values: np.ndarray, test_to_train: float) -> tuple[float, float]:
    if values.size < 2:
        return float("nan"), float("nan")
    low, high = corrected_t_test(values, test_to_train).interval
    return max(0.0, float(low)), min(1.0, float(high))


def _pretrainings(names: Sequence[str]) -> dict[Path, list[str]]:
    folders: dict[Path, list[str]] = {}
    for name in names:
        folders.setdefault(pretrained_folder(name, read_settings(name), "pretrain"), []).append(name)
    return folders


def _draw_course(axes: Axes, folder: Path, metric: str, look: dict[str, Any], label: str) -> None:
    """Both phases one after the other; a bar marks where the second begins."""
    start = 0
    for phase in PHASES:
        path = folder / f"phase-{phase}" / runs.METRICS
        if not path.exists():  # a checkpoint was given
            continue
        records = pd.read_json(path, lines=True)
        if metric in records:
            points = records.dropna(subset=metric)
            steps = start + points.step
            axes.plot(steps, points[metric], marker="o", markersize=3, label=None if start else label, **look)
            if start:
                axes.plot(
                    steps.iloc[0], points[metric].iloc[0], "|", color=look["color"], markersize=20, markeredgewidth=2
                )
        start += int(records.step.max())


def _in_words(comparison: Comparison) -> str:
    if is_detected(comparison):
        return verdict(comparison)
    return f"{verdict(comparison)} ({seen(comparison)})"
