"""The report as Markdown."""

from collections.abc import Mapping

import pandas as pd

from simcsp.report.figures import TITLES
from simcsp.report.markdown import markdown_table as _table
from simcsp.report.tables import DRAWS, METRICS, Comparison, verdict

NAMES = {
    "f1": "F1",
    "auroc": "AUROC",
    "average_precision": "average precision",
    "sccs": "SCCS",
    "nmi": "NMI",
    "nmi_seed_sd": "NMI, SD over seeds",
    "clusters": "clusters",
    "ami": "AMI",
    "ari": "ARI",
    "homogeneity": "homogeneity",
    "probe_auroc": "linear probe, AUROC",
}


def markdown_report(
    *,
    run: str,
    facts: Mapping[str, str],
    table: pd.DataFrame,
    sites: pd.DataFrame,
    pretraining: pd.DataFrame,
    layers: pd.DataFrame,
    comparisons: list[Comparison],
) -> str:
    """Put the report together.

    Args:
        run: name of the run.
        facts: what was run on what, name → value.
        table: test scores per model and fold.
        sites: mean test scores for donors and acceptors apart.
        pretraining: SCCS, NMI and what goes with it, of the pre-trained encoders on the selection part.
        layers: from :func:`simcsp.report.tables.layer_summary`.
        comparisons: every model against BASELINE.
    """
    sections = [
        f"# Run {run}",
        answer(comparisons),
        "## What was run",
        _table(["", ""], [[name, value] for name, value in facts.items()]),
        "## Fine-tuned, on the test part of every fold",
        _means(table),
        "Mean ± standard deviation over folds. SCCS and NMI are those of the fine-tuned encoder on the test "
        "windows; in brackets, those of the same encoder before fine-tuning. Every window outside the selection "
        "part is tested once, by a model that was fine-tuned on no window of its group.",
        "![F1 per initialisation](f1.png)",
        "![ROC and precision–recall curves](curves.png)",
        "### Against BASELINE",
        _comparisons(comparisons),
        "Differences are paired over folds; intervals and p values are of the corrected resampled t test (Nadeau "
        "and Bengio 2003), p corrected by Holm over the models of one metric. d_z is the difference in units of its "
        "standard deviation over folds. The interval over windows is another one: a bootstrap of the test windows, "
        f"{DRAWS:,} draws within folds, with the models as they are.",
        "### Donors and acceptors apart",
        _sites(sites),
        "## Pre-trained, not fine-tuned",
        _pretraining(pretraining),
        "On the selection part, which is in no fold; BEST_SCCS and BEST_NMI were chosen there. NMI, AMI, ARI and "
        "homogeneity compare clusters with labels within donors and within acceptors, then average. The linear probe "
        "is a logistic regression on the embeddings, every window held out with its group.",
        "![SCCS, NMI and MLM loss over pre-training](pretraining.png)",
        "![UMAP of the selection part](umap.png)",
        "UMAP is drawn after everything was computed and feeds no number: clusters come from the neighbour graph "
        "in the space of principal components.",
        "### Layers and poolings",
        _layers(layers),
        "![SCCS, NMI and linear probe of every layer and pooling](layers.png)",
        "Layer 0 is the embedding. A mixture adds all layers with positive weights that sum to 1, learnt with a linear "
        "probe; every window is mixed by weights learnt without its group. The weights shown are those of layers 0, "
        "1, … under the pooling whose mixture a probe reads best.",
        "## What to distrust",
        DISTRUST,
    ]
    return "\n\n".join(sections) + "\n"


