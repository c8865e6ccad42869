"""Unsupervised contrastive loss of SimCSE (Gao et al. 2021) on pooled window embeddings.

The two views of a window are two passes of the same tokens under different dropout. Every other window of the
batch is a negative. This is sentence-transformers' ``MultipleNegativesRankingLoss`` with ``scale`` = 1 / τ.
"""

import torch
from torch import Tensor
from torch.nn import functional


def contrastive_loss(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """InfoNCE: each first view must find its second view among those of the batch.

    ``loss = mean_i -log( exp(cos(a_i, b_i) / τ) / Σ_j exp(cos(a_i, b_j) / τ) )``; it is ln B when all embeddings
    are alike, and 0 when each pair is alike and all others are far apart.

    Args:
        first: ``(B, D)`` embeddings of the first views.
        second: ``(B, D)`` embeddings of the second views, in the same order.
        temperature: τ.

    >>> views = torch.eye(3)
    >>> round(float(contrastive_loss(views, views, 0.5)), 4)  # ln(1 + 2 e^-2)
    0.2395
    """
    own = torch.arange(len(first), device=first.device)
    with torch.autocast(first.device.type, enabled=False):  # in bf16 a logit would move in steps of 0.08
        similarity = functional.normalize(first.float(), dim=-1) @ functional.normalize(second.float(), dim=-1).T
        return functional.cross_entropy(similarity / temperature, own)  # (B, B) against (B,)
