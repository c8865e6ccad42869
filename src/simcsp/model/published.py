"""Encoders read as published code read them: each function reproduces one quirk, for comparison and never by default.

Shapes: ``D`` width of the model.
"""

from collections.abc import Callable

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from simcsp.model.embedding import Floats, batches_of, ready
from simcsp.model.states import hidden_state, take
from simcsp.sequence.alphabet import CLS, SEP, Tokens, with_special_tokens

_LONGEST = 400  # tokens: SimCSP's `max_seq_length`


def embed_sites_off_by_one(
    encoder: PreTrainedModel,
    windows: Tokens,
    reverse: NDArray[np.bool_],
    *,
    layer: int,
    accelerator: Accelerator,
) -> Floats:
    """Pool the two central nucleotides, but of windows of the minus strand those one nucleotide upstream.

    SpliceBERT's ``fetch_embedding.py`` and SimCSP's ``embedding_gen.py`` turn the half-open interval ``[i, j)`` of a
    window of ``L`` nt round to ``[L - 1 - j, L - 1 - i)``, where ``[L - j, L - i)`` holds the site.

    Args:
        encoder: whose hidden states are pooled.
        windows: ``(n, L)`` nucleotide tokens on the strand of transcription, the site at the centre.
        reverse: ``(n,)`` true for windows of the minus strand.
        layer: hidden state; -1 is the last.
        accelerator: device and precision.

    Returns:
        ``(n, 2 D)``.
    """
    middle = windows.shape[1] // 2
    first = torch.from_numpy(np.where(reverse, middle - 1, middle))  # of the tokens, which begin with [CLS]

    places = torch.stack([first, first + 1], dim=1)

    def pooled(hidden: Tensor, rows: slice) -> Tensor:
        return take(hidden, places[rows].to(hidden.device)).flatten(1)

    return _embed(encoder, with_special_tokens(windows), pooled, layer, accelerator)


def embed_around_sites(encoder: PreTrainedModel, windows: Tokens, accelerator: Accelerator) -> NDArray[np.float16]:
    """All hidden states of ``[CLS]`` and around the site, from one pass; in float16, as published.

    :func:`sites_of` takes the sites from them, in the published way or the right one.

    Args:
        encoder: a BERT.
        windows: ``(n, L)`` nucleotide tokens on the strand of transcription, the site at the centre.
        accelerator: device and precision.

    Returns:
        ``(n, layers + 1, 4, D)``: ``[CLS]``, the nucleotide before the site, and the two of the site.
    """
    ready(encoder, accelerator)
    middle = windows.shape[1] // 2
    places = [0, middle - 1, middle, middle + 1]  # of the tokens, which begin with [CLS]
    with torch.inference_mode(), accelerator.autocast():
        parts = [
            torch.stack(
                [hidden[:, places] for hidden in encoder.base_model(tokens, output_hidden_states=True).hidden_states],
                dim=1,
            )
            for tokens in batches_of(with_special_tokens(windows), accelerator)
        ]
    return torch.cat(parts).half().cpu().numpy()


def sites_of(around: NDArray[np.float16], reverse: NDArray[np.bool_], *, layer: int, off_by_one: bool) -> Floats:
    """The two nucleotides of each site side by side, from what :func:`embed_around_sites` gives.

    Args:
        around: ``(n, layers + 1, 4, D)``.
        reverse: ``(n,)`` true for windows of the minus strand.
        layer: hidden state.
        off_by_one: whether windows of the minus strand are read one nucleotide upstream, as published.

    Returns:
        ``(n, 2 D)``.
    """
    states = around[:, layer].astype(np.float32)
    right, shifted = states[:, 2:4].reshape(len(states), -1), states[:, 1:3].reshape(len(states), -1)
    return np.where((reverse & off_by_one)[:, None], shifted, right)


def embed_doubly_framed(encoder: PreTrainedModel, windows: Tokens, *, layer: int, accelerator: Accelerator) -> Floats:
    """Pool ``[CLS]`` of windows framed twice by special tokens and cut to 400 tokens, as SimCSP's S3 pairs are.

    They were decoded with their special tokens and encoded again: ``[CLS] [CLS] … [SEP] [SEP]``.

    Args:
        encoder: whose hidden states are pooled.
        windows: ``(n, L)`` nucleotide tokens.
        layer: hidden state; -1 is the last.
        accelerator: device and precision.

    Returns:
        ``(n, D)``.
    """
    framed = with_special_tokens(windows)
    doubled = np.pad(framed, ((0, 0), (1, 1)), constant_values=((0, 0), (CLS, SEP)))
    return _embed(encoder, doubled[:, :_LONGEST], lambda hidden, _: hidden[:, 0], layer, accelerator)


def _embed(
    encoder: PreTrainedModel,
    tokens: Tokens,
    pooled: Callable[[Tensor, slice], Tensor],
    layer: int,
    accelerator: Accelerator,
) -> Floats:
    ready(encoder, accelerator)
    parts, done = [], 0
    with torch.inference_mode(), accelerator.autocast():
        for batch in batches_of(tokens, accelerator):
            rows = slice(done, done + len(batch))
            parts.append(pooled(hidden_state(encoder, batch, layer), rows))
            done = rows.stop
    return torch.cat(parts).float().cpu().numpy()
