"""The page of several runs together: figure, tables, and the answer in words."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from simcsp.report.figures import COLOURS, TITLES
from simcsp.report.joined import METRICS, REFERENCES, Scored, contrastive_models, variants
from simcsp.report.markdown import markdown_table
from simcsp.report.tables import ALPHA


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
    comparisons: pd.DataFrame,
    transfer: pd.DataFrame,
) -> str:
    """The page, as Markdown."""
    sections = [
        f"# {name}: {len(runs)} runs together",
        answer(comparisons, runs),
        markdown_table(
            ["run", "variant", "seed"], [[r.name, v, r.seed] for r, v in zip(runs, variants(runs), strict=True)]
        ),
        "## Scores",
        _means(scores),
        "Means ± standard deviations over folds and seeds, on the test part of every fold; SCCS and NMI are those of "
        "the fine-tuned model.",
        "![F1 per model](f1.png)",
    ]
    for reference in dict.fromkeys(comparisons.reference) if len(comparisons) else ():
        sections += [
            f"## Against {TITLES.get(reference, reference)}",
            comparison_table(comparisons[comparisons.reference == reference]),
        ]
    if len(comparisons):
        sections.append(_HOW)
    if len(transfer):
        sections += [
            "## Other species",
            _transfer(transfer),
            "Mean F1 (AUROC) over folds and seeds. Models are those of the folds: nothing was trained or chosen on "
            "these species.",
        ]
    return "\n\n".join([*sections, "## What to distrust", _DISTRUST]) + "\n"


def answer(comparisons: pd.DataFrame, runs: Sequence[Scored]) -> str:
    """What the best recipe is against the compute-matched control, or BASELINE where there is none, in words.

    Recipes that saw labels of their own are named apart: they may be better for the labels, and not for the contrast.
    """
    if not len(comparisons):
        return "Nothing could be compared: the runs have no model in common with a reference."
    f1 = comparisons[comparisons.metric == "f1"]
    reference = next(name for name in ("mlm_control", *REFERENCES) if (f1.reference == name).any())
    against = f1[f1.reference == reference]
    without, labelled = (against[against.model.isin(models)] for models in contrastive_models(runs))
    sentences = [f"{variant}: {_best(group)}." for variant, group in without.groupby("variant", sort=False)]
    apart = [
        f"{variant}: {_best(group)}. It saw labels of its own in pre-training."
        for variant, group in labelled.groupby("variant", sort=False)
    ]
    sentences = sentences or ["No contrastive recipe without labels is among the models."]
    return "**Does contrastive pre-training help?**\n\n" + "\n".join(f"- {said}" for said in (*sentences, *apart))


def _best(rows: pd.DataFrame) -> str:
    """The best of several models against one reference on F1."""
    best = rows.loc[rows.difference.idxmax()]
    of = f", the best of {len(rows)}," if len(rows) > 1 else ""
    return (
        f"{TITLES.get(best.model, best.model)}{of} against {TITLES.get(best.reference, best.reference)}: F1 "
        f"{best.difference:+.4f} (95 % interval {best.low:+.4f} to {best.high:+.4f}, p = {best.p_holm:.2g} after "
        f"Holm), {_verdict(best)}"
    )


_HOW = """Differences are paired over folds and seeds; intervals and p are of the corrected resampled t test (Nadeau and
Bengio 2003) over all pairs, "folds" of the same test over folds with the seeds averaged. Both are corrected by Holm
over all models and variants that are compared with one reference on one metric. d is the difference in units of its
standard deviation over pairs."""

_DISTRUST = """- Seeds that share a split share test windows: there the p of folds × seeds is too small, and that of
  folds alone the one to read. The record of each run says how its windows were split.
- SCCS and NMI of different models are of embeddings of different width and training: they say what fine-tuning makes
  of them, not which encoder is better.
- Every comparison is of these settings. A recipe that loses here may have been trained too short."""


def _means(scores: pd.DataFrame) -> str:
    rows = []
    for (variant, model), table in scores.groupby(level=["variant", "model"], sort=False):
        cells = [_mean(table[metric]) if metric in table else "–" for metric in METRICS]
        rows.append([variant, TITLES.get(model, model), len(table), *cells])
    return markdown_table(["variant", "model", "folds × seeds", *METRICS.values()], rows)


def _mean(values: "pd.Series[float]") -> str:
    return "–" if values.isna().all() else f"{values.mean():.4f} ± {values.std():.4f}"


def comparison_table(comparisons: pd.DataFrame) -> str:
    """Rows of :func:`simcsp.report.joined.compare` in Markdown, without columns that say nothing here."""
    columns = {
        "variant": [c.variant for c in comparisons.itertuples()],
        "model": [TITLES.get(c.model, c.model) for c in comparisons.itertuples()],
        "metric": [METRICS[c.metric] for c in comparisons.itertuples()],
        "difference": [f"{c.difference:+.4f}" for c in comparisons.itertuples()],
        "95 % interval": [f"{c.low:+.4f} to {c.high:+.4f}" for c in comparisons.itertuples()],
        "d": ["–" if np.isnan(c.effect) else f"{c.effect:+.2f}" for c in comparisons.itertuples()],
        "p (Holm)": [f"{c.p_holm:.2g}" for c in comparisons.itertuples()],
        "folds": [f"{c.p_folds_holm:.2g}" for c in comparisons.itertuples()],
        "would have been seen": [f"{c.detectable:.4f}" for c in comparisons.itertuples()],
        "in words": [_verdict(c) for c in comparisons.itertuples()],
    }
    if comparisons.variant.nunique() == 1:
        del columns["variant"]
    if columns["folds"] == columns["p (Holm)"]:
        del columns["folds"]
    return markdown_table(list(columns), list(zip(*columns.values(), strict=True)))


def _transfer(transfer: pd.DataFrame) -> str:
    species = list(dict.fromkeys(transfer.index.get_level_values("species")))
    rows = []
    for (variant, model), table in transfer.groupby(level=["variant", "model"], sort=False):
        of = [table.xs(name, level="species") for name in species]
        rows.append([variant, TITLES.get(model, model), *(f"{t.f1.mean():.4f} ({t.auroc.mean():.4f})" for t in of)])
    return markdown_table(["variant", "model", *species], rows)


def _verdict(comparison: Any) -> str:
    if comparison.p_holm >= ALPHA:
        return "no detectable difference"
    return "better" if comparison.difference > 0 else "worse"
