"""Experiment 1: F1, SCCS and NMI along pre-training and fine-tuning, and whether the latter two predict F1."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from simcsp.metrics.rank_correlation import RankCorrelation, rank_correlation
from simcsp.report.figures import BLACK, BLUE, COLOURS, GREEN, ORANGE, TITLES, shared_titles
from simcsp.report.markdown import markdown_table

PREDICTORS = {"sccs": "SCCS", "nmi": "NMI"}
_DRAWS = 2000
_FOLLOWED = {"f1": "F1", "sccs": "SCCS", "nmi": "NMI"}

Records = Sequence[Mapping[str, Any]]


def trajectory_table(phases: Mapping[str, Records], folds: pd.DataFrame, kept: Sequence[str]) -> pd.DataFrame:
    """One row per encoder kept along pre-training, BASELINE among them, in the order of their steps.

    Args:
        phases: phase → what was measured on the selection part, by step.
        folds: test scores, index (model, fold).
        kept: names of the kept encoders, ``<phase>-<step>``.

    Returns:
        ``step`` (of both phases together), ``phase``, ``sccs``, ``nmi``, ``mlm_loss`` of the selection part, means and
        standard deviations over folds of ``f1`` and ``auroc``, and SCCS and NMI on the test windows after fine-tuning.
    """
    last = max((record["step"] for record in phases.get("baseline", ())), default=0)
    places = [("contrast", 0, "baseline")] + [(*_place(name), name) for name in kept]
    rows = []
    for phase, step, name in places:
        measured = next(r for r in phases[phase] if r["step"] == step and "validation/sccs" in r)
        scores = folds.loc[name]
        rows.append(
            {
                "encoder": name,
                "phase": phase if step else "baseline",
                "step": step + (last if phase == "contrast" else 0),
                **{metric: measured[f"validation/{metric}"] for metric in ("sccs", "nmi", "mlm_loss")},
                **{metric: scores[metric].mean() for metric in ("f1", "auroc")},
                **{f"{metric}_sd": scores[metric].std() for metric in ("f1", "auroc")},
                **{f"{metric}_fine_tuned": scores[metric].mean() for metric in PREDICTORS},
            }
        )
    return pd.DataFrame(rows).sort_values("step", kind="stable").reset_index(drop=True)


def predictions_of_f1(table: pd.DataFrame, seed: int) -> dict[tuple[str, str], RankCorrelation]:
    """(SCCS or NMI, which encoders) → its rank correlation with F1: over all of them, and over those of each phase."""
    groups = {"all": table, **dict(list(table.groupby("phase", sort=False)))}
    return {
        (metric, name): rank_correlation(rows[metric].to_numpy(), rows.f1.to_numpy(), draws=_DRAWS, seed=seed)
        for metric in PREDICTORS
        for name, rows in groups.items()
        if len(rows) >= 3
    }


def trajectory_figure(table: pd.DataFrame) -> Figure:
    """F1, SCCS and NMI over the steps of pre-training, and F1 against the other two."""
    figure = Figure(figsize=(8.0, 5.2))
    above, below = figure.subplots(2, 3)
    for axes, metric, title, colour in zip(
        above, ("f1", "sccs", "nmi"), ("F1 after fine-tuning", "SCCS", "NMI"), (BLUE, ORANGE, GREEN), strict=True
    ):
        spread = table[f"{metric}_sd"] if metric == "f1" else None
        axes.errorbar(table.step, table[metric], yerr=spread, fmt="-o", color=colour, markersize=3, capsize=2)
        axes.set(xlabel="pre-training step", ylabel=title)
    for axes, (metric, title), colour in zip(below, PREDICTORS.items(), (ORANGE, GREEN), strict=False):
        for phase, marker in (("baseline", "o"), ("contrast", "^")):
            rows = table[table.phase == phase]
            axes.plot(rows[metric], rows.f1, marker, color=colour, markersize=5, label=f"{phase} phase")
        axes.set(xlabel=f"{title} before fine-tuning", ylabel="F1 after fine-tuning")
        axes.legend(loc="best")
    below[2].plot(table.step, table.mlm_loss, "-o", color=BLACK, markersize=3)
    below[2].set(xlabel="pre-training step", ylabel="MLM loss, held out\n(nats per base)")
    change = table.step[table.phase == "baseline"].max()
    for axes in (*above, below[2]):
        axes.axvline(change, color="0.7", linestyle=":")
    for axes in (*above, *below):
        axes.grid(color="0.92")
    return figure


def finetuning_figure(curves: Mapping[str, Sequence[Records]]) -> Figure:
    """F1, SCCS and NMI of the validation windows over the steps of fine-tuning.

    Args:
        curves: model → records of each of its folds.
    """
    means = {name: _followed(folds) for name, folds in curves.items()}
    titles = shared_titles({name: repr(one).encode() for name, one in means.items()})
    figure = Figure(figsize=(7.6, 3.1))
    for axes, (metric, title) in zip(figure.subplots(1, 3), _FOLLOWED.items(), strict=True):
        for name, label in titles.items():
            steps, values = list(means[name][metric]), list(means[name][metric].values())
            axes.plot(steps, values, "-o", markersize=3, color=COLOURS.get(name, "0.3"), label=label)
        axes.set(title=title, xlabel="fine-tuning step", ylabel="validation, mean over folds")
        axes.grid(color="0.92")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(titles))
    return figure


def trajectory_section(table: pd.DataFrame, correlations: Mapping[tuple[str, str], RankCorrelation]) -> str:
    """The part of the report about the kept encoders."""
    rows = [
        [TITLES.get(r.encoder, r.encoder), r.step, *(f"{value:.4f}" for value in
         (r.sccs, r.nmi, r.mlm_loss)), f"{r.f1:.4f} ± {r.f1_sd:.4f}", f"{r.auroc:.4f}",
         f"{r.sccs_fine_tuned:.4f}", f"{r.nmi_fine_tuned:.4f}"]
        for r in table.itertuples()
    ]  # fmt: skip
    header = ["encoder", "step", "SCCS", "NMI", "MLM loss", "F1", "AUROC", "SCCS, fine-tuned", "NMI, fine-tuned"]
    found = [
        [PREDICTORS[metric], encoders, c.models, *_numbers(c), _in_words(c)]
        for (metric, encoders), c in correlations.items()
    ]
    return "\n\n".join(
        [
            "## Along pre-training",
            "![F1 after fine-tuning, SCCS, NMI and MLM loss over the steps of pre-training; F1 against SCCS and NMI]"
            "(trajectory.png)",
            markdown_table(header, rows),
            "SCCS, NMI and MLM loss are those of the selection part before fine-tuning; F1 and AUROC are means over "
            "the test parts of the folds after it (± standard deviation).",
            "### Do SCCS and NMI predict F1?",
            markdown_table(["score", "encoders", "number", "Spearman's ρ with F1", "95 % interval", "in words"], found),
            "Intervals are of a bootstrap over encoders. They come from one training and resemble their neighbours, so "
            "the truth is less certain than the interval.",
        ]
    )


def finetuning_section() -> str:
    """The part of the report about the steps of fine-tuning."""
    return "\n\n".join(
        [
            "## Along fine-tuning",
            "![F1, SCCS and NMI of the validation windows over the steps of fine-tuning, means over folds]"
            "(finetuning.png)",
            "SCCS and NMI of the validation windows, before the first step and after every epoch; where a fold stopped "
            "early, its curve ends there and so does the mean.",
        ]
    )


def _followed(folds: Sequence[Records]) -> dict[str, dict[int, float]]:
    """Metric → step → mean over folds, where every fold was measured."""
    means: dict[str, dict[int, float]] = {}
    for metric in _FOLLOWED:
        values: dict[int, list[float]] = {}
        for record in (record for records in folds for record in records):
            if record.get(f"validation/{metric}") is not None:
                values.setdefault(record["step"], []).append(record[f"validation/{metric}"])
        measured = (step for step, found in sorted(values.items()) if len(found) == len(folds))
        means[metric] = {step: float(np.mean(values[step])) for step in measured}
    return means


def _place(name: str) -> tuple[str, int]:
    phase, step = name.rsplit("-", 1)
    return phase, int(step)


def _numbers(found: RankCorrelation) -> list[str]:
    return ["–", "–"] if np.isnan(found.value) else [f"{found.value:+.2f}", f"{found.low:+.2f} to {found.high:+.2f}"]


def _in_words(found: RankCorrelation) -> str:
    if np.isnan(found.value):
        return "the same for all"
    if found.low > 0:
        return "higher goes with higher F1"
    return "higher goes with lower F1" if found.high < 0 else "no detectable relation"
