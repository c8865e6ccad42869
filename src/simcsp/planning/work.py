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
    """One fold from one initialisation, in windows.

    Attributes:
        steps: optimiser steps, at most.
        batch: of a step.
        train: that are used.
        validation: likewise.
        test: likewise.
        looks: at the validation windows, at most: before the first step, after every epoch, with the model that was
            kept.
    """

    steps: int
    batch: int
    train: int
    validation: int
    test: int
    looks: int

    @property
    def windows(self) -> int:
        """All that it uses."""
        return self.train + self.validation + self.test

    @property
    def predicted(self) -> int:
        """Those that the encoder reads besides training on them, the test windows before it and after it."""
        return self.looks * self.validation + 2 * self.test


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
        used = min(train, tuning.labels or train)
        found.append(
            FoldWork(
                steps=tuning.steps(train),
                batch=min(tuning.batch_size, used),
                train=used,
                validation=min(validation, tuning.validation or validation),
                test=test,
                looks=tuning.epochs + 2,
            )
        )
    return found


def embedded(config: RunConfig, every: Sequence[FoldWork]) -> int:
    """Windows that frozen encoders embed before the first fold.

    An encoder reads those of all folds at once, each is tested in one of them; a random start is another one in every
    fold.
    """
    random = "random" in config.initialisations
    once = (len(config.initialisations) - random) * sum(fold.test for fold in every)
    return once + random * sum(fold.windows for fold in every)


def _phase(name: str, phase: PhaseConfig, tokens: int) -> PhaseWork:
    windows = phase.steps * phase.windows_per_step
    return PhaseWork(name, phase, phase.steps, windows, windows * tokens, 2 + (phase.steps - 1) // phase.evaluate_every)
