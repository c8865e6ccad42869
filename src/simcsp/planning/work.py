"""How much a run has to do, counted from its settings and from what is prepared."""

from collections.abc import Sequence
from dataclasses import dataclass

from simcsp.config import PhaseConfig, RunConfig
from simcsp.datasets.splits import fold_parts


@dataclass(frozen=True)
class PhaseWork:
    """One phase of pre-training.

    Attributes:
        name: as its folder is called, without ``phase-``.
        phase: its settings.
        steps: optimiser steps.
        windows: that the encoder reads in all steps.
        tokens: likewise, with ``[CLS]`` and ``[SEP]``.
        measurements: of SCCS and NMI, those at the first and at the last step among them.
    """

    name: str
    phase: PhaseConfig
    steps: int
    windows: int
    tokens: int
    measurements: int


@dataclass(frozen=True)
class FoldWork:
    """One fold from one initialisation: steps at most, windows of a step, and windows predicted in all."""

    steps: int
    batch: int
    predicted: int


def phases(config: RunConfig) -> list[PhaseWork]:
    """All phases of pre-training that have steps, in order."""
    lengths = config.pretrain.lengths or (config.data.window, config.data.window)
    tokens = sum(lengths) // 2 + 2
    named = [("baseline", config.pretrain.baseline), ("contrast", config.pretrain.contrast)]
    named += [(recipe.name, recipe) for recipe in config.pretrain.also]
    return [_phase(name, phase, tokens) for name, phase in named if phase.steps]


def folds(config: RunConfig, sizes: Sequence[int]) -> list[FoldWork]:
    """Every fold, once; all initialisations have the same.

    Args:
        config: of the run.
        sizes: windows per part of the split.
    """
    tuning = config.finetune
    found = []
    for fold in range(config.split.folds):
        train, validation, test = (sum(sizes[part] for part in parts) for parts in fold_parts(config.split.folds, fold))
        validation = min(validation, tuning.validation or validation)
        used = min(train, tuning.labels or train)
        looks = tuning.epochs + 2  # before the first step, after every epoch, and with the model that was kept
        found.append(FoldWork(tuning.steps(train), min(tuning.batch_size, used), looks * validation + 2 * test))
    return found


def _phase(name: str, phase: PhaseConfig, tokens: int) -> PhaseWork:
    windows = phase.steps * phase.windows_per_step
    return PhaseWork(name, phase, phase.steps, windows, windows * tokens, 2 + (phase.steps - 1) // phase.evaluate_every)
