import gc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from simcsp.console import quiet_libraries
from simcsp.datasets.corpus import REGIONS, TOKENS, Corpus
from simcsp.sequence.alphabet import A


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


@pytest.fixture
def make_tiny() -> type[Tiny]:
    return Tiny


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


@pytest.fixture
def accelerator() -> Iterator[Accelerator]:
    AcceleratorState._reset_state(reset_partial_state=True)
    yield Accelerator(cpu=True, mixed_precision="no")
    AcceleratorState._reset_state(reset_partial_state=True)
