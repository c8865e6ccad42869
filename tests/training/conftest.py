import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

from simcsp.config import OptimiserConfig
from simcsp.console import quiet_libraries
from simcsp.datasets.corpus import REGIONS, SOFT, TOKENS, Corpus
from simcsp.sequence.alphabet import A, C
from simcsp.training.batches import Batch
from simcsp.training.checkpoint import Progress
from simcsp.training.loop import Measure, Plan, train

OnBatch = Callable[[int, Batch], Batch]
Train = Callable[..., Progress]


class Tiny(nn.Module):
    """An objective of 79 parameters with matrices, biases, a norm and dropout."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.embedding = nn.Embedding(10, 6)
            self.norm = nn.LayerNorm(6)
            self.dropout = nn.Dropout(0.3)
            self.output = nn.Linear(6, 1)

    def forward(self, tokens: Tensor, label: Tensor) -> dict[str, Tensor]:
        logits = self.output(self.dropout(self.norm(self.embedding(tokens).mean(1)))).squeeze(-1)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, label)
        return {"loss": loss, "accuracy": ((logits > 0) == (label > 0.5)).float().mean()}

    def save(self, folder: Path) -> None:
        save_file(self.state_dict(), folder / "model.safetensors")

    def restore(self, folder: Path) -> None:
        self.load_state_dict(load_file(folder / "model.safetensors"))


def tiny_batch(step: int) -> Batch:
    tokens = torch.randint(0, 10, (8, 5), generator=torch.Generator().manual_seed(step))
    return {"tokens": tokens, "label": (tokens[:, 0] > 4).float()}


@pytest.fixture
def make_tiny() -> type[Tiny]:
    return Tiny


@pytest.fixture
def batch_at() -> Callable[[int], Batch]:
    """Batches for the tiny objective."""
    return tiny_batch


@pytest.fixture(scope="session", autouse=True)
def imports_are_no_garbage() -> None:
    """Every training collects garbage once; it need not walk through a million objects of the libraries."""
    gc.freeze()


@pytest.fixture(autouse=True)
def quiet() -> None:
    quiet_libraries()


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Windows of 12 nt from one region of 400, read on its own strand."""
    folder = tmp_path_factory.mktemp("corpus")
    np.random.default_rng(0).integers(A, A + 4, size=400, dtype=np.uint8).tofile(folder / TOKENS)
    region = {"species": "x", "contig": "c", "start": 0, "end": 400, "strand": "+", "offset": 0}
    pq.write_table(pa.table({name: [value] for name, value in region.items()}), folder / REGIONS)
    return Corpus(folder, window=12)


@pytest.fixture(scope="session")
def soft_corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Windows of 30 nt from one region of 400 in which every A and C is written in lower case."""
    folder = tmp_path_factory.mktemp("soft")
    tokens = np.random.default_rng(0).integers(A, A + 4, size=400, dtype=np.uint8)
    (tokens | np.where(tokens <= C, SOFT, 0).astype(np.uint8)).tofile(folder / TOKENS)
    region = {"species": "x", "contig": "c", "start": 0, "end": 400, "strand": "+", "offset": 0}
    pq.write_table(pa.table({name: [value] for name, value in region.items()}), folder / REGIONS)
    return Corpus(folder, window=30)


@pytest.fixture
def run(accelerator: Accelerator, tmp_path: Path) -> Train:
    """``run("folder", steps=…, …)``: train a fresh tiny objective from whatever checkpoint the folder holds.

    ``on_batch(step, batch)`` sees every batch when it is asked for, and may change it, raise, or pull the plug.
    """

    def call(
        folder: str = "run",
        *,
        objective: nn.Module | None = None,
        on_batch: OnBatch = lambda step, batch: batch,
        measure: Measure | None = None,
        select: tuple[str, ...] = (),
        **plan: Any,
    ) -> Progress:
        target = tmp_path / folder
        defaults: dict[str, Any] = {"steps": 6, "evaluate_every": 100, "save_every": 100, "seed": 3}
        defaults["optimiser"] = OptimiserConfig(learning_rate=0.05)
        return train(
            objective or Tiny(),  # type: ignore[arg-type]
            lambda step: on_batch(step, tiny_batch(step)),
            measure or (lambda step, log: dict.fromkeys(select, 0.0)),
            Plan(**{**defaults, "select": {name: target / f"best_{name}" for name in select}, **plan}),
            target,
            accelerator,
            tqdm(disable=True),
        )

    return call
