from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from simcsp.config import EncoderConfig
from simcsp.errors import InputError
from simcsp.model.encoder import (
    SiteClassifier,
    load_checkpoint,
    load_encoder,
    random_encoder,
    remove_top_layers,
    save_checkpoint,
)

Maker = Callable[..., Any]  # gives a PreTrainedModel, whose methods carry no types

TOKENS = 22


def weights(model: nn.Module) -> list[bytes]:
    return [p.detach().numpy().tobytes() for p in model.parameters()]


def test_encoder_from_scratch_has_the_size_asked_for(make_encoder: Maker, architecture: str) -> None:
    model = make_encoder(hidden=24, layers=3, heads=2, intermediate=40, local_attention=6, dropout=0.2)
    config = model.config
    assert config.model_type == architecture
    assert model.get_input_embeddings().weight.shape == (10, 24)
    assert (config.num_hidden_layers, config.num_attention_heads, config.intermediate_size) == (3, 2, 40)
    assert config.max_position_embeddings == TOKENS
    assert model.dtype == torch.float32
    assert getattr(config, "local_attention", 6) == 6


def test_rotary_wavelengths_suit_windows_of_hundreds_and_are_stored(tmp_path: Path) -> None:
    modernbert = EncoderConfig(architecture="modernbert", hidden=16, heads=2, layers=2)
    save_checkpoint(load_encoder(modernbert, TOKENS, seed=0), tmp_path)
    rotary = load_checkpoint(tmp_path, dropout=0.1, tokens=TOKENS).get_submodule("model.rotary_emb")
    slowest = {round(float(rates[-1]), 6) for name, rates in rotary.named_buffers() if name.endswith("inv_freq")}
    assert slowest == {round(10_000 ** (-6 / 8), 6)}  # 8 numbers a head; 160,000 would give 0.000125


@pytest.mark.parametrize(("positions", "parameters"), [(512, 19_447_306), (1026, 19_710_474)])
def test_splicebert_has_the_published_number_of_parameters(positions: int, parameters: int) -> None:
    published = EncoderConfig(architecture="bert", hidden=512, layers=6, heads=16, intermediate=2048)
    assert load_encoder(published, positions, seed=0).num_parameters() == parameters


@pytest.mark.parametrize("count", [0, 1, 3])
def test_encoder_without_its_top_layers_gives_the_state_below_them(
    make_encoder: Maker, batch: Tensor, architecture: str, count: int, tmp_path: Path
) -> None:
    """Against Hugging Face's own hidden states; ModernBERT norms the last one once more."""
    whole, cut = (make_encoder(seed=2, layers=4).eval() for _ in range(2))
    remove_top_layers(cut, count)
    with torch.inference_mode():
        state = whole(batch, output_hidden_states=True).hidden_states[4 - count]
        if architecture == "modernbert" and count:
            state = whole.base_model.final_norm(state)
        expected = (
            whole.get_output_embeddings()(whole.head(state)) if architecture == "modernbert" else whole.cls(state)
        )
        assert torch.allclose(cut(batch).logits, expected, atol=1e-6)
        save_checkpoint(cut, tmp_path)
        again: Any = load_checkpoint(tmp_path, dropout=0.0, tokens=TOKENS)
        again.eval()
        assert torch.equal(again(batch).logits, cut(batch).logits)
    assert again.config.num_hidden_layers == 4 - count
    assert random_encoder(tmp_path, dropout=0.0, seed=0).config.num_hidden_layers == 4 - count


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"drop_layers": 2}, "drop_layers is 2, the encoder has 2 layers"),
        ({"drop_layers": 1, "layer": 2}, "has 1 layers once those"),
    ],
)
def test_layers_to_remove_must_leave_the_one_that_is_pooled(
    make_encoder: Maker, fields: dict[str, int], problem: str
) -> None:
    with pytest.raises(InputError, match=problem):
        make_encoder(**fields)


def test_prediction_head_shares_the_embedding(make_encoder: Maker) -> None:
    model = make_encoder()
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight


def test_same_seed_gives_the_same_weights_and_another_seed_others(make_encoder: Maker) -> None:
    first, again, other = (weights(make_encoder(seed=seed)) for seed in (5, 5, 6))
    assert first == again
    assert first != other


def test_making_and_loading_leave_the_global_random_state_alone(make_encoder: Maker, checkpoint: Path) -> None:
    torch.manual_seed(77)
    before = torch.random.get_rng_state()
    encoder = make_encoder(seed=1)
    load_checkpoint(checkpoint, dropout=0.1, tokens=TOKENS)
    random_encoder(checkpoint, dropout=0.1, seed=2)
    SiteClassifier(encoder, pooling="site", layer=-1, dropout=0.1, seed=3)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_weights_do_not_depend_on_the_global_random_state(make_encoder: Maker) -> None:
    torch.manual_seed(1)
    first = weights(make_encoder(seed=5))
    torch.manual_seed(2)
    assert first == weights(make_encoder(seed=5))


@pytest.mark.parametrize("layer", [3, 99, -4])
def test_layer_that_the_encoder_lacks_is_refused_at_once(make_encoder: Maker, checkpoint: Path, layer: int) -> None:
    for init in ("scratch", str(checkpoint)):
        with pytest.raises(InputError, match=rf"encoder.layer is {layer}, the encoder has 2 layers.*0 .* to 2"):
            make_encoder(layer=layer, init=init)
    assert all(make_encoder(layer=good) for good in (-1, 0, 2))


# Classifier


@pytest.mark.parametrize(("pooling", "layer"), [("site", -1), ("mean", 1), ("cls", 2)])
def test_classifier_is_a_linear_layer_on_the_pooled_state(
    make_encoder: Maker, batch: Tensor, pooling: Any, layer: int
) -> None:
    encoder = make_encoder()
    classifier = SiteClassifier(encoder, pooling=pooling, layer=layer, dropout=0.5, seed=1).eval()
    logits, embedding = classifier(batch)
    states = encoder(input_ids=batch, output_hidden_states=True).hidden_states[layer].detach().numpy()
    by_hand = {"site": states[:, 10:12].reshape(6, -1), "mean": states[:, 1:21].mean(1), "cls": states[:, 0]}[pooling]
    np.testing.assert_allclose(embedding.detach().numpy(), by_hand, rtol=1e-5, atol=1e-6)
    head = classifier.output
    expected = by_hand @ head.weight.detach().numpy()[0] + head.bias.detach().numpy()
    np.testing.assert_allclose(logits.detach().numpy(), expected, rtol=1e-4, atol=1e-6)


def test_head_follows_its_own_seed(make_encoder: Maker) -> None:
    encoder = make_encoder()
    first, again, other = (
        weights(SiteClassifier(encoder, pooling="cls", layer=-1, dropout=0.1, seed=seed).output) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_dropout_of_the_head_hits_the_logit_and_not_the_embedding(make_encoder: Maker, batch: Tensor) -> None:
    encoder = make_encoder(dropout=0.0)
    classifier = SiteClassifier(encoder, pooling="site", layer=-1, dropout=0.5, seed=1).train()
    (logits, embedding), (other_logits, other_embedding) = classifier(batch), classifier(batch)
    assert torch.equal(embedding, other_embedding)
    assert not torch.allclose(logits, other_logits)
