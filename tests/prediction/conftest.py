"""A scorer that needs no model: its probability depends on every nucleotide of the window; and a model of two folds."""

from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from simcsp import runs, storage
from simcsp.config import DataConfig, EncoderConfig, RunConfig, SplitConfig, WindowSource
from simcsp.console import quiet_libraries
from simcsp.model.encoder import SiteClassifier, load_encoder
from simcsp.model.objectives import ClassificationObjective
from simcsp.prediction.scorer import Probabilities, Scorer
from simcsp.sequence.alphabet import Tokens
from simcsp.sequence.fasta import Genome
from simcsp.training.checkpoint import write_model
from simcsp.training.classifier_record import write_classifier_record


class WriteGenome(Protocol):
    def __call__(self, **contigs: str) -> Genome: ...


class WeighingScorer:
    """Sigmoid of a weighted sum over the window."""

    def __init__(self, window: int = 12, max_unread: float = 0.1) -> None:
        self.window, self.max_unread = window, max_unread
        self._weights = np.random.default_rng(0).normal(0, 1, (window, 10))

    def __call__(self, windows: Tokens) -> Probabilities:
        logits = self._weights[np.arange(self.window), windows].sum(axis=1)
        return np.asarray(1 / (1 + np.exp(-logits)))


@pytest.fixture
def scorer() -> Scorer:
    return WeighingScorer()


@pytest.fixture
def write_genome(tmp_path: Path) -> WriteGenome:
    def write(**contigs: str) -> Genome:
        fasta = tmp_path / "genome.fa"
        fasta.write_text("".join(f">{name}\n{letters}\n" for name, letters in contigs.items()))
        return Genome(fasta, tmp_path / "cache")

    return write


class SavedModel(NamedTuple):
    """A folder as fine-tuning leaves it, and what was saved in it; its windows have 12 nt."""

    folder: Path
    members: list[SiteClassifier]


@pytest.fixture
def saved_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SavedModel:
    """Two folds of random weights, and predictions that are surer than they should be."""
    quiet_libraries()
    monkeypatch.setattr(runs, "ROOT", tmp_path / "root")
    how = EncoderConfig(hidden=16, layers=1, heads=2, intermediate=32, local_attention=8)
    source = WindowSource(format="genome", species="human", fasta=Path("genome.fa"), annotation=Path("genes.gtf"))
    data = DataConfig(name="d", window=20, windows=(source,))
    config = RunConfig(run="r", precision="fp32", data=data, split=SplitConfig(folds=2), encoder=how)
    object.__setattr__(config.data, "window", 12)  # shorter than configurations allow, and quick
    folder = tmp_path / "root" / "runs" / "r" / "finetune" / "baseline"
    rng = np.random.default_rng(0)
    members = []
    for k in range(2):
        classifier = SiteClassifier(load_encoder(how, 14, k), pooling="site", layer=-1, dropout=0.1, seed=k)
        write_model(folder / f"fold-{k}" / "best", ClassificationObjective(classifier))
        members.append(classifier)
        labels = np.tile([0, 1], 200)
        logits = 3 * rng.normal(2 * labels - 1, 1)
        rows = {"part": ["validation"] * 300 + ["test"] * 100, "label": labels, "probability": expit(logits)}
        pd.DataFrame(rows).to_parquet(folder / f"fold-{k}" / runs.PREDICTIONS)
    genomes = {"genome.fa": "hg38", "corpus.fa": "mm10"}
    manifest = {"assemblies": {name: {"assembly": which, "contigs": {}} for name, which in genomes.items()}}
    storage.write_json(tmp_path / "root" / "data" / "prepared" / "d" / "manifest.json", manifest)
    write_classifier_record(config, "baseline")
    return SavedModel(folder, members)
