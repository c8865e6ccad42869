"""The benchmark that drops attention weights does so in every layer, and compares nothing else."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from simcsp import runs
from simcsp.config import EncoderConfig, PhaseConfig, RunConfig, SplitConfig
from simcsp.datasets.corpus import REGIONS, TOKENS, Corpus
from simcsp.datasets.windows import save_windows, window_table
from simcsp.model.encoder import load_encoder
from simcsp.sequence.alphabet import A
from simcsp.training.batches import Batch, PretrainingBatches

ROOT = Path(__file__).resolve().parents[1]
WINDOW = 40
SMALL: dict[str, Any] = {"hidden": 16, "layers": 3, "heads": 2, "intermediate": 32, "local_attention": 8}
JOINT = PhaseConfig(batch_size=8, contrastive_weight=1.0)
ALONE = PhaseConfig(batch_size=8, contrastive_weight=1.0, mlm_weight=0.0)

both_architectures = pytest.mark.parametrize("architecture", ["bert", "modernbert"])


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield importlib.import_module("attention_dropout")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout's folder with a prepared set called ``small``."""
    root = tmp_path_factory.mktemp("checkout")
    folder, rng = root / "data" / "prepared" / "small", np.random.default_rng(0)
    (folder / "corpus").mkdir(parents=True)
    rng.integers(A, A + 4, size=2000, dtype=np.uint8).tofile(folder / "corpus" / TOKENS)
    region = {"species": "x", "contig": "c", "start": 0, "end": 2000, "strand": "+", "offset": 0}
    pq.write_table(pa.table({name: [value] for name, value in region.items()}), folder / "corpus" / REGIONS)
    rows = np.arange(120)
    names = [str(row) for row in rows]
    table = window_table(
        rng.integers(A, A + 4, size=(120, WINDOW), dtype=np.uint8),
        label=(rows // 2 % 2).astype(np.uint8), site_type=(rows % 2).astype(np.uint8),
        species="x", group=names, origin=names,
    )  # fmt: skip
    selection = np.full(120, 2 * SplitConfig().folds, np.int8)
    save_windows(table._replace(part=selection), folder / "windows")
    return root


def trial_of(script: ModuleType, architecture: Any, dropout: float, prepared: Path, accelerator: Accelerator) -> Any:
    config = RunConfig(encoder=EncoderConfig(**SMALL, architecture=architecture, dropout=dropout))
    corpus = Corpus(prepared / "data" / "prepared" / "small" / "corpus", WINDOW)
    return script.Trial(config, corpus, None, accelerator)


def batch_of(trial: Any, phase: PhaseConfig) -> Batch:
    return PretrainingBatches(trial.corpus, phase, trial.config.pretrain, seed=0)(0)


@both_architectures
@pytest.mark.parametrize("phase", [JOINT, ALONE], ids=["joint", "alone"])
def test_without_dropout_both_give_the_same_losses_and_gradients(
    script: ModuleType, prepared: Path, accelerator: Accelerator, architecture: str, phase: PhaseConfig
) -> None:
    trial = trial_of(script, architecture, 0.0, prepared, accelerator)
    found = []
    for dropped in (script.HIDDEN, script.WEIGHTS):
        encoder = load_encoder(trial.config.encoder, WINDOW + 2, seed=1)
        losses = trial.objective(dropped, encoder, phase).train()(**batch_of(trial, phase))
        losses["loss"].backward()
        gradients = {n: p.grad for n, p in encoder.named_parameters() if p.grad is not None and p.grad.any()}
        found.append({**losses, **gradients})
    assert len(found[0]) > 20
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-6)


@both_architectures
def test_weights_are_dropped_in_every_layer(
    script: ModuleType, prepared: Path, accelerator: Accelerator, architecture: str
) -> None:
    trial = trial_of(script, architecture, 0.25, prepared, accelerator)
    encoder = load_encoder(trial.config.encoder, WINDOW + 2, seed=1)
    objective = trial.objective(script.WEIGHTS, encoder, JOINT)
    weights: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, outputs: Any) -> None:
        weights.append(outputs[1])

    for module in encoder.modules():
        if isinstance(module, (script.BertSelfAttention, script.ModernBertAttention)):
            module.register_forward_hook(keep)
    batch = batch_of(trial, JOINT)
    torch.manual_seed(0)
    objective.eval()(**batch)
    objective.train()(**batch)
    assert len(weights) == 2 * 3
    for undropped, dropped in zip(weights[:3], weights[3:], strict=True):
        share = float((dropped[undropped > 0] == 0).float().mean())
        assert share == pytest.approx(0.25, abs=0.02)


@pytest.mark.slow  # UMAP's weights are compiled
def test_without_dropout_the_table_shows_no_difference(
    script: ModuleType,
    prepared: Path,
    accelerator: Accelerator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = tmp_path / "small.yaml"
    page.write_text(
        f"precision: fp32\ndata: {{name: small, window: {WINDOW}}}\nencoder: {SMALL | {'dropout': 0.0}}\n"
        "pretrain: {baseline: {steps: 10}, contrast: {steps: 5, batch_size: 8}}\nnmi: {seeds: 1}\n"
    )
    monkeypatch.setattr(runs, "ROOT", prepared)
    monkeypatch.setattr(script, "SEEDS", 2)
    monkeypatch.setattr(sys, "argv", ["attention_dropout.py", "--config", str(page)])
    script.main()
    header, _, *rows = ([cell.strip() for cell in row.split("|")[1:-1]] for row in capsys.readouterr().out.splitlines())
    table = {row[0]: dict(zip(header[1:], row[1:], strict=True)) for row in rows}
    assert list(table) == [
        "BASELINE",
        "hidden states",
        "hidden states and attention weights",
        "difference, 95 % interval",
    ]
    for measure in ("SCCS", "contrastive loss", "the same, weights dropped", "MLM loss"):
        assert table["difference, 95 % interval"][measure].lstrip("-") == "0.000 ± 0.000"
        assert table["hidden states"][measure] != table["BASELINE"][measure]
