"""Attention without padding and without dropout of its weights: fused on CUDA, in blocks on the CPU.

torch's fused kernel for the CPU spends most of a training step in its backward pass, and plain attention moves the
``(T, T)`` weights of every head through main memory several times. Here a few heads are worked on at a time, so that
their weights stay in the cache; for long windows the backward pass computes them again instead
of reading them back (as FlashAttention does: Dao et al. 2022). The result is that of plain softmax attention.

Shapes: ``B`` windows, ``H`` heads, ``Q`` queries, ``T`` tokens, ``d`` width of a head.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface

IMPLEMENTATION = "simcsp"  # the name under which Hugging Face models find it
_BLOCK = 4 << 20  # bytes of attention weights at a time; with their gradients they still fit into a core's share of L3
_KEPT = 256  # tokens of the longest windows whose weights are kept: they are less than what else a layer keeps


def attend(query: Tensor, key: Tensor, value: Tensor, scale: float, allowed: Tensor | None = None) -> Tensor:
    """Softmax attention: ``(B, H, Q, d)`` queries over ``(B, H, T, d)`` keys and values → ``(B, H, Q, d)``.

    Args:
        query: what asks.
        key: what is compared with it.
        value: what is averaged.
        scale: of the dot products.
        allowed: ``(1 or B, Q, T)`` true where a query may look; everywhere if not given. Every query needs one place.
    """
    if query.device.type != "cpu":
        mask = None if allowed is None else allowed[:, None]
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale)
    bias = None
    if allowed is not None:
        bias = torch.zeros(allowed.shape, dtype=query.dtype).masked_fill_(~allowed, float("-inf"))
    flat = (part.flatten(0, 1) for part in (query, key, value))
    result: Tensor = _BlockedAttention.apply(*flat, bias, query.shape[1], scale)  # type: ignore[no-untyped-call]
    return result.view(query.shape)


def within(queries: Tensor, tokens: int, reach: int) -> Tensor:
    """Which tokens lie less than ``reach`` from each query: ``(…, Q)`` places → ``(…, Q, tokens)``."""
    return (queries[..., None] - torch.arange(tokens, device=queries.device)).abs() < reach


def _for_hugging_face(
    module: nn.Module,  # noqa: ARG001
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: None,  # noqa: ARG001
    *,
    scaling: float,
    sliding_window: int | None = None,
    dropout: float = 0.0,  # noqa: ARG001
    **_: Any,
) -> tuple[Tensor, None]:
    """The interface that layers of Hugging Face models call; their local layers say how far they look."""
    allowed = None
    if sliding_window is not None and sliding_window < key.shape[2]:
        allowed = within(torch.arange(query.shape[2], device=query.device), key.shape[2], sliding_window)[None]
    return attend(query, key, value, scaling, allowed).transpose(1, 2).contiguous(), None


def _no_mask(**_: Any) -> None:
    """Windows of one batch have one length: there is no padding to mask."""


AttentionInterface.register(IMPLEMENTATION, _for_hugging_face)
AttentionMaskInterface.register(IMPLEMENTATION, _no_mask)


class _BlockedAttention(torch.autograd.Function):
    """Attention of ``(N, Q, d)`` queries, ``N`` = B H, a few of the N at a time."""

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, heads: int, scale: float
    ) -> Tensor:
        blocks = _blocks(query, key)
        keep = any(ctx.needs_input_grad) and key.shape[1] <= _KEPT
        room = _room(query, key, len(query) if keep else blocks[0].stop)
        result = torch.empty_like(query)
        for block in blocks:
            weights = _weights(query, key, bias, heads, scale, block, room[block] if keep else room)
            torch.bmm(weights, value[block], out=result[block])
        ctx.save_for_backward(query, key, value, bias, room if keep else None)
        ctx.heads, ctx.scale = heads, scale
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, bias, kept = ctx.saved_tensors
        by_query, by_key, by_value = torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)
        nothing = query.new_empty(())
        blocks = _blocks(query, key)
        room, room_of_gradients = (_room(query, key, blocks[0].stop) for _ in range(2))
        for block in blocks:
            again = kept is None
            weights = _weights(query, key, bias, ctx.heads, ctx.scale, block, room) if again else kept[block]
            by_score = room_of_gradients[: len(weights)]
            torch.bmm(weights.mT, gradient[block], out=by_value[block])
            torch.bmm(gradient[block], value[block].mT, out=by_score)
            torch._softmax_backward_data(by_score, weights, -1, weights.dtype, grad_input=by_score)
            torch.baddbmm(nothing, by_score, key[block], beta=0, alpha=ctx.scale, out=by_query[block])
            torch.baddbmm(nothing, by_score.mT, query[block], beta=0, alpha=ctx.scale, out=by_key[block])
        return by_query, by_key, by_value, None, None, None


def _blocks(query: Tensor, key: Tensor) -> list[slice]:
    """Cut the first dimension so that the weights of each block take about ``_BLOCK`` bytes."""
    one = query.shape[1] * key.shape[1] * query.element_size()
    count = max(1, _BLOCK // max(1, one))
    return [slice(start, min(start + count, len(query))) for start in range(0, len(query), count)]


def _room(query: Tensor, key: Tensor, count: int) -> Tensor:
    """Memory for ``(count, Q, T)`` weights, asked for once per call: the system clears what it hands out."""
    return query.new_empty(count, query.shape[1], key.shape[1])


def _weights(
    query: Tensor, key: Tensor, bias: Tensor | None, heads: int, scale: float, block: slice, room: Tensor
) -> Tensor:
    """Attention weights ``(n, Q, T)`` of one block, at the start of the room."""
    keys, weights = key[block].mT, room[: block.stop - block.start]
    if bias is None:
        torch.baddbmm(query.new_empty(()), query[block], keys, beta=0, alpha=scale, out=weights)
    else:
        windows = torch.arange(block.start, block.stop) // heads
        shared = bias.expand(len(windows), -1, -1) if len(bias) == 1 else bias[windows]
        torch.baddbmm(shared, query[block], keys, alpha=scale, out=weights)
    return torch.softmax(weights, dim=-1, out=weights)
