import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from simcsp.config import EncoderConfig
from simcsp.console import quiet_libraries
from simcsp.model.encoder import load_encoder, save_checkpoint
from simcsp.sequence.alphabet import A, Tokens, with_special_tokens

LENGTH = 20
SMALL = {"hidden": 16, "layers": 2, "heads": 2, "intermediate": 32, "local_attention": 8}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing may ask the network, not even where a failure would be passed over in silence."""
    attempts: list[Any] = []

    def refuse(*arguments: Any, **_: Any) -> None:
        attempts.append(arguments)
        raise OSError("no network in tests")

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    yield
    assert attempts == []


@pytest.fixture(autouse=True)
def quiet() -> None:
    quiet_libraries()


@pytest.fixture(params=["bert", "modernbert"])
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make_encoder(architecture: str) -> Callable[..., PreTrainedModel]:
    """``make_encoder(seed=0, **fields)``: a small encoder of either architecture for windows of 20 nt."""

    def make(seed: int = 0, tokens: int = LENGTH + 2, **fields: Any) -> PreTrainedModel:
        return load_encoder(EncoderConfig(**{**SMALL, "architecture": architecture, **fields}), tokens, seed)

    return make


@pytest.fixture
def windows() -> Tokens:
    return np.random.default_rng(1).integers(A, A + 4, size=(6, LENGTH), dtype=np.uint8)


@pytest.fixture
def batch(windows: Tokens) -> Tensor:
    return torch.from_numpy(with_special_tokens(windows)).long()


@pytest.fixture
def checkpoint(make_encoder: Callable[..., PreTrainedModel], tmp_path: Path) -> Path:
    folder = tmp_path / "checkpoint"
    save_checkpoint(make_encoder(seed=3), folder)
    return folder
