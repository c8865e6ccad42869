"""Unsupervised contrastive loss of SimCSE (Gao et al. 2021) on pooled window embeddings.

The two views of a window are two passes of the same tokens under different dropout. Every other window of the batch is
a negative, unless it is the same sequence or overlaps on the genome: pushing those apart would teach the encoder to
tell a site from itself. Without such windows this is sentence-transformers' ``MultipleNegativesRankingLoss`` with
``scale`` = 1 / τ.

Shapes: ``B`` windows in the whole batch, ``A`` of them as anchors, ``P`` width of an embedding.
"""

import torch
from torch import Tensor
from torch.nn import functional

_SIMILARITIES = 1 << 24  # held in memory at a time where gradients are taken block by block


def contrastive_loss(first: Tensor, second: Tensor, temperature: float, origin: Tensor | None = None) -> Tensor:
    """InfoNCE: each first view must find its second view among those of the batch.

    ``loss = mean_i -log( exp(cos(a_i, b_i) / τ) / Σ_j exp(cos(a_i, b_j) / τ) )``, the sum over i and its negatives; it
    is ln B when all embeddings are alike, and 0 when each pair is alike and all others are far apart.

    Args:
        first: ``(B, P)`` embeddings of the first views.
        second: ``(B, P)`` embeddings of the second views, in the same order.
        temperature: τ.
        origin: ``(B, 4)`` of each window, see :func:`related`; all others are negatives if not given.

    >>> views = torch.eye(3)
    >>> round(float(contrastive_loss(views, views, 0.5)), 4)  # ln(1 + 2 e^-2)
    0.2395
    """
    return _loss_of_anchors(first, second, temperature, origin, slice(0, len(first)))


def view_gradients(
    first: Tensor, second: Tensor, temperature: float, origin: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The loss and its gradients by both views, some anchors at a time: what gradient caching carries back.

    Args:
        first: as for :func:`contrastive_loss`, likewise the others.
        second: see there.
        temperature: see there.
        origin: see there.

    Returns:
        The loss, and two ``(B, P)``.
    """
    views = [part.detach().requires_grad_() for part in (first, second)]
    total, by_first, by_second = torch.zeros((), device=first.device), torch.zeros_like(first), torch.zeros_like(second)
    step = max(1, _SIMILARITIES // len(second))
    for start in range(0, len(first), step):
        rows = slice(start, min(start + step, len(first)))
        loss = _loss_of_anchors(views[0], views[1], temperature, origin, rows)
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


def negatives_per_anchor(origin: Tensor) -> Tensor:
    """Mean number of windows of a batch that a window is told apart from: ``(B, 4)`` → a number."""
    step = max(1, _SIMILARITIES // len(origin))
    return torch.cat([(~related(part, origin)).sum(dim=1) for part in torch.split(origin, step)]).float().mean()


def _loss_of_anchors(first: Tensor, second: Tensor, temperature: float, origin: Tensor | None, rows: slice) -> Tensor:
    """Share of some anchors in the mean over all of them."""
    own = torch.arange(rows.start, rows.stop, device=first.device)
    with torch.autocast(first.device.type, enabled=False):  # in bf16 a logit would move in steps of 0.08
        anchors = functional.normalize(first[rows].float(), dim=-1)
        logits = anchors @ functional.normalize(second.float(), dim=-1).T / temperature  # (A, B)
        if origin is not None:
            no_negative = related(origin[rows], origin).scatter_(1, own[:, None], value=False)
            logits = logits.masked_fill(no_negative, float("-inf"))
        return functional.cross_entropy(logits, own, reduction="sum") / len(first)
