"""The page of several runs together: figure, tables, and the answer in words."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from simcsp.config import EncoderConfig
from simcsp.report.answer import answer
from simcsp.report.comparisons import NAMES, Comparison, comparison_table
from simcsp.report.distrust import of_several_runs
from simcsp.report.figures import COLOURS, TITLES
from simcsp.report.joined import METRICS, Scored, contrastive_models, variants
from simcsp.report.markdown import markdown_list, markdown_table


def joined_figure(scores: pd.DataFrame) -> Figure:
    """F1 of every fold and seed, one panel per variant with a scale of its own; a bar is the mean."""
    names = list(dict.fromkeys(scores.index.get_level_values("variant")))
    models = list(dict.fromkeys(scores.index.get_level_values("model")))
    figure = Figure(figsize=(max(5.0, 0.8 * len(models) + 1.5), 1.9 * len(names) + 1.2))
    panels = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    for axes, variant in zip(panels, names, strict=True):
        table = scores.loc[variant]
        present = set(table.index.get_level_values("model"))
        for place, model in enumerate(models):
            values = table.loc[model].f1.to_numpy() if model in present else np.empty(0)
            if len(values):
                spread = np.linspace(-0.2, 0.2, len(values)) if len(values) > 1 else np.zeros(1)
                axes.plot(place + spread, values, "o", color=COLOURS.get(model, "0.3"), markersize=4, alpha=0.7)
                axes.plot([place - 0.3, place + 0.3], 2 * [values.mean()], "-", color="0.2", linewidth=1.5)
        axes.set(title=variant, ylabel="F1, test part")
        axes.grid(axis="y", color="0.92")
    panels[-1].set_xticks(range(len(models)), [TITLES.get(model, model) for model in models], rotation=40, ha="right")
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
        _in_common(runs),
        "## Scores",
        _means(scores),
        "Means ± standard deviations over folds and seeds, on the test part of every fold; SCCS and NMI are those of "
        "the fine-tuned model.",
        *_left_out(scores),
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


_IN_COMMON = {  # setting → words for its value
    "data.window": "windows of {} nt",
    "encoder.init": "encoders from {}",
    "encoder.architecture": "encoders {}",
    "encoder.layers": "{} layers",
    "encoder.hidden": "hidden size {}",
}
_HOW = """Differences are paired over folds and splits, with the seeds of one split averaged; intervals and p are of the
corrected resampled t test (Nadeau and Bengio 2003). p is corrected by Holm over all models and variants that are
compared with one reference on one metric. Each interval is of its comparison alone, and so may leave 0 out where p
after Holm, which the words follow, is not below 0.05. d_z is the difference in units of its standard deviation over
pairs. p is corrected neither over metrics nor over references, so two models that are each a reference stand on the
page twice, with two p. Variants are not tested against each other."""


def _in_common(runs: Sequence[Scored]) -> str:
    """The windows and the encoder of all runs; what differs between them is in the names of the variants."""
    found = {name: {run.settings.get(name) for run in runs} for name in _IN_COMMON}
    same = {name: next(iter(one)) for name, one in found.items() if len(one) == 1}
    if same.get("encoder.init") == EncoderConfig().init:
        del same["encoder.init"]
    else:  # a checkpoint has an architecture of its own
        same = {name: value for name, value in same.items() if name in {"data.window", "encoder.init"}}
    words = [_IN_COMMON[name].format(value) for name, value in same.items() if value]
    return f"In common: {', '.join(words) or 'nothing of windows and encoder'}."


def _means(scores: pd.DataFrame) -> str:
    rows = []
    for (variant, model), table in scores.groupby(level=["variant", "model"], sort=False):
        cells = [_mean(table[metric]) if metric in table else "–" for metric in METRICS]
        rows.append([variant, TITLES.get(model, model), len(table), *cells])
    return markdown_table(["variant", "model", "folds × seeds", *(NAMES[metric] for metric in METRICS)], rows)


def _left_out(scores: pd.DataFrame) -> Iterator[str]:
    """A sentence on models that have a score in some folds and lack it in others, if there are any."""
    lacking = []
    for variant, table in scores.groupby(level="variant", sort=False):
        for metric in (metric for metric in METRICS if metric in table):
            missing = table[metric].droplevel("variant").unstack("model").isna()
            some = missing.sum()[missing.any() & ~missing.all()]
            lacking += [
                f"{TITLES.get(model, model)} ({variant}, {NAMES[metric]}: {number} of {len(missing)} folds)"
                for model, number in some.items()
            ]
    if lacking:
        yield f"Not compared, for want of a score in some folds: {', '.join(lacking)}."


def _mean(values: "pd.Series[float]") -> str:
    return "–" if values.isna().all() else f"{values.mean():.4f} ± {values.std():.4f}"


def _transfer(transfer: pd.DataFrame) -> str:
    species = list(dict.fromkeys(transfer.index.get_level_values("species")))
    rows = []
    for (variant, model), table in transfer.groupby(level=["variant", "model"], sort=False):
        of = [table.xs(name, level="species") for name in species]
        rows.append([variant, TITLES.get(model, model), *(f"{t.f1.mean():.4f} ({t.auroc.mean():.4f})" for t in of)])
    return markdown_table(["variant", "model", *species], rows)
