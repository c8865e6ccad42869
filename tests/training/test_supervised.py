"""Contrast by labels on a simulated genome, whose truth is known."""

from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from tqdm import tqdm

from simcsp.config import DataConfig, EncoderConfig, PhaseConfig, PretrainConfig, SplitConfig, WindowSource
from simcsp.datasets.corpus import Corpus
from simcsp.datasets.pairs import LabelledPairs
from simcsp.datasets.readers import READERS
from simcsp.datasets.set_apart import set_apart
from simcsp.datasets.splits import assign_parts, pretraining_rows, selection_rows
from simcsp.datasets.windows import WindowTable, drop_duplicates
from simcsp.metrics.sccs import sccs
from simcsp.model.embedding import embed
from simcsp.model.encoder import load_encoder
from simcsp.model.objectives import PretrainingObjective
from simcsp.sequence.simulate import GenomeSettings, write_genomes
from simcsp.tally import Tally
from simcsp.training.batches import PretrainingBatches
from simcsp.training.gradients import InChunks
from simcsp.training.loop import Plan, train

SPLIT = SplitConfig(folds=2, pretraining=5)
ENCODER = EncoderConfig(hidden=48, layers=1, heads=2, intermediate=64, local_attention=32)
PHASE = PhaseConfig(
    steps=80,
    batch_size=128,
    mlm_weight=0.0,
    contrastive_weight=1.0,
    positives="label",
    temperature=0.2,
    learning_rate=5e-3,
)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[WindowTable, WindowTable]:
    """Windows to learn from, and those of the part for choices."""
    folder = tmp_path_factory.mktemp("genome")
    write_genomes(GenomeSettings(genes=120, species=1), folder, 0)
    fasta, gtf = folder / "ancestor.fa", folder / "ancestor.gtf"
    source = WindowSource(format="genome", species="x", fasta=fasta, annotation=gtf)
    table, _ = READERS["genome"](source, DataConfig(window=20), folder / "cache", np.random.default_rng(0))
    raw = drop_duplicates(table, Tally("windows", "x"))
    parted = assign_parts(raw, SPLIT)
    rows = pretraining_rows(parted, SPLIT)
    evaluated = raw.take(np.setdiff1d(np.arange(len(raw.label)), rows))
    labelled = set_apart(raw.take(rows), evaluated, SPLIT, Tally("windows", "x"))
    return labelled, parted.take(selection_rows(parted, SPLIT))


def test_labels_raise_sccs_of_windows_whose_genes_were_not_seen(
    parts: tuple[WindowTable, WindowTable], corpus: Corpus, accelerator: Accelerator, tmp_path: Path
) -> None:
    labelled, selection = parts
    torch.manual_seed(0)
    encoder = load_encoder(ENCODER, 22, seed=0)

    def measured() -> float:
        vectors = embed(encoder, selection.tokens, pooling="site", layer=-1, accelerator=accelerator)
        return sccs(vectors, selection.label, 0).value

    before = measured()
    objective = PretrainingObjective(encoder, PHASE, pooling="site", layer=-1)
    batches = PretrainingBatches(corpus, PHASE, PretrainConfig(), 0, LabelledPairs(labelled))
    plan = Plan(steps=PHASE.steps, optimiser=PHASE, evaluate_every=100, save_every=100, seed=0, select={})
    backward = InChunks(objective, 0, PHASE.batch_size, accelerator)
    train(objective, batches, lambda *_: {}, plan, tmp_path, accelerator, tqdm(disable=True), backward)
    assert before < 0.1
    assert measured() > 0.15
