"""Embeddings of windows by an encoder that is not being trained."""

from collections.abc import Iterator

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import PreTrainedModel

from simcsp.config import Pooling
from simcsp.model.encoder import SiteClassifier
from simcsp.model.states import encode
from simcsp.sequence.alphabet import Tokens, with_special_tokens

_TOKENS = {"cpu": 1 << 12, "cuda": 1 << 16}  # at a time: what stays in the caches of one, and keeps the other busy

Floats = NDArray[np.float32]


def embed(
    encoder: PreTrainedModel, windows: Tokens, *, pooling: Pooling, layer: int, accelerator: Accelerator
) -> Floats:
    """Pooled embeddings without dropout: ``(n, length)`` nucleotide tokens → ``(n, P)``."""
    _ready(encoder, accelerator)
    with torch.inference_mode(), accelerator.autocast():
        parts = [
            encode(encoder, batch, pooling=pooling, layer=layer).pooled for batch in _batches(windows, accelerator)
        ]
    return torch.cat(parts).float().cpu().numpy()


def classify(classifier: SiteClassifier, windows: Tokens, accelerator: Accelerator) -> tuple[Floats, Floats]:
    """Probabilities ``(n,)`` and pooled embeddings ``(n, P)`` of ``(n, length)`` nucleotide tokens."""
    _ready(classifier, accelerator)
    with torch.inference_mode(), accelerator.autocast():
        parts = [classifier(batch) for batch in _batches(windows, accelerator)]
    logits = torch.cat([logits for logits, _ in parts])
    embeddings = torch.cat([embedding for _, embedding in parts])
    return torch.sigmoid(logits).cpu().numpy(), embeddings.cpu().numpy()


def _ready(module: nn.Module, accelerator: Accelerator) -> None:
    """On its device, without dropout."""
    module.to(accelerator.device).eval()


def _batches(windows: Tokens, accelerator: Accelerator) -> Iterator[Tensor]:
    count = max(1, _TOKENS[accelerator.device.type] // (windows.shape[1] + 2))
    for start in range(0, len(windows), count):
        framed = with_special_tokens(windows[start : start + count])
        yield torch.from_numpy(framed).long().to(accelerator.device)
