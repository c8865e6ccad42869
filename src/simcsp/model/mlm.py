"""Masked language modelling (Devlin et al. 2019) with SpliceBERT's rules: 15 %, of which 80/10/10.

Only nucleotides A, C, G and T are asked for: never N, never a special token. The last layer, the head and the
loss are computed at the chosen positions only.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from simcsp.model.states import mlm_logits
from simcsp.sequence.alphabet import FIRST_NUCLEOTIDE, MASK, VOCABULARY, Tokens

_MASKED, _RANDOM = 0.8, 0.1  # of the chosen positions; the rest stays as it is
_ROUND = 8  # positions asked for per window, rounded up to a multiple of this


class Masked(NamedTuple):
    """A batch with some nucleotides hidden.

    Attributes:
        tokens: ``(B, T)`` what the encoder sees.
        chosen: ``(B, T)`` true where the original nucleotide is asked for.
    """

    tokens: Tokens
    chosen: NDArray[np.bool_]


class Questions(NamedTuple):
    """The chosen nucleotides of a batch, row by row; short rows are filled up.

    Attributes:
        places: ``(B, K)`` where they are.
        targets: ``(B, K)`` what they were before masking.
        present: ``(B, K)`` false for what only fills a row up.
    """

    places: NDArray[np.int64]
    targets: Tokens
    present: NDArray[np.bool_]


class MlmTotal(NamedTuple):
    """Sum of the weights of a batch, and the number of positions that have one."""

    weight: Tensor
    positions: Tensor


class MlmLoss(NamedTuple):
    """Weighted mean cross entropy in nats per chosen position, and the share of them predicted right."""

    loss: Tensor
    accuracy: Tensor


def mask_tokens(tokens: Tokens, share: float, rng: np.random.Generator) -> Masked:
    """Choose nucleotides and hide them: 80 % become ``[MASK]``, 10 % a random nucleotide, 10 % stay.

    Args:
        tokens: ``(B, T)`` ids, special tokens included.
        share: chance of each nucleotide to be chosen.
        rng: source of chance.
    """
    chosen = (tokens >= FIRST_NUCLEOTIDE) & (rng.random(tokens.shape, dtype=np.float32) < share)
    fate = rng.random(tokens.shape, dtype=np.float32)
    random_nucleotides = rng.integers(FIRST_NUCLEOTIDE, len(VOCABULARY), size=tokens.shape, dtype=np.uint8)
    hidden = np.where(fate < _MASKED, np.uint8(MASK), np.where(fate < _MASKED + _RANDOM, random_nucleotides, tokens))
    return Masked(np.where(chosen, hidden, tokens), chosen)


def questions(original: Tokens, chosen: NDArray[np.bool_]) -> Questions:
    """Gather the chosen positions of each window, so that head and last layer need not be computed elsewhere.

    Args:
        original: ``(B, T)`` ids before masking.
        chosen: ``(B, T)`` true where the nucleotide is asked for.
    """
    counts = chosen.sum(axis=1)
    width = _ROUND * max(1, -(-int(counts.max(initial=0)) // _ROUND))  # few different shapes, for compilers
    present = np.arange(width) < counts[:, None]
    places = np.zeros(present.shape, dtype=np.int64)
    places[present] = np.nonzero(chosen)[1]
    return Questions(places, np.take_along_axis(original, places, axis=1), present)


def mlm_loss(
    model: PreTrainedModel,
    hidden: Tensor,
    targets: Tensor,
    weight: Tensor,
    total: MlmTotal | None = None,
) -> MlmLoss:
    """Loss at the chosen positions; 0 when nothing was chosen, as can happen in a small batch.

    Args:
        model: gives the prediction head.
        hidden: ``(B, K, D)`` last hidden state there.
        targets: ``(B, K)`` ids before masking.
        weight: ``(B, K)`` of each position in the mean; 0 where nothing is asked.
        total: of the batch that this one is a part of; the losses of the parts then add up to that of the batch.
    """
    of_weight, of_positions = mlm_total(weight) if total is None else total
    logits = mlm_logits(model, hidden).float()
    each = functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view(targets.shape)
    right = ((logits.detach().argmax(dim=-1) == targets) & (weight > 0)).sum()
    return MlmLoss((each * weight).sum() / of_weight, right / of_positions)


def mlm_total(weight: Tensor) -> MlmTotal:
    """What the mean over a batch with these weights is divided by."""
    return MlmTotal(weight.sum().clamp(min=torch.finfo(weight.dtype).tiny), (weight > 0).sum().clamp(min=1))
