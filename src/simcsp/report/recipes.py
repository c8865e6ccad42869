"""Sections of a run that went on from BASELINE in several ways, and of one that was scored on other species."""

from collections.abc import Sequence

import pandas as pd

from simcsp.config import PhaseConfig, PretrainConfig, ViewConfig
from simcsp.report.comparisons import CONTROL, Comparison, comparison_table
from simcsp.report.figures import TITLES
from simcsp.report.markdown import markdown_table

_ALWAYS = ("name", "steps", "batch size", "windows per step", "learning rate", "MLM", "SimCSP", "kept")


def recipes_section(pretrain: PretrainConfig, against_control: Sequence[Comparison]) -> str:
    """What the recipes are, and every model against the compute-matched control if it was fine-tuned.

    Args:
        pretrain: settings of the contrastive phase and of the recipes beside it.
        against_control: on F1 and AUROC; none if the control was not fine-tuned.
    """
    sections = ["## Recipes that start from BASELINE", _settings(pretrain)]
    if against_control:
        sections += ["### Against the MLM control", comparison_table(against_control), _matched(pretrain)]
    return "\n\n".join(sections)


def weights_in_words(phase: PhaseConfig) -> tuple[str, str]:
    """Weights of MLM and of SimCSP, ``1`` or ``1 to 0.1``."""
    ends = (phase.mlm_weight, phase.mlm_weight_end), (phase.contrastive_weight, phase.contrastive_weight_end)
    mlm, contrastive = (f"{start:g}" if end is None else f"{start:g} to {end:g}" for start, end in ends)
    return mlm, contrastive


def views_in_words(views: ViewConfig) -> str:
    """What tells second views apart beside dropout; empty if nothing does."""
    said = [f"shifted by up to {views.shift} nt"] if views.shift else []
    said += [f"{views.mutated:.0%} mutated"] if views.mutated else []
    return " and ".join(said)


def _settings(pretrain: PretrainConfig) -> str:
    """A row for each recipe, and a column for whatever sets some of them apart from the defaults."""
    rows = [_row("contrast", pretrain.contrast, "best SCCS, best NMI")]
    rows += [
        _row(one.name, one, one.keep if one.keep == "last" else f"best {one.keep.upper()}") for one in pretrain.also
    ]
    usual = _row("", PhaseConfig(contrastive_weight=1), "")
    columns = [name for name in usual if name in _ALWAYS or any(row[name] not in (usual[name], "–") for row in rows)]
    return markdown_table(columns, [[row[name] for name in columns] for row in rows])


def _row(name: str, phase: PhaseConfig, kept: str) -> dict[str, object]:
    mlm, contrastive = weights_in_words(phase)
    of_contrast = {
        "temperature": f"{phase.temperature:g}",
        "positives": phase.positives,
        "hard negatives": f"{phase.hard_negative_weight:g}",
        "second views": views_in_words(phase.views) or "the same window",
    }
    return {
        "name": name,
        "steps": phase.steps,
        "batch size": phase.batch_size,
        "windows per step": phase.windows_per_step,
        "learning rate": f"{phase.learning_rate:g}",
        "MLM": mlm,
        "SimCSP": contrastive,
        **(of_contrast if phase.has_contrast else dict.fromkeys(of_contrast, "–")),
        "kept": kept,
    }


def _matched(pretrain: PretrainConfig) -> str:
    """How the training of each recipe compares with that of the control in steps and windows."""
    control = next(recipe for recipe in pretrain.also if recipe.name == CONTROL)
    others = {"contrast": pretrain.contrast, **{one.name: one for one in pretrain.also if one is not control}}
    control_read = control.steps * control.windows_per_step
    equal, unequal = [], []
    for name, phase in others.items():
        read = phase.steps * phase.windows_per_step
        if (phase.steps, read) == (control.steps, control_read):
            equal.append(name)
        else:
            unequal.append(f"{name} {phase.steps:,} steps, {read:,} windows")
    return (
        f"The control went on from BASELINE with masked language modelling alone, for {control.steps:,} steps in which "
        f"the encoder read {control_read:,} windows{', as in ' + ', '.join(equal) if equal else ''}"
        f"{'; not so in ' + '; '.join(unequal) if unequal else ''}. A recipe that read no more than the control helps "
        "only if it is better than this model."
    )


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
