"""The report as Markdown."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from simcsp.report.comparisons import NAMES as COMPARED
from simcsp.report.comparisons import Comparison, comparison_table
from simcsp.report.figures import TITLES
from simcsp.report.markdown import markdown_list
from simcsp.report.markdown import markdown_table as _table
from simcsp.report.tables import DRAWS

NAMES = {
    **COMPARED,
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
    said: str,
    facts: Mapping[str, str],
    table: pd.DataFrame,
    sites: pd.DataFrame,
    pretraining: pd.DataFrame,
    layers: pd.DataFrame,
    comparisons: Sequence[Comparison],
    more: Iterable[str],
    doubts: Iterable[str],
) -> str:
    """Put the report together.

    Args:
        run: name of the run.
        said: the answer.
        facts: what was run on what, name → value.
        table: test scores per model and fold.
        sites: mean test scores for donors and acceptors apart.
        pretraining: SCCS, NMI and what goes with it, of the pre-trained encoders on the selection part.
        layers: from :func:`simcsp.report.tables.layer_summary`.
        comparisons: every model against BASELINE.
        more: sections that only some runs have.
        doubts: what to distrust.
    """
    sections = [
        f"# Run {run}",
        said,
        "## What was run",
        _table(["", ""], [[name, value] for name, value in facts.items()]),
        _fine_tuned_section(table, sites, comparisons),
        _pre_trained_section(pretraining, layers),
        *more,
        "## What to distrust",
        markdown_list(doubts),
    ]
    return "\n\n".join(sections) + "\n"


def _fine_tuned_section(table: pd.DataFrame, sites: pd.DataFrame, comparisons: Sequence[Comparison]) -> str:
    paragraphs = [
        "## Fine-tuned, on the test part of every fold",
        _means_table(table),
        "Mean ± standard deviation over folds. SCCS and NMI are those of the fine-tuned encoder on the test "
        "windows; in brackets, those of the same encoder before fine-tuning. Every window outside the selection "
        "part is tested once, by a model that was fine-tuned on no window of its group.",
        "![F1 on the test part, one point per fold, for every initialisation](f1.png)",
        "![ROC and precision–recall curves of the test windows of all folds together; an equals sign joins the names "
        "of one checkpoint](curves.png)",
        "### Against BASELINE",
        comparison_table(comparisons),
        "Differences are paired over folds; intervals and p values are of the corrected resampled t test (Nadeau "
        "and Bengio 2003), p corrected by Holm over the models of one metric. Each interval is of its comparison "
        "alone, and so may leave 0 out where p after Holm, which the words follow, is not below 0.05. d_z is the "
        "difference in units of its standard deviation over folds. The interval over windows is another one: a "
        "bootstrap of the test windows, "
        f"{DRAWS:,} draws within folds, with the models as they are.",
        "### Donors and acceptors apart",
        _sites_table(sites),
    ]
    return "\n\n".join(paragraphs)


def _pre_trained_section(pretraining: pd.DataFrame, layers: pd.DataFrame) -> str:
    paragraphs = [
        "## Pre-trained, not fine-tuned",
        _pretraining_table(pretraining),
        "On the selection part, which is in no fold; BEST_SCCS and BEST_NMI were chosen there. NMI, AMI, ARI and "
        "homogeneity compare clusters with labels within donors and within acceptors, then average. The linear probe "
        "is a logistic regression on the embeddings, every window held out with its group.",
        "![SCCS and NMI of the selection part, and held-out MLM loss, over the steps of pre-training; a star marks "
        "what was kept](pretraining.png)",
        "![UMAP of the selection part, coloured by label above and by Leiden cluster below](umap.png)",
        "UMAP is drawn after everything was computed and feeds no number: clusters come from the neighbour graph "
        "in the space of principal components.",
        "### Layers and poolings",
        _layers_table(layers),
        "![SCCS, NMI and AUROC of a linear probe for every layer and pooling; the best cell of each map is framed]"
        "(layers.png)",
        "Layer 0 is the embedding. A mixture adds all layers with positive weights that sum to 1, learnt with a linear "
        "probe; every window is mixed by weights learnt without its group. The weights shown are those of layers 0, "
        "1, … under the pooling whose mixture a probe reads best.",
    ]
    return "\n\n".join(paragraphs)


def _means_table(table: pd.DataFrame) -> str:
    mean, sd = table.groupby(level=0, sort=False).mean(), table.groupby(level=0, sort=False).std()
    rows = []
    for model in mean.index:
        cells = [TITLES.get(model, model)]
        for metric in COMPARED:
            spread = sd.at[model, metric]
            before = mean.at[model, f"{metric}_before"] if f"{metric}_before" in mean else float("nan")
            cell = _number(mean.at[model, metric]) + ("" if pd.isna(spread) else f" ± {spread:.4f}")
            cells.append(cell if pd.isna(before) else f"{cell} ({before:.3f})")
        rows.append(cells)
    return _table(["model", *COMPARED.values()], rows)


def _sites_table(sites: pd.DataFrame) -> str:
    columns = [(site, metric) for site in ("donor", "acceptor") for metric in ("f1", "auroc", "average_precision")]
    present = [column for column in columns if column in sites.columns]
    rows = [[TITLES.get(m, m), *(_number(sites.at[m, column]) for column in present)] for m in sites.index]
    return _table(["model", *(f"{site} {NAMES[metric]}" for site, metric in present)], rows)


def _pretraining_table(pretraining: pd.DataFrame) -> str:
    shown = [metric for metric in NAMES if metric in pretraining]
    rows = [
        [TITLES.get(m, m), *(_number(pretraining.at[m, metric], 1 if metric == "clusters" else 4) for metric in shown)]
        for m in pretraining.index
    ]
    return _table(["encoder", *(NAMES[metric] for metric in shown)], rows)


def _layers_table(layers: pd.DataFrame) -> str:
    rows = [[TITLES.get(m, m), *row] for m, row in zip(layers.index, layers.to_numpy().tolist(), strict=True)]
    return _table(["encoder", *(f"best {NAMES[score]}" for score in layers.columns[:-1]), "weights of a mixture"], rows)


def _number(value: float, decimals: int = 4) -> str:
    """Rounded, or a dash for what is not defined."""
    return "–" if pd.isna(value) else f"{value:.{decimals}f}"
