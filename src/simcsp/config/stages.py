"""Pre-training and fine-tuning: their phases, recipes and initialisations."""

import re
from dataclasses import dataclass, field
from typing import Literal

from simcsp.config.checks import require
from simcsp.config.training import OptimiserConfig, PhaseConfig

PRETRAINED = ("baseline", "best_sccs", "best_nmi")  # encoders that every pre-training leaves
CNN = "cnn"  # a convolutional network: a reference without an encoder
YARDSTICK = "logistic_regression"  # a logistic regression on nucleotides: another reference
UNTRAINED = ("random", CNN)  # what fine-tuning makes itself
KEPT = "kept"  # stands for the encoders that `pretrain.keep_measured` keeps


@dataclass(frozen=True, kw_only=True)
class RecipeConfig(PhaseConfig):
    """Another way to go on from BASELINE, beside the contrastive phase.

    Attributes:
        name: of the encoder that it leaves; `finetune.initialisations` may name it.
        keep: which of its encoders that is: the `last`, or the one with the best SCCS or NMI.
    """

    name: str
    keep: Literal["last", "sccs", "nmi"] = "last"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            re.fullmatch("[a-z][a-z0-9_]*", self.name) is not None,
            "the name of a recipe has small letters, digits and _, a letter first",
        )
        taken = {*PRETRAINED, *UNTRAINED, KEPT, "contrast", YARDSTICK}
        require(self.name not in taken, f"no recipe can be called {self.name!r}: that means something else")
        require(self.steps > 0, "the steps of a recipe must be above 0")


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """Two phases: one that ends in BASELINE, and one that starts from it.

    Attributes:
        baseline: masked language modelling that ends in BASELINE; with `steps: 0` BASELINE is the encoder as
            it was initialised.
        contrast: SimCSP, or both losses; its checkpoints with the best SCCS and NMI become BEST_SCCS and
            BEST_NMI.
        mask_share: share of nucleotides that MLM asks for.
        soft_masked_weight: weight in the MLM loss of bases written in lower case (repeats); 1 counts them in full.
        balance: `nucleotides` draws every place of the corpus equally often, `species` every species.
        lengths: shortest and longest window of pre-training in nt, for instance [64, 1024]; one length is drawn per
            batch. Without it all windows are as long as `data.window`.
        also: more recipes that start from BASELINE as the contrastive phase does, each with a name and settings of its
            own: the compute-matched control of MLM alone, joint losses, and so on.
        keep_measured: keep the encoder of every measurement of both phases, as `baseline-<step>` and
            `contrast-<step>`, to be fine-tuned as well.
    """

    baseline: PhaseConfig = field(default_factory=PhaseConfig)
    contrast: PhaseConfig = field(default_factory=lambda: PhaseConfig(mlm_weight=0.0, contrastive_weight=1.0))
    mask_share: float = 0.15
    soft_masked_weight: float = 1.0
    balance: Literal["nucleotides", "species"] = "nucleotides"
    lengths: tuple[int, int] | None = None
    also: tuple[RecipeConfig, ...] = ()
    keep_measured: bool = False

    def __post_init__(self) -> None:
        names = [recipe.name for recipe in self.also]
        require(len(set(names)) == len(names), "two recipes of pretrain.also have one name")
        require(self.contrast.steps > 0, "contrast.steps must be above 0: BEST_SCCS and BEST_NMI come from it")
        require(0 < self.mask_share < 1, "mask_share is a share, 0 < mask_share < 1")
        require(0 <= self.soft_masked_weight <= 1, "soft_masked_weight is a share, 0 to 1")
        if self.lengths is not None:
            shortest, longest = self.lengths
            require(20 <= shortest <= longest, "lengths must be 20 or more nt, the shortest first")

    @property
    def encoders(self) -> tuple[str, ...]:
        """Names of all encoders that pre-training leaves, but for the kept ones."""
        return (*PRETRAINED, *(recipe.name for recipe in self.also))

    @property
    def kept(self) -> tuple[str, ...]:
        """Names of the encoders kept along the way; the last of the first phase is BASELINE."""
        if not self.keep_measured:
            return ()
        before, after = self.baseline, self.contrast
        looks = [("baseline", step) for step in range(before.evaluate_every, before.steps, before.evaluate_every)]
        looks += [("contrast", step) for step in range(after.evaluate_every, after.steps, after.evaluate_every)]
        return tuple(f"{phase}-{step}" for phase, step in (*looks, ("contrast", after.steps)))


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig(OptimiserConfig):
    """Fine-tuning to tell splice sites from decoys.

    Attributes:
        initialisations: what to start from: encoders that pre-training leaves (`baseline`, `best_sccs`, `best_nmi`,
            recipes by their names, `kept` for all that were kept along the way), `random` weights of the same
            architecture, or `cnn`, a small dilated convolutional network.
        epochs: at most.
        patience: epochs without a better validation AUROC before a fold stops.
        labels: training windows used per fold, drawn at random; 0 uses all.
        validation: validation windows used per fold, drawn at random; 0 uses all. They choose the epoch and logistic
            regression's penalty, and calibrate probabilities, so few labels are few only if these are few, too.
        head_dropout: on the pooled embedding, before the classifier.
        frozen: train the classifier only; each encoder embeds every window once, without dropout.
        parallel: folds trained at the same time, each in a process with its share of the threads, and with a GPU of its
            own if there are as many. With other threads sums differ in the last bits, so it belongs to the settings
            that a run is held to.
        follow: measure SCCS and NMI of the validation windows after every epoch, too.
    """

    learning_rate: float = 5e-4
    initialisations: tuple[str, ...] = ("baseline", "best_sccs", "best_nmi", "random")
    epochs: int = 3
    patience: int = 2
    labels: int = 0
    validation: int = 0
    head_dropout: float = 0.1
    frozen: bool = False
    parallel: int = 1
    follow: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.epochs > 0 and self.patience > 0, "epochs and patience must be above 0")
        require(self.labels >= 0 and self.validation >= 0, "labels and validation must not be negative; 0 uses all")
        require(0 <= self.head_dropout < 1, "head_dropout is a share, 0 <= head_dropout < 1")
        require(self.parallel > 0, "parallel must be above 0")
        require(
            "baseline" in self.initialisations,
            "initialisations must hold baseline: the others are compared with it",
        )
        require(len(set(self.initialisations)) == len(self.initialisations), "initialisations names one twice")
        require(not (self.frozen and CNN in self.initialisations), "cnn has no pre-trained encoder to freeze")

    def steps(self, windows: int) -> int:
        """Optimiser steps of a fold with so many windows to train on, if it is not stopped early."""
        used = min(windows, self.labels or windows)
        return self.epochs * (used // min(self.batch_size, used))
