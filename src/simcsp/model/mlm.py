"""Masked language modelling (Devlin et al. 2019) with SpliceBERT's rules: 15 %, of which 80/10/10.

Only nucleotides A, C, G and T are asked for: never N, never a special token. The head and the loss are computed
at the chosen positions only.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from simcsp.model.encoder import mlm_logits
from simcsp.sequence.alphabet import FIRST_NUCLEOTIDE, MASK, VOCABULARY, Tokens

_MASKED, _RANDOM = 0.8, 0.1  # of the chosen positions; the rest stays as it is


class Masked(NamedTuple):
    """A batch with some nucleotides hidden.

    Attributes:
        tokens: ``(B, T)`` what the encoder sees.
        chosen: ``(B, T)`` true where the original nucleotide is asked for.
    """

    tokens: Tokens
    chosen: NDArray[np.bool_]


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


def mlm_loss(
    model: PreTrainedModel, hidden: Tensor, original: Tensor, chosen: Tensor, weight: Tensor | None = None
) -> MlmLoss:
    """Loss at the chosen positions; 0 when nothing was chosen, as can happen in a small batch.

    Args:
        model: gives the prediction head.
        hidden: ``(B, T, D)`` last hidden state of the masked batch.
        original: ``(B, T)`` ids before masking.
        chosen: ``(B, T)`` true where the nucleotide is asked for.
        weight: ``(B, T)`` of each position in the mean; all the same if not given.
    """
    logits = mlm_logits(model, hidden[chosen]).float()
    targets = original[chosen]
    each = functional.cross_entropy(logits, targets, reduction="none")
    weights = torch.ones_like(each) if weight is None else weight[chosen]
    loss = (each * weights).sum() / weights.sum().clamp(min=torch.finfo(weights.dtype).tiny)
    right = (logits.detach().argmax(dim=-1) == targets).sum()
    return MlmLoss(loss, right / max(1, len(targets)))