DISTRUST = """- BEST_SCCS and BEST_NMI were chosen on the selection part among several checkpoints, so their scores
  there are a little too high; the test part was not looked at. The best cells of the heat maps are chosen, too.
- Folds share training windows. The test above corrects for it, and with few folds it can only see large
  differences: read the column "would have been seen".
- SCCS rests on one draw of pairs, the same for every model of a part. Its standard error is about one over the
  square root of the number of pairs (half the windows): smaller differences are noise, also those by which
  BEST_SCCS was chosen.
- SCCS cannot exceed 0.866 when both labels are equally frequent, and NMI falls as the number of clusters grows,
  however pure they are. Compare them between models of one run, not with 1.
- BEST_SCCS and BEST_NMI had more training steps than BASELINE. A difference may come from the steps and not from
  the contrast: only the control with as many steps of MLM alone (`mlm_control`) can tell.
- Pre-training read the sequences named above without their labels. Test windows among them were seen in that way."""


def answer(comparisons: list[Comparison]) -> str:
    """The question of the run, answered in one paragraph."""
    sentences = [
        f"{TITLES[model]} against BASELINE: F1 {c.difference:+.4f} "
        f"(95 % interval {_range(c.interval)}, p = {c.p_holm:.2g}): {verdict(c)}."
        for model in ("best_sccs", "best_nmi")
        for c in comparisons
        if (c.model, c.metric) == (model, "f1")
    ]
    none = "No contrastively pre-trained encoder was fine-tuned in this run."
    return "**Does contrastive pre-training help?** " + (" ".join(sentences) or none)


def _means(table: pd.DataFrame) -> str:
    mean, sd = table.groupby(level=0, sort=False).mean(), table.groupby(level=0, sort=False).std()
    rows = []
    for model in mean.index:
        cells = [TITLES.get(model, model)]
        for metric in METRICS:
            spread = sd.at[model, metric]
            before = mean.at[model, f"{metric}_before"] if f"{metric}_before" in mean else float("nan")
            cell = _number(mean.at[model, metric]) + ("" if pd.isna(spread) else f" ± {spread:.4f}")
            cells.append(cell if pd.isna(before) else f"{cell} ({before:.3f})")
        rows.append(cells)
    return _table(["model", *(NAMES[metric] for metric in METRICS)], rows)


def _comparisons(comparisons: list[Comparison]) -> str:
    rows = [
        [
            TITLES.get(c.model, c.model),
            NAMES[c.metric],
            f"{c.difference:+.4f}",
            _range(c.interval),
            "–" if c.windows is None else _range(c.windows),
            f"{c.effect:+.2f}",
            f"{c.p:.2g}",
            f"{c.p_holm:.2g}",
            f"{c.detectable:.4f}",
            verdict(c).split(" (")[0],
        ]
        for c in comparisons
    ]
    header = ["model", "metric", "difference", "95 % interval", "over windows", "d_z"]
    return _table([*header, "p", "p (Holm)", "would have been seen", "in words"], rows)


def _sites(sites: pd.DataFrame) -> str:
    columns = [(site, metric) for site in ("donor", "acceptor") for metric in ("f1", "auroc", "average_precision")]
    present = [column for column in columns if column in sites.columns]
    rows = [[TITLES.get(m, m), *(_number(sites.at[m, column]) for column in present)] for m in sites.index]
    return _table(["model", *(f"{site} {NAMES[metric]}" for site, metric in present)], rows)


def _pretraining(pretraining: pd.DataFrame) -> str:
    shown = [metric for metric in NAMES if metric in pretraining]
    rows = [
        [TITLES.get(m, m), *(_number(pretraining.at[m, metric], 1 if metric == "clusters" else 4) for metric in shown)]
        for m in pretraining.index
    ]
    return _table(["encoder", *(NAMES[metric] for metric in shown)], rows)


def _layers(layers: pd.DataFrame) -> str:
    rows = [[TITLES.get(m, m), *row] for m, row in zip(layers.index, layers.to_numpy().tolist(), strict=True)]
    return _table(["encoder", *(f"best {NAMES[score]}" for score in layers.columns[:-1]), "weights of a mixture"], rows)


def _range(interval: tuple[float, float]) -> str:
    return f"{interval[0]:+.4f} to {interval[1]:+.4f}"


def _number(value: float, decimals: int = 4) -> str:
    """Rounded, or a dash for what is not defined."""
    return "–" if pd.isna(value) else f"{value:.{decimals}f}"
