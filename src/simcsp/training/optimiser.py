"""AdamW, and its learning rate as a function of the step."""

import torch
from torch import nn

from simcsp.config import OptimiserConfig


def make_optimiser(module: nn.Module, settings: OptimiserConfig) -> torch.optim.AdamW:
    """AdamW that decays matrices and leaves biases and norms alone."""
    trained = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)


def learning_rate(step: int, steps: int, settings: OptimiserConfig) -> float:
    """Linear warm-up, then linear decay that would reach zero after the last step."""
    warmup = max(1, round(settings.warmup * steps))
    return settings.learning_rate * min((step + 1) / warmup, (steps - step) / max(1, steps - warmup))
