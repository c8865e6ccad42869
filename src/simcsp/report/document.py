"""The report as Markdown."""

from collections.abc import Mapping

import pandas as pd

from simcsp.report.figures import TITLES
from simcsp.report.markdown import markdown_table as _table
from simcsp.report.tables import METRICS, Comparison, verdict

NAMES = {"f1": "F1", "auroc": "AUROC", "average_precision": "average precision", "sccs": "SCCS", "nmi": "NMI"}


def markdown_report(
    *,
    run: str,
    facts: Mapping[str, str],
    table: pd.DataFrame,
    sites: pd.DataFrame,
    pretraining: pd.DataFrame,
    comparisons: list[Comparison],
) -> str:
    """Put the report together.

    Args:
        run: name of the run.
        facts: what was run on what, name → value.
        table: test scores per model and fold.
        sites: mean test scores for donors and acceptors apart.
        pretraining: SCCS and NMI of the pre-trained encoders on the selection part.
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
        "and Bengio 2003), p corrected by Holm over the models of one metric.",
        "### Donors and acceptors apart",
        _sites(sites),
        "## Pre-trained, not fine-tuned",
        _pretraining(pretraining),
        "On the selection part, which is in no fold; BEST_SCCS and BEST_NMI were chosen there.",
        "![SCCS, NMI and MLM loss over pre-training](pretraining.png)",
        "![UMAP of the selection part](umap.png)",
        "UMAP is drawn after everything was computed and feeds no number: clusters come from the neighbour graph "
        "in the space of principal components.",
        "## What to distrust",
        DISTRUST,
    ]
    return "\n\n".join(sections) + "\n"


DISTRUST = """- BEST_SCCS and BEST_NMI were chosen on the selection part among several checkpoints, so their scores
  there are a little too high; the test part was not looked at.
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
    sentences = []
    for model in ("best_sccs", "best_nmi"):
        found = [c for c in comparisons if c.model == model and c.metric == "f1"]
        for c in found:
            low, high = c.interval
            sentences.append(
                f"{TITLES[model]} against BASELINE: F1 {c.difference:+.4f} "
                f"(95 % interval {low:+.4f} to {high:+.4f}, p = {c.p_holm:.2g}): {verdict(c)}."
            )
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
            f"{c.interval[0]:+.4f} to {c.interval[1]:+.4f}",
            f"{c.p:.2g}",
            f"{c.p_holm:.2g}",
            f"{c.detectable:.4f}",
            verdict(c).split(" (")[0],
        ]
        for c in comparisons
    ]
    header = ["model", "metric", "difference", "95 % interval", "p", "p (Holm)", "would have been seen", "in words"]
    return _table(header, rows)


def _sites(sites: pd.DataFrame) -> str:
    columns = [(site, metric) for site in ("donor", "acceptor") for metric in ("f1", "auroc", "average_precision")]
    present = [column for column in columns if column in sites.columns]
    rows = [[TITLES.get(m, m), *(_number(sites.at[m, column]) for column in present)] for m in sites.index]
    return _table(["model", *(f"{site} {NAMES[metric]}" for site, metric in present)], rows)


def _pretraining(pretraining: pd.DataFrame) -> str:
    rows = [
        [TITLES.get(m, m), *(_number(v) for v in row)]
        for m, row in zip(pretraining.index, pretraining.to_numpy(), strict=True)
    ]
    return _table(["encoder", *(NAMES[str(metric)] for metric in pretraining.columns)], rows)


def _number(value: float) -> str:
    """Four decimals, or a dash for what is not defined."""
    return "–" if pd.isna(value) else f"{value:.4f}"
