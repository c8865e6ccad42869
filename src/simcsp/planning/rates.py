"""How fast this machine is, by a few real steps on random sequence with a fresh encoder of the shape asked for."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn
from transformers import PreTrainedModel

from simcsp.config import CNN, FinetuneConfig, OptimiserConfig, PhaseConfig, RunConfig, ViewConfig
from simcsp.datasets.corpus import Corpus, Drawn
from simcsp.metrics.layers import Sites, embedding_scores
from simcsp.metrics.nmi import nmi
from simcsp.model.cnn import CHANNELS, DilatedCnn
from simcsp.model.embedding import classify
from simcsp.model.encoder import SCRATCH, SiteClassifier, load_encoder, random_encoder, remove_top_layers
from simcsp.model.objectives import ClassificationObjective, Classifier, HeadObjective, PretrainingObjective
from simcsp.model.splicebert import needs_fetching, published_name
from simcsp.planning.work import Kind, PhaseWork
from simcsp.sequence.alphabet import FIRST_NUCLEOTIDE, T, Tokens, with_special_tokens
from simcsp.stages import stage_folder
from simcsp.training.batches import Batch, PretrainingBatches
from simcsp.training.gradients import Backward, InChunks, in_one_pass
from simcsp.training.optimiser import make_optimiser
from simcsp.training.workers import threads_of_each

_TOKENS = {"cpu": 1 << 12, "cuda": 1 << 16}  # of a timed step, at most: one of more takes as much longer
_SECONDS, _STEPS = 1.0, 5  # of timing, at most
_CLUSTERED = 400  # vectors


@dataclass(frozen=True)
class ClassifierRates:
    """Seconds of a classifier in one of the processes of fine-tuning, and what it is like.

    Attributes:
        tuned: windows of a step → per window of a step.
        predicted: per window that is predicted.
        parameters: of the encoder or, without any, of the classifier.
        width: of an embedding.
    """

    tuned: dict[int, float]
    predicted: float
    parameters: int
    width: int


@dataclass(frozen=True)
class Rates:
    """Seconds, here and now, and what the encoders are like that pre-training leaves.

    Attributes:
        trained: kind of window → per window read in pre-training, forward and backward.
        encoder: a classifier with one of these encoders.
        cnn: a convolutional network, if fine-tuning starts from one.
        read: per window that is embedded.
        clustered: per window of one NMI.
        scored: per window of SCCS, NMI and linear probe of one embedding.
        layers: of these encoders.
    """

    trained: dict[Kind, float]
    encoder: ClassifierRates
    cnn: ClassifierRates | None
    read: float
    clustered: float
    scored: float
    layers: int


def measured_rates(
    configs: Sequence[RunConfig], trainings: Sequence[PhaseWork], accelerator: Accelerator
) -> Rates | None:
    """Time every kind of step that some runs take; none if their encoder is a checkpoint that is not here.

    Args:
        configs: one run, or those of a study, which differ in seeds and in what fine-tuning learns from.
        trainings: of pre-training, and of a search.
        accelerator: device and precision.
    """
    config = configs[0]
    if (encoder := _encoder(config)) is None:
        return None
    how = config.encoder
    classifier = SiteClassifier(encoder, pooling=how.pooling, layer=how.layer, dropout=0.0, seed=0)
    width, rng = classifier.output.in_features, np.random.default_rng(0)
    windows = _windows(_fit(config.data.window, accelerator), config.data.window, rng)
    vectors = rng.normal(size=(_CLUSTERED, width)).astype(np.float32)
    label = np.arange(_CLUSTERED, dtype=np.uint8) % 2
    sites = Sites(label, np.zeros_like(label), np.arange(_CLUSTERED).astype(str))
    cnn = DilatedCnn(dropout=0.0, seed=0) if CNN in config.initialisations else None
    kinds = {one.kind: one.phase for one in trainings}
    return Rates(
        trained={kind: _trained(config, kind, phase, accelerator) for kind, phase in kinds.items()},
        encoder=_classifier_rates(classifier, encoder, width, windows, configs, accelerator),
        cnn=_classifier_rates(cnn, cnn, 2 * CHANNELS, windows, configs, accelerator) if cnn else None,
        read=_read(classifier, windows, accelerator),
        clustered=_seconds(lambda: nmi(vectors, sites.label, sites.site_type, config.nmi, 0)) / _CLUSTERED,
        scored=_seconds(lambda: embedding_scores(vectors, sites, config.nmi, 0)) / _CLUSTERED,
        layers=encoder.config.num_hidden_layers,
    )


def _classifier_rates(
    classifier: Classifier,
    kept: nn.Module,
    width: int,
    windows: Tokens,
    configs: Sequence[RunConfig],
    accelerator: Accelerator,
) -> ClassifierRates:
    """With the threads of a process of fine-tuning; ``kept`` is what a fold writes."""
    tuning = configs[0].finetune
    sizes = {one.finetune.batch_size for one in configs}
    with _threads(threads_of_each(tuning.parallel)):
        return ClassifierRates(
            tuned={size: _tuned(classifier, windows[:size], tuning, accelerator) for size in sizes},
            predicted=_read(classifier, windows, accelerator),
            parameters=sum(part.numel() for part in kept.parameters()),
            width=width,
        )


def _trained(config: RunConfig, kind: Kind, phase: PhaseConfig, accelerator: Accelerator) -> float:
    """Seconds per window read: a phase whose pairs are drawn elsewhere is timed on windows of its own kind."""
    encoder = _encoder(config, whole=kind.whole)
    assert encoder is not None  # noqa: S101 - it was there a moment ago
    longest = max(config.pretrain.lengths or (config.data.window,))
    few = replace(
        phase, batch_size=max(2, min(phase.batch_size, _fit(longest, accelerator))), positives="window",
        hard_negative_weight=1.0, views=ViewConfig(), chunk=0,
    )  # fmt: skip
    objective = PretrainingObjective(encoder, few, pooling=config.encoder.pooling, layer=config.encoder.layer)
    settings = replace(config.pretrain, lengths=None)
    batch = PretrainingBatches(cast("Corpus", _RandomCorpus(longest)), few, settings, seed=0)(0)
    backward = InChunks(objective, 0, few.batch_size, accelerator)
    return _stepped(objective, batch, few, accelerator, backward) / few.windows_per_step


def _tuned(classifier: Classifier, windows: Tokens, tuning: FinetuneConfig, accelerator: Accelerator) -> float:
    """Seconds per window: of the classifier or, with a frozen encoder, of its head alone."""
    label = torch.arange(len(windows)) % 2
    if tuning.frozen:
        embedding = torch.randn(len(windows), classifier.output.in_features)
        seconds = _stepped(HeadObjective(classifier), {"embedding": embedding, "label": label}, tuning, accelerator)
    else:
        tokens = torch.from_numpy(with_special_tokens(windows))
        objective = ClassificationObjective(classifier)
        seconds = _stepped(objective, {"tokens": tokens, "label": label}, tuning, accelerator)
    return seconds / len(windows)


def _stepped(
    objective: nn.Module,
    batch: Batch,
    settings: OptimiserConfig,
    accelerator: Accelerator,
    backward: Backward = in_one_pass,
) -> float:
    """Seconds of a step of training."""
    objective.to(accelerator.device).train()
    batch = {name: part.to(accelerator.device) for name, part in batch.items()}
    optimiser = make_optimiser(objective, settings)

    def step() -> None:
        backward(objective, batch, accelerator, 0, 0)
        accelerator.clip_grad_norm_(objective.parameters(), settings.max_grad_norm)
        optimiser.step()
        optimiser.zero_grad()

    return _seconds(step)


def _read(classifier: Classifier, windows: Tokens, accelerator: Accelerator) -> float:
    return _seconds(lambda: classify(classifier, windows, accelerator)) / len(windows)


def _encoder(config: RunConfig, *, whole: bool = False) -> PreTrainedModel | None:
    """Of the shape of BASELINE or, until that is there, with the layers that it lacks; nothing is fetched for it."""
    init, dropout = config.encoder.init, config.encoder.dropout
    if _baseline(config).exists():
        return random_encoder(_baseline(config), dropout=dropout, seed=0)
    if needs_fetching(init) or (init != SCRATCH and not Path(init).exists() and not published_name(init)):
        return None
    encoder = load_encoder(config.encoder, config.longest_input, 0)
    if not whole:
        remove_top_layers(encoder, config.encoder.drop_layers)
    return encoder


def _baseline(config: RunConfig) -> Path:
    return stage_folder(config, "pretrain") / "baseline"


class _RandomCorpus:
    """Draws windows of random nucleotides, each from a place of its own."""

    def __init__(self, window: int) -> None:
        self.window = window

    def draw(self, count: int, rng: np.random.Generator, window: int = 0) -> Drawn:
        tokens = _windows(count, window or self.window, rng)
        places = np.arange(count, dtype=np.int64)
        return Drawn(tokens, np.zeros(tokens.shape, dtype=np.bool_), places, places)


def _windows(count: int, length: int, rng: np.random.Generator) -> Tokens:
    return rng.integers(FIRST_NUCLEOTIDE, T, size=(count, length), dtype=np.uint8, endpoint=True)


def _fit(length: int, accelerator: Accelerator) -> int:
    """Windows of a timed step."""
    return max(1, _TOKENS[accelerator.device.type] // (length + 2))


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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
