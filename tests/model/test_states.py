from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import AutoModel

from simcsp.model import states
from simcsp.model.states import encode, hidden_state, pool, pooled_width
from simcsp.sequence.alphabet import G, T, with_special_tokens
from simcsp.sequence.alphabet import encode as tokens_of

Maker = Callable[..., Any]  # gives a PreTrainedModel, whose methods carry no types
PLACES = torch.tensor([[0, 1, 21], [5, 5, 6], [20, 2, 11], [10, 11, 12], [3, 4, 5], [21, 0, 13]])


@pytest.mark.parametrize("layer", [0, 1, 2, -1, -2])
def test_hidden_state_is_that_of_the_plain_model(
    make_encoder: Maker, checkpoint: Path, batch: Tensor, architecture: str, layer: int
) -> None:
    model = make_encoder(seed=3).eval()
    options = {"add_pooling_layer": False} if architecture == "bert" else {}
    plain = AutoModel.from_pretrained(checkpoint, attn_implementation="eager", **options).eval()
    expected = plain(input_ids=batch, output_hidden_states=True).hidden_states
    assert len(expected) == 3
    torch.testing.assert_close(hidden_state(model, batch, layer), expected[layer], rtol=0, atol=1e-6)


@pytest.fixture(params=[10_000, 44, 100], ids=["at once", "by two", "by four"])
def pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Encode a batch of 6 windows of 22 tokens as a whole and in pieces."""
    monkeypatch.setattr(states, "_TOKENS_AT_A_TIME", request.param)


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("pooling", ["cls", "mean", "site", None])
@pytest.mark.parametrize("layer", [0, 1, 2, -1])
@pytest.mark.parametrize("places", [PLACES, None], ids=["places", "nowhere"])
def test_what_is_computed_in_part_is_what_the_whole_would_be(
    make_encoder: Maker, batch: Tensor, pooling: Any, layer: int, places: Tensor | None
) -> None:
    model = make_encoder(layers=2).eval()
    plain = model(input_ids=batch, output_hidden_states=True).hidden_states
    found = encode(model, batch, places=places, pooling=pooling, layer=layer)
    if places is None:
        assert found.at_places.numel() == 0
    else:
        expected = torch.stack([state[row] for state, row in zip(plain[-1], places, strict=True)])
        torch.testing.assert_close(found.at_places, expected, rtol=0, atol=1e-6)
    if pooling is None:
        assert found.pooled.numel() == 0
    else:
        torch.testing.assert_close(found.pooled, pool(plain[layer], pooling), rtol=0, atol=1e-6)


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("layers", [1, 3, 4])  # the last layer of ModernBERT is global for 1 and 4, local for 3
def test_gradients_of_a_partial_last_layer_are_those_of_the_plain_model(
    make_encoder: Maker, batch: Tensor, layers: int
) -> None:
    model = make_encoder(layers=layers, dropout=0.0).train()
    used = dict(model.base_model.named_parameters())
    used = {name: value for name, value in used.items() if "pooler" not in name}
    wish = torch.randn(6, 3, 16, generator=torch.Generator().manual_seed(0))
    ours = (encode(model, batch, places=PLACES).at_places * wish).sum()
    gradients = torch.autograd.grad(ours, list(used.values()))
    last = model.base_model(input_ids=batch).last_hidden_state
    theirs = (torch.stack([state[row] for state, row in zip(last, PLACES, strict=True)]) * wish).sum()
    expected = torch.autograd.grad(theirs, list(used.values()))
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    for gradient, their in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient, their, rtol=1e-4, atol=1e-5)


def test_layers_above_the_one_that_is_pooled_are_not_run(make_encoder: Maker, batch: Tensor) -> None:
    model = make_encoder(layers=2).eval()
    expected = encode(model, batch, pooling="site", layer=1).pooled
    last = (
        model.base_model.layers[-1] if model.config.model_type == "modernbert" else model.base_model.encoder.layer[-1]
    )
    with torch.no_grad():
        for weights in last.parameters():
            weights.fill_(float("nan"))
    assert torch.equal(encode(model, batch, pooling="site", layer=1).pooled, expected)
    assert encode(model, batch, pooling="site", layer=2).pooled.isnan().any()


def test_dropout_makes_two_views_in_training_and_none_in_evaluation(make_encoder: Maker, batch: Tensor) -> None:
    model = make_encoder(dropout=0.2).train()
    twice = torch.cat([batch, batch])
    first, second = hidden_state(model, twice, -1).chunk(2)
    assert not torch.allclose(first, second, atol=1e-3)
    first, second = hidden_state(model.eval(), twice, -1).chunk(2)
    torch.testing.assert_close(first, second, rtol=0, atol=1e-6)


@settings(deadline=None)
@given(half=st.integers(1, 300))
def test_site_pooling_takes_the_two_tokens_of_the_central_dinucleotide(half: int) -> None:
    window = tokens_of(b"A" * (half - 1) + b"GT" + b"C" * (half - 1)).tokens
    framed = torch.from_numpy(with_special_tokens(window[None])).float()
    by_token = framed[:, :, None].expand(-1, -1, 3)  # an embedding whose every value is the id of its token
    assert pool(by_token, "site").tolist() == [[G] * 3 + [T] * 3]
    by_position = torch.arange(2 * half + 2.0)[None, :, None]  # 0 is [CLS], so nucleotide i is at i + 1
    assert pool(by_position, "site").tolist() == [[half, half + 1]]


def test_cls_pooling_takes_the_first_token_and_mean_pooling_only_nucleotides() -> None:
    hidden = torch.tensor([[[100.0, 1.0], [1.0, 2.0], [2.0, 4.0], [6.0, 9.0], [7.0, 1.0], [-100.0, 1.0]]])
    assert pool(hidden, "cls").tolist() == [[100.0, 1.0]]
    assert pool(hidden, "mean").tolist() == [[4.0, 4.0]]
    assert pool(hidden, "site").tolist() == [[2.0, 4.0, 6.0, 9.0]]


@pytest.mark.parametrize("pooling", ["cls", "mean", "site"])
def test_width_is_that_of_the_pooled_vector(make_encoder: Maker, batch: Tensor, pooling: Any) -> None:
    model = make_encoder()
    assert pool(hidden_state(model, batch, -1), pooling).shape == (6, pooled_width(model, pooling))
