"""How much a run has to do, counted from its settings and from what is prepared."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import mean
from typing import NamedTuple

from simcsp.config import PhaseConfig, RunConfig
from simcsp.datasets.splits import fold_parts


class Kind(NamedTuple):
    """What a window of pre-training costs hangs on.

    Attributes:
        mlm: whether its tokens are asked for.
        contrast: whether it is one of two views.
        whole: whether the encoder still has the layers that BASELINE lacks.
    """

    mlm: bool
    contrast: bool
    whole: bool


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

    @property
    def kind(self) -> Kind:
        """Of its windows."""
        return Kind(self.phase.has_mlm, self.phase.has_contrast, whole=self.name == "baseline")


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
    named = [("baseline", config.pretrain.baseline), ("contrast", config.pretrain.contrast)]
    named += [(recipe.name, recipe) for recipe in config.pretrain.also]
    return [_phase(name, phase, config) for name, phase in named if phase.steps]


def trial(config: RunConfig) -> PhaseWork:
    """A trial of a search that is not stopped early, with the mean of the batch sizes; with MLM if any trial has it."""
    search = config.search
    phase = replace(
        config.pretrain.contrast,
        contrastive_weight=1.0,
        mlm_weight=search.mlm_weight[1],
        batch_size=round(mean(search.batch_size)),
    )
    return _phase("trial", phase, config)


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


def _phase(name: str, phase: PhaseConfig, config: RunConfig) -> PhaseWork:
    lengths = config.pretrain.lengths or (config.data.window, config.data.window)
    windows = phase.steps * phase.windows_per_step
    tokens = windows * (sum(lengths) // 2 + 2)
    return PhaseWork(name, phase, phase.steps, windows, tokens, 2 + (phase.steps - 1) // phase.evaluate_every)
