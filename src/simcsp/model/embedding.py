"""Embeddings of windows by an encoder that is not being trained."""

from collections.abc import Iterator

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import PreTrainedModel

from simcsp.config import Pooling
from simcsp.model.states import encode, pooled_states
from simcsp.sequence.alphabet import Tokens, with_special_tokens

_TOKENS = {"cpu": 1 << 12, "cuda": 1 << 16}  # at a time: what stays in the caches of one, and keeps the other busy

Floats = NDArray[np.float32]


def embed(
    encoder: PreTrainedModel, windows: Tokens, *, pooling: Pooling, layer: int, accelerator: Accelerator
) -> Floats:
    """Pooled embeddings without dropout: ``(n, length)`` nucleotide tokens → ``(n, P)``."""
    ready(encoder, accelerator)
    with torch.inference_mode(), accelerator.autocast():
        batches = batches_of(with_special_tokens(windows), accelerator)
        parts = [encode(encoder, batch, pooling=pooling, layer=layer).pooled for batch in batches]
    return torch.cat(parts).float().cpu().numpy()


def embed_layers(encoder: PreTrainedModel, windows: Tokens, accelerator: Accelerator) -> dict[str, Floats]:
    """Every hidden state pooled in every way, without dropout: pooling → ``(n, layers + 1, P)``, layer 0 the embedding.

    One forward pass for all of them. What is kept of a window is its pooled vectors, 16 bytes × layers × width: 57 kB
    for SpliceBERT.
    """
    ready(encoder, accelerator)
    pooled: dict[str, Floats] = {}
    done = 0
    with torch.inference_mode(), accelerator.autocast():
        for batch in batches_of(with_special_tokens(windows), accelerator):
            for pooling, states in pooled_states(encoder, batch).items():
                if pooling not in pooled:
                    pooled[pooling] = np.empty((len(windows), *states.shape[1:]), dtype=np.float32)
                pooled[pooling][done : done + len(batch)] = states.float().cpu().numpy()
            done += len(batch)
    return pooled


def classify(classifier: nn.Module, windows: Tokens, accelerator: Accelerator) -> tuple[Floats, Floats]:
    """Probabilities ``(n,)`` and pooled embeddings ``(n, P)`` of ``(n, length)`` nucleotide tokens.

    ``classifier`` gives the logits and embeddings of a batch, as :class:`simcsp.model.encoder.SiteClassifier` does.
    """
    ready(classifier, accelerator)
    with torch.inference_mode(), accelerator.autocast():
        parts = [classifier(batch) for batch in batches_of(with_special_tokens(windows), accelerator)]
    logits = torch.cat([logits for logits, _ in parts])
    embeddings = torch.cat([embedding for _, embedding in parts])
    return torch.sigmoid(logits).cpu().numpy(), embeddings.cpu().numpy()


def ready(module: nn.Module, accelerator: Accelerator) -> None:
    """Put a model on its device and switch its dropout off."""
    module.to(accelerator.device).eval()


def batches_of(tokens: Tokens, accelerator: Accelerator) -> Iterator[Tensor]:
    """Framed windows ``(n, T)`` a few at a time on the device: ``(B, T)``."""
    count = max(1, _TOKENS[accelerator.device.type] // tokens.shape[1])
    for start in range(0, len(tokens), count):
        yield torch.from_numpy(tokens[start : start + count]).long().to(accelerator.device)
