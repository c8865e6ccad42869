"""All settings of one run, and what holds between its sections."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from simcsp.config.checks import SEEDS, require, require_folder_name
from simcsp.config.data import DataConfig, SplitConfig
from simcsp.config.experiments import PublishedConfig, SearchConfig, StudyConfig
from simcsp.config.stages import KEPT, UNTRAINED, FinetuneConfig, PretrainConfig
from simcsp.config.training import EncoderConfig, ViewConfig
from simcsp.metrics.nmi import NmiSettings


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything one run needs.

    Attributes:
        run: name of the folder in runs/.
        pretrained: run whose pre-training this one shares; its own if empty. Both need the same settings of it. For a
            study it names another study.
        seed: every random choice follows from it.
        precision: `bf16` autocast, `fp32`, or `auto`: bf16 where the processor has it.
        compile: let torch.compile fuse the layers while training. Meant for GPUs, where it needs Triton; on the CPU it
            needs a C++ compiler and gains nothing.
        processes: that share every batch of pre-training, one per device; 0 takes all visible GPUs.
        data: sources and windows.
        split: parts for choices and for cross-validation.
        encoder: the model.
        pretrain: its two phases.
        finetune: the classifier.
        nmi: how the clusters are made.
        published: quirks of the published code.
        search: for the settings of the contrastive phase (src/search.py).
        study: several runs of this configuration (src/compare.py).
    """

    run: str = "demo"
    pretrained: str = ""
    seed: int = 0
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    compile: bool = False
    processes: int = 0
    data: DataConfig = field(default_factory=DataConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)
    nmi: NmiSettings = field(default_factory=NmiSettings)
    published: PublishedConfig = field(default_factory=PublishedConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    study: StudyConfig = field(default_factory=StudyConfig)

    def __post_init__(self) -> None:
        require_folder_name(self.run, "run")
        require_folder_name(self.pretrained or self.run, "pretrained")
        require(0 <= self.seed < SEEDS, "seed must be 0 to 4294967295")
        phases = (self.pretrain.baseline, self.pretrain.contrast, *self.pretrain.also)
        require(
            not self.compile or not any(phase.chunk and phase.has_contrast for phase in phases),
            "compile does not go with chunk in a contrastive phase: compiled passes may not repeat their dropout",
        )
        require(
            bool(self.data.labelled or self.split.pretraining) or not any(p.positives == "label" for p in phases),
            "positives of one label need labels: name sources in data.labelled, or set split.pretraining",
        )
        require(
            bool(self.data.orthologues) or not any(phase.positives == "orthologue" for phase in phases),
            "positives of two species need data.orthologues",
        )
        require(
            min((self.data.window, *(self.pretrain.lengths or ()))) - 4 * max(p.views.shift for p in phases) >= 20,
            "views.shift moves the site too near to the end of a window: it needs four times as many nt and 20",
        )
        require(
            not (self.pretrain.keep_measured and self.encoder.drop_layers),
            "keep_measured does not go with drop_layers: encoders kept of the first phase still have those layers",
        )
        require(self.processes >= 0, "processes must not be negative; 0 takes all visible GPUs")
        require(
            not self.published.minus_strand_offset or self.encoder.pooling == "site",
            "published.minus_strand_offset moves the site that is pooled: encoder.pooling must be site",
        )
        require(
            not self.published.unspaced_contrast or self.encoder.pooling == "cls",
            "published.unspaced_contrast leaves no site to pool: encoder.pooling must be cls",
        )
        require(
            not self.published.unspaced_contrast or not any(phase.has_contrast and phase.has_mlm for phase in phases),
            "published.unspaced_contrast leaves no nucleotide to mask: mlm_weight must be 0 where SimCSP is on",
        )
        require(
            not self.published.unspaced_contrast or all(phase.views == ViewConfig() for phase in phases),
            "published.unspaced_contrast leaves no nucleotide to shift or mutate: it does not go with views",
        )
        require(
            KEPT not in self.finetune.initialisations or self.pretrain.keep_measured,
            "finetune.initialisations names kept, but pretrain.keep_measured is off",
        )
        known = (*self.pretrain.encoders, *self.pretrain.kept, *UNTRAINED, KEPT)
        unknown = " and no ".join(f'"{name}"' for name in self.finetune.initialisations if name not in known)
        require(not unknown, f"finetune.initialisations: there is no {unknown}; there are {', '.join(known)}")

    @property
    def initialisations(self) -> tuple[str, ...]:
        """What is fine-tuned, with the names of the encoders that were kept along the way."""
        parts = [self.pretrain.kept if name == KEPT else (name,) for name in self.finetune.initialisations]
        return tuple(dict.fromkeys(name for part in parts for name in part))

    @property
    def longest_input(self) -> int:
        """Tokens of the longest window that the encoder will see, with ``[CLS]`` and ``[SEP]``, once or twice."""
        lengths: tuple[int, ...] = self.pretrain.lengths or ()
        return max((self.data.window, *lengths)) + (4 if self.published.doubled_special_tokens else 2)


def section_in(annotation: Any) -> type | None:
    """The dataclass that the annotation of a setting is or mentions, as in ``tuple[WindowSource, ...]``."""
    parts = (annotation, *get_args(annotation))
    return next((part for part in parts if isinstance(part, type) and dataclasses.is_dataclass(part)), None)


def as_plain(config: Any) -> Any:
    """A dataclass as nested dicts, lists, strings and numbers, for YAML and JSON."""
    if dataclasses.is_dataclass(config):
        return {f.name: as_plain(getattr(config, f.name)) for f in dataclasses.fields(config)}
    if isinstance(config, list | tuple):
        return [as_plain(item) for item in config]
    return str(config) if isinstance(config, Path) else config
