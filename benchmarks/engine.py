"""The side of this project in the comparisons, through the functions that its own scripts call.

    python benchmarks/one_side.py engine mlm '{"batch": 8}'

The corpus is random sequence, written as FASTA and prepared as any other. Batches, objectives and the loop are those of
src/pretrain.py, src/finetune.py and src/evaluate.py, at their defaults but for the size of the model and ``cls``, which
is what the peers pool.
"""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from accelerate import Accelerator
from one_side import Measured, StepClock, Work
from tqdm import tqdm
from transformers import PreTrainedModel

from simcsp.config import (
    CorpusSource,
    DataConfig,
    EncoderConfig,
    FinetuneConfig,
    OptimiserConfig,
    PhaseConfig,
    PretrainConfig,
)
from simcsp.datasets.corpus import Corpus, write_corpus
from simcsp.datasets.windows import window_table
from simcsp.model.embedding import embed
from simcsp.model.encoder import SiteClassifier, load_encoder
from simcsp.model.objectives import ClassificationObjective, Objective, PretrainingObjective
from simcsp.sequence.alphabet import FIRST_NUCLEOTIDE, VOCABULARY, Tokens
from simcsp.training.batches import Batch, EpochBatches, PretrainingBatches
from simcsp.training.devices import make_accelerator
from simcsp.training.gradients import Backward, InChunks, in_one_pass
from simcsp.training.loop import Plan, train

_NUCLEOTIDES = 1_000_000  # of the random corpus


def mlm(work: Work) -> Measured:
    """Masked language modelling."""
    return _pretrain(work, mlm_weight=1.0, contrastive_weight=0.0)


def simcsp(work: Work) -> Measured:
    """Two views of every window, told apart by dropout."""
    return _pretrain(work, mlm_weight=0.0, contrastive_weight=1.0)


def joint(work: Work) -> Measured:
    """Both losses from one forward pass."""
    return _pretrain(work, mlm_weight=1.0, contrastive_weight=1.0)


def finetune(work: Work) -> Measured:
    """Splice sites against decoys, one pass over as many windows as the steps need."""
    encoder, settings = _encoder(work), FinetuneConfig(batch_size=work.batch)
    label = np.arange(work.windows, dtype=np.uint8) % 2
    names = [str(row) for row in range(work.windows)]
    table = window_table(
        _windows(work), label=label, site_type=np.zeros_like(label), species="random", group=names, origin=names
    )
    classifier = SiteClassifier(encoder, pooling="cls", layer=-1, dropout=settings.head_dropout, seed=0)
    with TemporaryDirectory() as folder:
        batches = EpochBatches(table, work.batch, seed=0)
        objective = ClassificationObjective(classifier)
        return _train(objective, encoder, batches, settings, Path(folder), work, make_accelerator("auto"), in_one_pass)


def embedding(work: Work) -> Measured:
    """Embeddings of windows; a step here is one call with as many windows as all steps of the peer."""
    accelerator, encoder, windows = make_accelerator("auto"), _encoder(work), _windows(work)
    clock = StepClock(Work(batch=work.windows, warmup=1, steps=1))
    for _ in range(2):
        embed(encoder, windows, pooling="site", layer=-1, accelerator=accelerator)
        clock.tick()
    return clock.measured(encoder.base_model)


class _ClockedBar(tqdm):
    """A progress bar that is not shown and tells a clock of every step."""

    def __init__(self, clock: StepClock) -> None:
        super().__init__(disable=True)
        self._clock = clock

    def update(self, n: float | None = 1) -> bool | None:
        if n:
            self._clock.tick()
        return None


def _pretrain(work: Work, *, mlm_weight: float, contrastive_weight: float) -> Measured:
    phase = PhaseConfig(
        batch_size=work.batch, mlm_weight=mlm_weight, contrastive_weight=contrastive_weight, chunk=work.chunk
    )
    encoder = _encoder(work)
    objective = PretrainingObjective(encoder, phase, pooling="cls", layer=-1)
    with TemporaryDirectory() as folder:
        batches = PretrainingBatches(_corpus(Path(folder), work), phase, PretrainConfig(), seed=0)
        accelerator = make_accelerator("auto")
        backward = InChunks(objective, phase.chunk, phase.batch_size, accelerator)
        return _train(objective, encoder, batches, phase, Path(folder), work, accelerator, backward)


def _train(
    objective: Objective,
    encoder: PreTrainedModel,
    batch_at: Callable[[int], Batch],
    settings: OptimiserConfig,
    folder: Path,
    work: Work,
    accelerator: Accelerator,
    backward: Backward,
) -> Measured:
    steps = work.warmup + work.steps
    plan = Plan(steps=steps, optimiser=settings, evaluate_every=steps, save_every=steps, seed=0, select={})
    clock = StepClock(work)
    train(objective, batch_at, lambda *_: {}, plan, folder / "run", accelerator, _ClockedBar(clock), backward)
    return clock.measured(encoder.base_model)


def _encoder(work: Work) -> PreTrainedModel:
    settings = EncoderConfig(
        architecture="bert",
        hidden=work.hidden,
        layers=work.layers,
        heads=work.heads,
        intermediate=work.intermediate,
        pooling="cls",
    )
    return load_encoder(settings, work.positions, seed=0)


def _corpus(folder: Path, work: Work) -> Corpus:
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)[np.random.default_rng(0).integers(4, size=_NUCLEOTIDES)]
    (folder / "random.fa").write_bytes(b">random\n" + letters.tobytes() + b"\n")
    (folder / "corpus").mkdir()
    source = CorpusSource(species="random", sequences=Path("random.fa"))
    window = work.tokens - 2
    write_corpus(DataConfig(root=folder, window=window, corpus=(source,)), folder / "corpus", folder)
    return Corpus(folder / "corpus", window)


def _windows(work: Work) -> Tokens:
    shape = (work.windows, work.tokens - 2)
    return np.random.default_rng(0).integers(FIRST_NUCLEOTIDE, len(VOCABULARY), size=shape, dtype=np.uint8)
