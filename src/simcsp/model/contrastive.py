"""Contrastive losses on pooled embeddings: SimCSE (Gao et al. 2021) and, with labels, SupCon (Khosla et al. 2020).

Each first view must be nearest to the second views of its own. Without labels that is its own second view alone: two
passes of the same tokens under different dropout, or two looks at one place. Every other window of the batch is a
negative, unless it is the same sequence or overlaps on the genome: pushing those apart would teach the encoder to tell
a site from itself. Without such windows this is sentence-transformers' ``MultipleNegativesRankingLoss`` with
``scale`` = 1 / τ.

With labels, the second views of all windows of the same kind (site type and label) are positives, and all others
negatives, wherever they lie: the labels say what is the same. Decoys are the hard negatives of splice sites of their
type and the other way round, as they have the same dinucleotide.

Shapes: ``B`` windows in the whole batch, ``A`` of them as anchors, ``P`` width of an embedding.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

_SIMILARITIES = 1 << 24  # held in memory at a time where gradients are taken block by block


class Contrast(NamedTuple):
    """What the windows of a batch are told apart by.

    Attributes:
        temperature: τ.
        origin: ``(B, 4)`` of each window, see :func:`related`; all others are negatives if not given.
        kind: ``(B,)`` twice the site type, plus the label; with it, ``origin`` does not matter.
        hard_weight: of the same site type with the other label in the sum over negatives.
    """

    temperature: float
    origin: Tensor | None = None
    kind: Tensor | None = None
    hard_weight: float = 1.0

    def log_weights(self, rows: slice) -> Tensor | None:
        """Logarithm of the weight of each second view in the sum, ``(A, B)``; None if all count in full."""
        if self.kind is not None:
            hard = torch.bitwise_xor(self.kind[rows, None], self.kind) == 1
            return torch.where(hard, math.log(self.hard_weight), 0.0)
        if self.origin is None:
            return None
        left_out = related(self.origin[rows], self.origin)
        own = torch.arange(len(left_out), device=left_out.device)
        left_out[own, own + rows.start] = False
        return torch.zeros(left_out.shape, device=left_out.device).masked_fill_(left_out, float("-inf"))

    def negatives_per_anchor(self) -> Tensor:
        """Mean number of windows of a batch that a window is told apart from; needs ``origin`` or ``kind``."""
        windows = self.origin if self.kind is None else self.kind
        if windows is None:
            raise ValueError("nothing is known of the windows")
        step = max(1, _SIMILARITIES // len(windows))
        same = (
            related(part, windows) if self.kind is None else part[:, None] == windows
            for part in torch.split(windows, step)
        )
        return torch.cat([(~one).sum(dim=1) for one in same]).float().mean()


def contrastive_loss(first: Tensor, second: Tensor, contrast: Contrast) -> Tensor:
    """InfoNCE, averaged over the positives of each first view.

    ``loss = mean_i mean_{p in P(i)} -log( exp(cos(a_i, b_p) / τ) / Σ_j w_ij exp(cos(a_i, b_j) / τ) )``, the sum over
    positives and negatives of i. With one positive it is SimCSE's loss: ln B when all embeddings are alike, and 0 when
    each pair is alike and all others are far apart. With the labels' positives it is ``L_out`` of Khosla et al. (2020)
    from first to second views, as SimCSE goes; w is the weight of hard negatives of Gao et al. (2021).

    Args:
        first: ``(B, P)`` embeddings of the first views.
        second: ``(B, P)`` embeddings of the second views, in the same order.
        contrast: what they are told apart by.

    >>> views = torch.eye(3)
    >>> round(float(contrastive_loss(views, views, Contrast(0.5))), 4)  # ln(1 + 2 e^-2)
    0.2395
    """
    return _loss_of_anchors(first, second, contrast, slice(0, len(first)))


def view_gradients(first: Tensor, second: Tensor, contrast: Contrast) -> tuple[Tensor, Tensor, Tensor]:
    """The loss and its gradients by both views, some anchors at a time: what gradient caching carries back.

    Args:
        first: as for :func:`contrastive_loss`, likewise the others.
        second: see there.
        contrast: see there.

    Returns:
        The loss, and two ``(B, P)``.
    """
    views = [part.detach().requires_grad_() for part in (first, second)]
    total, by_first, by_second = torch.zeros((), device=first.device), torch.zeros_like(first), torch.zeros_like(second)
    step = max(1, _SIMILARITIES // len(second))
    for start in range(0, len(first), step):
        loss = _loss_of_anchors(views[0], views[1], contrast, slice(start, min(start + step, len(first))))
        total += loss.detach()
        for whole, part in zip((by_first, by_second), torch.autograd.grad(loss, views), strict=True):
            whole.add_(part)
    return total, by_first, by_second


def related(anchors: Tensor, others: Tensor) -> Tensor:
    """Which windows are no negatives: those of the same sequence, and those that overlap on the genome.

    Args:
        anchors: ``(A, 4)`` integers: contig, start, end (0-based half-open, forward strand), a hash of the sequence.
        others: ``(B, 4)`` likewise.

    Returns:
        ``(A, B)``, true also for a window and itself.
    """
    ours, theirs = anchors.T[:, :, None], others.T[:, None, :]
    overlap = (ours[0] == theirs[0]) & (ours[1] < theirs[2]) & (theirs[1] < ours[2])
    return overlap.logical_or(ours[3] == theirs[3])


def _loss_of_anchors(first: Tensor, second: Tensor, contrast: Contrast, rows: slice) -> Tensor:
    """Share of some anchors in the mean over all of them."""
    with torch.autocast(first.device.type, enabled=False):  # in bf16 a logit would move in steps of 0.08
        anchors = functional.normalize(first[rows].float(), dim=-1)
        logits = anchors @ functional.normalize(second.float(), dim=-1).T / contrast.temperature  # (A, B)
        weights = contrast.log_weights(rows)
        total = torch.logsumexp(logits if weights is None else logits + weights, dim=1)
        if contrast.kind is None:
            found = logits.diagonal(rows.start)
        else:
            positives = contrast.kind[rows, None] == contrast.kind
            found = (logits * positives).sum(dim=1) / positives.sum(dim=1)
        return (total - found).sum() / len(first)
