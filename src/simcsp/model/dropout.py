"""Dropout whose random numbers do not take a tenth of a training step.

torch draws one number after the other for every element on the CPU. Here every 64 random bits decide about four
elements. On other devices torch's own, fused dropout is used.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_LEVELS = 1 << 16  # a probability is rounded to this many steps, and the kept elements scaled accordingly


class Dropout(nn.Dropout):
    """``nn.Dropout`` with another way to draw on the CPU; the same torch generator decides."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """Zero elements with probability ``p`` while training, and scale the others to keep the mean."""
        if self.training and self.p > 0 and input.device.type == "cpu":
            dropped: Tensor = _Dropped.apply(input, self.p)  # type: ignore[no-untyped-call]
            return dropped
        return super().forward(input)


def use_own_dropout(model: nn.Module) -> None:
    """Replace every dropout of a model in place."""
    for module in model.modules():
        for name, child in module.named_children():
            if type(child) is nn.Dropout:
                setattr(module, name, Dropout(child.p).train(child.training))


class _Dropped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, probability: float) -> Tensor:
        kept = max(1, round((1 - probability) * _LEVELS))
        drawn = torch.empty((values.numel() + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
        lots = drawn.view(torch.int16)[: values.numel()].view(values.shape)
        keep = lots < kept - _LEVELS // 2
        ctx.save_for_backward(keep)
        ctx.scale = _LEVELS / kept
        return _kept(values, keep, ctx.scale)  # type: ignore[no-any-return]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (keep,) = ctx.saved_tensors
        return _kept(gradient, keep, ctx.scale), None


# values * keep * scale in one pass: what torch's own dropout does backwards.
_kept = torch.ops.aten.native_dropout_backward
