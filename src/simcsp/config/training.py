"""The encoder, and what every training of it is told: optimiser, losses, views."""

from dataclasses import dataclass
from typing import Literal

from simcsp.config.checks import require

Pooling = Literal["cls", "mean", "site"]


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """The encoder, from scratch or from a checkpoint.

    Attributes:
        init: `scratch`; or a published SpliceBERT, which is fetched once: `splicebert.510nt` (or `510nt`),
            `splicebert.1024nt` (`1024nt`), `splicebert-human.510nt`; or a folder with a Hugging Face checkpoint of
            SpliceBERT's vocabulary. The other architecture fields apply to `scratch` only.
        architecture: `bert` (SpliceBERT's) or `modernbert` (rotary positions, local attention).
        hidden: width.
        layers: number of transformer layers.
        heads: attention heads.
        intermediate: width of the feed-forward part.
        local_attention: span in tokens of ModernBERT's local layers; every third layer is global.
        dropout: of hidden states while training; it also makes the two views of SimCSP.
        pooling: `cls`, `mean` (of the nucleotides) or `site` (the two central nucleotides side by side).
        layer: hidden state that is pooled; 0 is the embedding, -1 the last layer.
        drop_layers: top layers that BASELINE lacks: they take part in masked language modelling, or come with the
            checkpoint, and are removed before contrastive training.
    """

    init: str = "scratch"
    architecture: Literal["bert", "modernbert"] = "modernbert"
    hidden: int = 128
    layers: int = 4
    heads: int = 4
    intermediate: int = 256
    local_attention: int = 64
    dropout: float = 0.1
    pooling: Pooling = "site"
    layer: int = -1
    drop_layers: int = 0

    def __post_init__(self) -> None:
        require(self.drop_layers >= 0, "drop_layers must not be negative")
        require(self.heads > 0 and self.layers > 0, "heads and layers must be above 0")
        require(self.intermediate > 0 and self.local_attention > 0, "intermediate and local_attention must be above 0")
        even = self.hidden > 0 and self.hidden % (2 * self.heads) == 0
        require(even, "hidden must be a multiple of twice the heads: rotary positions turn pairs of numbers")
        require(0 <= self.dropout < 1, "dropout is a share, 0 <= dropout < 1")


@dataclass(frozen=True, kw_only=True)
class OptimiserConfig:
    """AdamW with linear warm-up and linear decay to zero.

    Attributes:
        learning_rate: highest rate.
        warmup: share of the steps over which the rate rises.
        weight_decay: decoupled decay of matrices; biases and norms have none.
        max_grad_norm: gradients are clipped to this norm.
        batch_size: windows per step.
    """

    learning_rate: float = 1e-3
    warmup: float = 0.1
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    batch_size: int = 64

    def __post_init__(self) -> None:
        require(0 < self.learning_rate < float("inf"), "learning_rate must be above 0")
        require(0 <= self.warmup < 1, "warmup is a share of the steps, 0 <= warmup < 1")
        require(self.weight_decay >= 0, "weight_decay must not be negative")
        require(self.max_grad_norm > 0, "max_grad_norm must be above 0: at 0 nothing is learned")
        require(self.batch_size >= 2, "batch_size must be at least 2")


@dataclass(frozen=True, kw_only=True)
class ViewConfig:
    """What tells the second view of a pair from the first, beside dropout; by default nothing.

    Attributes:
        shift: the second view is moved by up to this many nt, to either side; `site` pools the same nucleotides in
            both. Labelled windows and orthologues are cut to what both views can show, 2 `shift` nt less.
        mutated: share of the nucleotides outside of the core that are others in the second view. MLM asks for what
            they were.
        core: nt in the middle, the site's dinucleotide among them, that are never mutated.
    """

    shift: int = 0
    mutated: float = 0.0
    core: int = 40

    def __post_init__(self) -> None:
        require(self.shift >= 0, "views.shift must not be negative")
        require(0 <= self.mutated < 1, "views.mutated is a share, 0 <= mutated < 1")
        require(self.core >= 0 and self.core % 2 == 0, "views.core is an even number of nt: the site is its middle")


@dataclass(frozen=True, kw_only=True)
class PhaseConfig(OptimiserConfig):
    """One phase of pre-training.

    Attributes:
        steps: optimiser steps; 0 skips the phase.
        mlm_weight: weight of masked language modelling in the loss.
        mlm_weight_end: its weight at the last step, reached on a straight line; constant if not given.
        contrastive_weight: weight of SimCSP in the loss.
        contrastive_weight_end: likewise.
        temperature: of the contrastive softmax.
        positives: what belongs together: `window`, two views of one window of the corpus; `label`, windows of one site
            type and label (supervised contrast) of `data.labelled` and `split.pretraining`; `orthologue`, windows of
            one site in two species of `data.orthologues`.
        hard_negative_weight: with `label`, weight of decoys among the negatives of splice sites of their type, and the
            other way round.
        views: what tells two views apart, beside dropout.
        chunk: windows in one forward pass, so that a batch of any size fits into memory; 0 takes all windows of a
            process at once. It decides the dropout: set it if runs on one and on several devices are to agree.
        evaluate_every: steps between measurements of SCCS and NMI.
        save_every: steps between checkpoints for resuming.
    """

    steps: int = 1000
    mlm_weight: float = 1.0
    mlm_weight_end: float | None = None
    contrastive_weight: float = 0.0
    contrastive_weight_end: float | None = None
    temperature: float = 0.05
    positives: Literal["window", "label", "orthologue"] = "window"
    hard_negative_weight: float = 1.0
    views: ViewConfig = ViewConfig()
    chunk: int = 0
    evaluate_every: int = 100
    save_every: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.steps >= 0, "steps must not be negative")
        require(self.evaluate_every > 0 and self.save_every > 0, "evaluate_every and save_every must be above 0")
        starts, ends = (self.mlm_weight, self.contrastive_weight), (self.mlm_weight_end, self.contrastive_weight_end)
        require(min(*starts, *(end or 0 for end in ends)) >= 0, "loss weights must not be negative")
        require(self.has_mlm or self.has_contrast, "one of the loss weights must be above 0")
        require(self.temperature > 0, "temperature must be above 0")
        require(self.hard_negative_weight > 0, "hard_negative_weight must be above 0")
        require(
            self.has_contrast or (self.positives == "window" and self.views == ViewConfig()),
            "positives and views are SimCSP's: contrastive_weight must be above 0",
        )
        require(
            self.positives == "label" or self.hard_negative_weight == 1,
            "hard_negative_weight is of decoys and splice sites: positives must be label",
        )
        require(
            self.positives != "label" or self.batch_size >= 4,
            "batch_size must be at least 4 for positives of one label: donors, acceptors, and decoys of each",
        )
        require(self.chunk >= 0, "chunk must not be negative; 0 takes all windows at once")

    @property
    def has_mlm(self) -> bool:
        """Whether masked language modelling has a weight at any step."""
        return self.mlm_weight > 0 or bool(self.mlm_weight_end)

    @property
    def has_contrast(self) -> bool:
        """Whether SimCSP has a weight at any step."""
        return self.contrastive_weight > 0 or bool(self.contrastive_weight_end)

    @property
    def windows_per_step(self) -> int:
        """Windows that the encoder reads in a step: both views, and those of MLM where it has windows of its own."""
        apart = self.positives != "window" and self.has_mlm
        return self.batch_size * (1 + self.has_contrast + apart)
