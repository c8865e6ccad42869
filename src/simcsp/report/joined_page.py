"""The page of several runs together: figure, tables, and the answer in words."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from simcsp.report.answer import answer
from simcsp.report.comparisons import NAMES, Comparison, comparison_table
from simcsp.report.distrust import of_several_runs
from simcsp.report.figures import COLOURS, TITLES
from simcsp.report.joined import METRICS, Scored, contrastive_models, variants
from simcsp.report.markdown import markdown_list, markdown_table


def joined_figure(scores: pd.DataFrame) -> Figure:
    """F1 of every fold and seed, one panel per variant."""
    names = list(dict.fromkeys(scores.index.get_level_values("variant")))
    models = list(dict.fromkeys(scores.index.get_level_values("model")))
    figure = Figure(figsize=(0.55 * len(models) * len(names) + 2.0, 3.8))
    for axes, variant in zip(figure.subplots(1, len(names), sharey=True, squeeze=False)[0], names, strict=True):
        table = scores.loc[variant]
        present = [model for model in models if model in table.index.get_level_values("model")]
        for place, model in enumerate(present):
            values = table.loc[model].f1.to_numpy()
            spread = np.linspace(-0.2, 0.2, len(values)) if len(values) > 1 else np.zeros(1)
            axes.plot(place + spread, values, "o", color=COLOURS.get(model, "0.3"), markersize=3, alpha=0.7)
            axes.plot([place - 0.3, place + 0.3], 2 * [values.mean()], "-", color="0.2", linewidth=1.5)
        axes.set_xticks(range(len(present)), [TITLES.get(model, model) for model in present], rotation=60, ha="right")
        axes.set_title(variant, fontsize=9)
        axes.grid(axis="y", color="0.92")
    figure.axes[0].set_ylabel("F1 on the test part\n(one point per fold and seed)")
    return figure


def joined_report(
    name: str,
    runs: Sequence[Scored],
    scores: pd.DataFrame,
    comparisons: Sequence[Comparison],
    transfer: pd.DataFrame,
) -> str:
    """The page, as Markdown."""
    sections = [
        f"# {name}: {len(runs)} runs together",
        answer(comparisons, *contrastive_models(run.settings for run in runs)),
        "## What was run",
        markdown_table(
            ["run", "variant", "seed"], [[r.name, v, r.seed] for r, v in zip(runs, variants(runs), strict=True)]
        ),
        "## Scores",
        _means(scores),
        "Means ± standard deviations over folds and seeds, on the test part of every fold; SCCS and NMI are those of "
        "the fine-tuned model.",
        "![F1 on the test part, one point per fold and seed, and their mean](f1.png)",
    ]
    for reference in dict.fromkeys(c.reference for c in comparisons):
        sections += [
            f"## Against {TITLES.get(reference, reference)}",
            comparison_table([c for c in comparisons if c.reference == reference]),
        ]
    if comparisons:
        sections.append(_HOW)
    if len(transfer):
        sections += [
            "## Other species",
            _transfer(transfer),
            "Mean F1 (AUROC) over folds and seeds. Models are those of the folds: nothing was trained or chosen on "
            "these species.",
        ]
    return "\n\n".join([*sections, "## What to distrust", markdown_list(of_several_runs(runs, comparisons))]) + "\n"


_HOW = """Differences are paired over folds and seeds; intervals and p are of the corrected resampled t test (Nadeau and
Bengio 2003) over all pairs, "p of folds" of the same test over folds with the seeds averaged. Both are corrected by
Holm over all models and variants that are compared with one reference on one metric. d_z is the difference in units of
its standard deviation over pairs."""


def _means(scores: pd.DataFrame) -> str:
    rows = []
    for (variant, model), table in scores.groupby(level=["variant", "model"], sort=False):
        cells = [_mean(table[metric]) if metric in table else "–" for metric in METRICS]
        rows.append([variant, TITLES.get(model, model), len(table), *cells])
    return markdown_table(["variant", "model", "folds × seeds", *(NAMES[metric] for metric in METRICS)], rows)


def _mean(values: "pd.Series[float]") -> str:
    return "–" if values.isna().all() else f"{values.mean():.4f} ± {values.std():.4f}"


def _transfer(transfer: pd.DataFrame) -> str:
    species = list(dict.fromkeys(transfer.index.get_level_values("species")))
    rows = []
    for (variant, model), table in transfer.groupby(level=["variant", "model"], sort=False):
        of = [table.xs(name, level="species") for name in species]
        rows.append([variant, TITLES.get(model, model), *(f"{t.f1.mean():.4f} ({t.auroc.mean():.4f})" for t in of)])
    return markdown_table(["variant", "model", *species], rows)
