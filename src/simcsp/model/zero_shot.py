"""Variant effects by a masked language model alone, without labels (Chen et al. 2024, examples/scripts of SpliceBERT).

Three scores, each larger where splicing is more likely to change but for the first:

- ΔP: P(alternative) − P(reference) at the variant, which is masked. Negative where the model expects the reference, so
  −ΔP ranks.
- KL at a site: Σ over A, C, G, T of alt · log(alt / ref), mean over the site's two nucleotides, where ref and alt are
  what the model gives there for the unmasked reference and alternative sequence. Donor and acceptor are added up.
- KL context: Σ over d = 1 … 100 of the logarithm of the mean KL at d nt before and d nt behind the variant, each at
  least 1e-6.

Shapes: ``n`` variants, ``L`` nucleotides of a window, ``V`` tokens of the vocabulary.
"""

from typing import NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from simcsp.model.embedding import batches_of, ready
from simcsp.model.states import hidden_state, mlm_logits
from simcsp.sequence.alphabet import FIRST_NUCLEOTIDE, MASK, Tokens, with_special_tokens

REACH = 100  # nt on either side that the KL context sums over
_LEAST = 1e-6

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Variants(NamedTuple):
    """Substitutions in their windows, on the strand of transcription; places count from 0 in the window.

    Attributes:
        windows: ``(n, L)`` reference nucleotides.
        place: ``(n,)`` of the variant.
        alternative: ``(n,)`` token that takes the place.
        donor: ``(n,)`` first of the two nucleotides of the exon's donor; -1 if it is not in the window.
        acceptor: ``(n,)`` likewise.
    """

    windows: Tokens
    place: Ints
    alternative: Tokens
    donor: Ints
    acceptor: Ints


class Effects(NamedTuple):
    """Scores, each ``(n,)``; nan where a site, or the reach of the context, is not in the window."""

    delta_p: Floats
    kl_donor: Floats
    kl_acceptor: Floats
    kl_context: Floats


def variant_effects(model: PreTrainedModel, variants: Variants, accelerator: Accelerator) -> Effects:
    """Score substitutions by three passes each: reference, alternative, and the reference masked at the variant.

    Args:
        model: with its prediction head.
        variants: in windows of one length.
        accelerator: device; in fp32, as the differences between both sequences are often below what bf16 resolves.
    """
    rows = np.arange(len(variants.place))
    changed, masked = variants.windows.copy(), with_special_tokens(variants.windows)
    changed[rows, variants.place] = variants.alternative
    masked[rows, variants.place + 1] = MASK
    ready(model, accelerator)
    before, after = (_nucleotides(model, windows, accelerator) for windows in (variants.windows, changed))
    divergence = (after * (np.log(after) - np.log(before))).sum(axis=-1)
    at = torch.from_numpy(variants.place + 1)
    expected = _probabilities_at(model, masked, at, accelerator)
    reference = variants.windows[rows, variants.place]
    return Effects(
        expected[rows, variants.alternative] - expected[rows, reference],
        _at_site(divergence, variants.donor),
        _at_site(divergence, variants.acceptor),
        _context(divergence, variants.place),
    )


def _nucleotides(model: PreTrainedModel, windows: Tokens, accelerator: Accelerator) -> Floats:
    """Probabilities of A, C, G and T, which add up to 1, at every nucleotide: ``(n, L)`` → ``(n, L, 4)``."""
    with torch.inference_mode(), accelerator.autocast():
        logits = [
            mlm_logits(model, hidden_state(model, batch, -1))[:, 1:-1, FIRST_NUCLEOTIDE:]
            for batch in batches_of(with_special_tokens(windows), accelerator)
        ]
    return torch.cat(logits).double().softmax(dim=-1).cpu().numpy()  # log of what float32 rounds to 0 is no number


def _probabilities_at(model: PreTrainedModel, tokens: Tokens, places: Tensor, accelerator: Accelerator) -> Floats:
    """Probabilities of all tokens at one place of each window: ``(n, L + 2)`` → ``(n, V)``."""
    found, done = [], 0
    with torch.inference_mode(), accelerator.autocast():
        for batch in batches_of(tokens, accelerator):
            here = places[done : done + len(batch)].to(batch.device)
            hidden = hidden_state(model, batch, -1)[torch.arange(len(batch), device=batch.device), here]
            found.append(mlm_logits(model, hidden))
            done += len(batch)
    return torch.cat(found).double().softmax(dim=-1).cpu().numpy()


def _at_site(divergence: Floats, first: Ints) -> Floats:
    """Mean over the two nucleotides of a site."""
    rows, inside = np.arange(len(first)), (first >= 0) & (first + 1 < divergence.shape[1])
    starts = np.where(inside, first, 0)
    return np.where(inside, (divergence[rows, starts] + divergence[rows, starts + 1]) / 2, np.nan)


def _context(divergence: Floats, place: Ints) -> Floats:
    inside = (place >= REACH) & (place + REACH < divergence.shape[1])
    centre = np.where(inside, place, REACH)[:, None]
    away = np.arange(1, REACH + 1)
    rows = np.arange(len(place))[:, None]
    if not inside.any():
        return np.full(len(place), np.nan)
    both = (divergence[rows, centre - away] + divergence[rows, centre + away]) / 2
    return np.where(inside, np.log(both.clip(min=_LEAST)).sum(axis=1), np.nan)
