"""How fast this machine is, by a few real steps on random sequence with a fresh encoder of the shape asked for."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from accelerate import Accelerator
from transformers import PreTrainedModel

from simcsp.config import PhaseConfig, RunConfig, ViewConfig
from simcsp.datasets.corpus import Corpus, Drawn
from simcsp.metrics.nmi import nmi
from simcsp.model.embedding import classify
from simcsp.model.encoder import SCRATCH, SiteClassifier, load_encoder, random_encoder
from simcsp.model.objectives import ClassificationObjective, PretrainingObjective
from simcsp.model.splicebert import published_name
from simcsp.sequence.alphabet import FIRST_NUCLEOTIDE, T, Tokens, with_special_tokens
from simcsp.stages import stage_folder
from simcsp.training.batches import PretrainingBatches
from simcsp.training.gradients import InChunks, in_one_pass
from simcsp.training.optimiser import make_optimiser

_TOKENS = 4096  # of a timed step, at most: a step of many windows takes as much longer as it has more of them
_SECONDS, _STEPS = 1.0, 5  # of timing, at most
_CLUSTERED = 400  # vectors


@dataclass(frozen=True)
class Rates:
    """Seconds, here and now.

    Attributes:
        trained: (has MLM, has SimCSP) → per window read in pre-training, forward and backward.
        tuned: per window of a step of fine-tuning.
        read: per window that is embedded or predicted.
        clustered: per window of one NMI.
        parameters: of the encoder.
    """

    trained: dict[tuple[bool, bool], float]
    tuned: float
    read: float
    clustered: float
    parameters: int


def measured_rates(config: RunConfig, accelerator: Accelerator) -> Rates | None:
    """Time every kind of step that the run takes; none if its encoder is a checkpoint that is not here."""
    if (encoder := _encoder(config)) is None:
        return None
    rng = np.random.default_rng(0)
    windows = _windows(min(config.finetune.batch_size, _fit(config.data.window)), config.data.window, rng)
    kinds = {(phase.has_mlm, phase.has_contrast): phase for phase in _phases(config)}
    trained = {kind: _trained(config, phase, accelerator) for kind, phase in kinds.items()}
    how = config.encoder
    classifier = SiteClassifier(encoder, pooling=how.pooling, layer=how.layer, dropout=0.0, seed=0)
    classifier.to(accelerator.device)
    vectors = rng.normal(size=(_CLUSTERED, 16)).astype(np.float32)
    labels = np.arange(_CLUSTERED, dtype=np.uint8) % 2
    return Rates(
        trained=trained,
        tuned=_tuned(classifier, windows, config, accelerator),
        read=_seconds(lambda: classify(classifier, windows, accelerator)) / len(windows),
        clustered=_seconds(lambda: nmi(vectors, labels, np.zeros_like(labels), config.nmi, 0)) / _CLUSTERED,
        parameters=encoder.num_parameters(),
    )


def _trained(config: RunConfig, phase: PhaseConfig, accelerator: Accelerator) -> float:
    """Seconds per window read: a phase whose pairs are drawn elsewhere is timed on windows of its own kind."""
    encoder = _encoder(config)
    assert encoder is not None  # noqa: S101 - it was there a moment ago
    longest = max(config.pretrain.lengths or (config.data.window,))
    few = replace(
        phase, batch_size=max(2, min(phase.batch_size, _fit(longest))), positives="window", hard_negative_weight=1.0,
        views=ViewConfig(), chunk=0,
    )  # fmt: skip
    objective = PretrainingObjective(encoder, few, pooling=config.encoder.pooling, layer=config.encoder.layer)
    objective.to(accelerator.device).train()
    settings = replace(config.pretrain, lengths=None)
    batch = PretrainingBatches(cast("Corpus", _RandomCorpus(longest)), few, settings, seed=0)(0)
    batch = {name: part.to(accelerator.device) for name, part in batch.items()}
    optimiser = make_optimiser(objective, few)
    backward = InChunks(objective, 0, few.batch_size, accelerator)

    def step() -> None:
        backward(objective, batch, accelerator, 0, 0)
        optimiser.step()
        optimiser.zero_grad()

    return _seconds(step) / few.windows_per_step


def _tuned(classifier: SiteClassifier, windows: Tokens, config: RunConfig, accelerator: Accelerator) -> float:
    objective = ClassificationObjective(classifier)
    objective.train()
    optimiser = make_optimiser(objective, config.finetune)
    tokens = torch.from_numpy(with_special_tokens(windows)).to(accelerator.device)
    batch = {"tokens": tokens, "label": (torch.arange(len(windows)) % 2).to(accelerator.device)}

    def step() -> None:
        in_one_pass(objective, batch, accelerator, 0, 0)
        optimiser.step()
        optimiser.zero_grad()

    return _seconds(step) / len(windows)


def _encoder(config: RunConfig) -> PreTrainedModel | None:
    """Of the right shape, with random weights; nothing is fetched for it."""
    baseline = stage_folder(config, "pretrain") / "baseline"
    if baseline.exists():
        return random_encoder(baseline, dropout=config.encoder.dropout, seed=0)
    if config.encoder.init == SCRATCH:
        return load_encoder(config.encoder, config.longest_input, 0)
    if published_name(config.encoder.init) or not Path(config.encoder.init).exists():
        return None
    return random_encoder(Path(config.encoder.init), dropout=config.encoder.dropout, seed=0)


class _RandomCorpus:
    """Draws windows of random nucleotides, each from a place of its own."""

    def __init__(self, window: int) -> None:
        self.window = window

    def draw(self, count: int, rng: np.random.Generator, window: int = 0) -> Drawn:
        tokens = _windows(count, window or self.window, rng)
        places = np.arange(count, dtype=np.int64)
        return Drawn(tokens, np.zeros(tokens.shape, dtype=np.bool_), places, places)


def _phases(config: RunConfig) -> list[PhaseConfig]:
    settings = config.pretrain
    return [phase for phase in (settings.baseline, settings.contrast, *settings.also) if phase.steps]


def _windows(count: int, length: int, rng: np.random.Generator) -> Tokens:
    return rng.integers(FIRST_NUCLEOTIDE, T, size=(count, length), dtype=np.uint8, endpoint=True)


def _fit(length: int) -> int:
    """Windows of a timed step."""
    return max(1, _TOKENS // (length + 2))


def _seconds(work: Callable[[], object]) -> float:
    """Of one call, after one that does not count; the median of some."""
    taken: list[float] = []
    for _ in range(_STEPS + 1):
        start = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - start)
        if len(taken) > 1 and sum(taken) > _SECONDS:
            break
    return float(np.median(taken[1:]))
