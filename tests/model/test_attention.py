import pytest
import torch
from torch import Tensor
from torch.nn import functional

from simcsp.model import attention
from simcsp.model.attention import attend, within

SCALE = 0.3


def parts(windows: int, heads: int, queries: int, tokens: int, width: int = 8) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)

    def part(length: int) -> Tensor:
        values = torch.randn(windows, heads, length, width, generator=generator, dtype=torch.float64)
        return values.requires_grad_()

    return part(queries), part(tokens), part(tokens)


@pytest.mark.parametrize("kept", [0, 1000])  # tokens of the longest windows whose weights are kept
@pytest.mark.parametrize("block", [1, 2000, 1 << 20])  # bytes: a head at a time, some, all
@pytest.mark.parametrize(("queries", "limited"), [(13, None), (13, "shared"), (4, "own"), (4, None)])
def test_value_and_gradients_are_those_of_torch(
    monkeypatch: pytest.MonkeyPatch, kept: int, block: int, queries: int, limited: str | None
) -> None:
    monkeypatch.setattr(attention, "_KEPT", kept)
    monkeypatch.setattr(attention, "_BLOCK", block)
    inputs = query, key, value = parts(3, 2, queries, 13)
    allowed = None
    if limited == "shared":
        allowed = within(torch.arange(13), 13, 3)[None]
    elif limited == "own":
        allowed = within(torch.tensor([[0, 1, 5, 12], [3, 3, 3, 3], [9, 2, 7, 4]]), 13, 4)
    ours = attend(query, key, value, SCALE, allowed)
    mask = None if allowed is None else allowed[:, None]
    theirs = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=SCALE)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
    wish = torch.randn(ours.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    gradients, expected = (torch.autograd.grad((result * wish).sum(), inputs) for result in (ours, theirs))
    for gradient, their in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient, their, rtol=1e-9, atol=1e-12)


def test_bf16_is_as_near_to_fp32_as_torch_s_own_kernel() -> None:
    query, key, value = (part.detach().float() for part in parts(2, 4, 100, 100, width=32))
    coarse = query.bfloat16(), key.bfloat16(), value.bfloat16()
    truth = functional.scaled_dot_product_attention(query, key, value, scale=SCALE)
    ours = (attend(coarse[0], coarse[1], coarse[2], SCALE).float() - truth).abs().max()
    fused = functional.scaled_dot_product_attention(coarse[0], coarse[1], coarse[2], scale=SCALE)
    theirs = (fused.float() - truth).abs().max()
    assert ours <= 2 * theirs


def test_reach_is_counted_in_tokens_to_either_side() -> None:
    assert within(torch.tensor([0, 3]), 5, 2).int().tolist() == [[1, 1, 0, 0, 0], [0, 0, 1, 1, 1]]


def test_weights_of_long_windows_are_never_held_all_at_once() -> None:
    query = torch.zeros(3, 700, 8)
    assert all(part.stop - part.start <= 2 for part in attention._blocks(query, query))
    assert [part.start for part in attention._blocks(query, query)] == [0, 2]
