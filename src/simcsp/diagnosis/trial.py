"""Seconds of real training on random nucleotides: libraries, device and disk have to work together."""

import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from accelerate import Accelerator

from simcsp.config import PhaseConfig, RunConfig
from simcsp.console import progress
from simcsp.datasets.corpus import REGIONS, TOKENS, Corpus
from simcsp.model.encoder import SCRATCH, load_encoder
from simcsp.model.objectives import PretrainingObjective
from simcsp.model.splicebert import needs_fetching
from simcsp.sequence.alphabet import A
from simcsp.training.batches import PretrainingBatches
from simcsp.training.gradients import InChunks
from simcsp.training.log import RunLog
from simcsp.training.loop import Plan, train

_WINDOWS = 8  # per step; SimCSP makes two views of each


class Trial(NamedTuple):
    """What a brief training came to.

    Attributes:
        parameters: of the encoder.
        steps: that were timed, after two that were not.
        seconds: that they took.
        tokens_per_second: of both views.
    """

    parameters: int
    steps: int
    seconds: float
    tokens_per_second: float


def train_briefly(config: RunConfig, accelerator: Accelerator, folder: Path, seconds: float) -> Trial:
    """Train MLM and SimCSP at once, by the loop of every stage, for about as long as is asked for.

    Args:
        config: whose encoder and length of window are taken. Nothing is fetched: where a published checkpoint is not
            here, an encoder made from scratch stands in for it.
        accelerator: device and precision.
        folder: an empty one, for a corpus, logs and checkpoints.
        seconds: to train for, as long as a step takes less.

    Raises:
        InputError: as :func:`simcsp.training.loop.train` and :func:`simcsp.model.encoder.load_encoder` do.
    """
    how = config.encoder
    if needs_fetching(how.init):
        how = replace(how, init=SCRATCH, layer=-1, drop_layers=0)
    encoder = load_encoder(how, config.longest_input, config.seed)
    phase = PhaseConfig(mlm_weight=1.0, contrastive_weight=1.0, batch_size=_WINDOWS)
    objective = PretrainingObjective(encoder, phase, pooling=how.pooling, layer=how.layer)
    corpus = _random_corpus(folder / "corpus", config.data.window)
    batches = PretrainingBatches(corpus, phase, replace(config.pretrain, lengths=None), config.seed)
    backward = InChunks(objective, 0, _WINDOWS, accelerator)
    ends: dict[int, float] = {}  # step → when it was over

    def note(step: int, log: RunLog) -> dict[str, float]:  # noqa: ARG001
        ends[step] = time.perf_counter()
        return {}

    def run(steps: int, every: int, inside: Path) -> None:
        plan = Plan(steps=steps, optimiser=phase, evaluate_every=every, save_every=steps, seed=config.seed, select={})
        with progress(None, "doctor: training", unit="step", total=steps) as bar:
            train(objective, batches, note, plan, inside, accelerator, bar, backward)

    run(2, 1, folder / "first")  # what is slow only once is over after one
    steps = max(1, int(seconds / (ends[2] - ends[1])))
    run(steps, steps, folder / "timed")
    took = ends[steps] - ends[0]
    return Trial(encoder.num_parameters(), steps, took, steps * batches(0)["tokens"].numel() / took)


def _random_corpus(folder: Path, window: int) -> Corpus:
    """A prepared corpus of one region, long enough that windows hardly ever overlap."""
    folder.mkdir()
    size = 1000 * window
    np.random.default_rng(0).integers(A, A + 4, size=size, dtype=np.uint8).tofile(folder / TOKENS)
    region = {"species": "none", "contig": "random", "start": 0, "end": size, "strand": ".", "offset": 0}
    pq.write_table(pa.table({name: [value] for name, value in region.items()}), folder / REGIONS)
    return Corpus(folder, window)
