"""Sections of a run that went on from BASELINE in several ways, and of one that was scored on other species."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from simcsp.report.figures import TITLES
from simcsp.report.joined import compare
from simcsp.report.joined_page import comparison_table
from simcsp.report.markdown import markdown_table

CONTROL = "mlm_control"
_COLUMNS = ("name", "steps", "batch_size", "learning_rate", "mlm_weight", "contrastive_weight", "keep")


def recipes_section(recipes: Sequence[dict[str, Any]], folds: pd.DataFrame, test_to_train: float) -> str:
    """What the recipes are, and every model against the compute-matched control if it was fine-tuned.

    Args:
        recipes: settings of each, by name.
        folds: test scores, index (model, fold).
        test_to_train: test windows per training window of a fold.
    """
    rows = [[recipe[column] for column in _COLUMNS] for recipe in recipes]
    sections = ["## Recipes that start from BASELINE", markdown_table([c.replace("_", " ") for c in _COLUMNS], rows)]
    if CONTROL in folds.index.get_level_values("model"):
        variant = "this run"
        scores = folds.assign(variant=variant, seed=0).set_index(["variant", "seed"], append=True)
        scores = scores.reorder_levels(["variant", "model", "seed", "fold"])
        comparisons = compare(scores, {variant: test_to_train}, ("f1", "auroc"), [CONTROL])
        sections += [
            "### Against the compute-matched control",
            comparison_table(comparisons),
            "The control went on from BASELINE with masked language modelling alone, for as many steps and tokens as "
            "the contrastive phase. A contrastive recipe helps only if it is better than this model.",
        ]
    return "\n\n".join(sections)


def transfer_section(transfer: pd.DataFrame) -> str:
    """Scores on other species, means over folds."""
    every = transfer[(transfer.site == "all") & transfer.metric.isin(["f1", "auroc"])]
    means = every.pivot_table(index="model", columns=["species", "metric"], values="value", sort=False)
    species = list(dict.fromkeys(means.columns.get_level_values("species")))
    rows = [
        [TITLES.get(m, m), *(f"{means.at[m, (s, 'f1')]:.4f} ({means.at[m, (s, 'auroc')]:.4f})" for s in species)]
        for m in means.index
    ]
    return "\n\n".join(
        [
            "## Other species",
            markdown_table(["model", *species], rows),
            "F1 (AUROC), means over the models of the folds; nothing was trained or chosen on these species.",
        ]
    )
