"""How well models find branch points: scores of every fold, and a page that compares the models."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from simcsp import runs
from simcsp.metrics.classification import classification_scores
from simcsp.report.markdown import markdown_table

_SHOWN = {"average_precision": "average precision", "auroc": "AUROC", "f1": "F1"}


def branch_point_scores(folders: Mapping[tuple[str, int], Path]) -> pd.DataFrame:
    """Scores per nucleotide of every model and fold, from their predictions: a row for each.

    Args:
        folders: (model, fold) → folder with ``predictions.parquet``.
    """
    rows = []
    for (model, fold), folder in folders.items():
        found = pd.read_parquet(folder / runs.PREDICTIONS)
        label, introns = found.label.to_numpy(), found.origin.nunique()
        counts = {"introns": introns, "nucleotides": len(label), "branch_points": int(label.sum())}
        scores = classification_scores(label, found.probability.to_numpy())
        rows.append({"model": model, "fold": fold, **counts, **scores})
    return pd.DataFrame(rows)


def branch_point_page(scores: pd.DataFrame, *, table: str, window: int, sources: str) -> str:
    """Mean and range over folds of every model, as Markdown.

    Args:
        scores: from :func:`branch_point_scores`.
        table: in words, what was scored.
        window: in nt.
        sources: sentence on files and device.
    """
    one = scores[scores.model == scores.model.iloc[0]]
    share = one.branch_points.sum() / one.nucleotides.sum()
    head = ["model", *(f"{name}, mean (lowest to highest fold)" for name in _SHOWN.values())]
    rows = [[model, *(_spread(found[name]) for name in _SHOWN)] for model, found in scores.groupby("model", sort=False)]
    page = [
        "# Branch points",
        f"{table}; windows of {window} nt, {len(one)} folds of whole contigs. Every test part is scored by a model "
        f"that saw none of its contigs. By chance the average precision is {share:.3f}.",
        sources,
        markdown_table(head, rows),
        "F1 is at probability 0.5. The logistic regression knows the place in the region and five nucleotides on "
        "either side.",
    ]
    return "\n\n".join(page) + "\n"


def _spread(values: "pd.Series[float]") -> str:
    return f"{values.mean():.3f} ({values.min():.3f} to {values.max():.3f})"
