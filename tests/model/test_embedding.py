from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from transformers import AutoModel

from simcsp.model import embedding
from simcsp.model.embedding import classify, embed, embed_layers
from simcsp.model.encoder import SiteClassifier, save_checkpoint
from simcsp.sequence.alphabet import CLS, SEP, Tokens

Maker = Callable[..., Any]  # gives a PreTrainedModel, whose methods carry no types


@pytest.mark.parametrize("batch_size", [1, 2, 4, 5, 6])
def test_batch_size_does_not_change_embeddings_nor_their_order(
    make_encoder: Maker, windows: Tokens, accelerator: Accelerator, monkeypatch: pytest.MonkeyPatch, batch_size: int
) -> None:
    encoder = make_encoder()
    whole = embed(encoder, windows, pooling="site", layer=-1, accelerator=accelerator)
    monkeypatch.setitem(embedding._TOKENS, "cpu", 22 * batch_size)
    parts = embed(encoder, windows, pooling="site", layer=-1, accelerator=accelerator)
    np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-6)
    assert np.abs(np.diff(whole, axis=0)).max() > 0.01  # windows do differ


def test_more_windows_than_one_batch_are_all_embedded(make_encoder: Maker, accelerator: Accelerator) -> None:
    many = np.random.default_rng(0).integers(6, 10, size=(300, 20), dtype=np.uint8)
    encoder = make_encoder()
    vectors = embed(encoder, many, pooling="cls", layer=-1, accelerator=accelerator)
    assert vectors.shape == (300, 16)
    assert vectors.dtype == np.float32
    alone = embed(encoder, many[299:], pooling="cls", layer=-1, accelerator=accelerator)
    np.testing.assert_allclose(vectors[299:], alone, rtol=0, atol=1e-6)


def test_dropout_makes_no_noise(make_encoder: Maker, windows: Tokens, accelerator: Accelerator) -> None:
    encoder = make_encoder(dropout=0.5).train()
    first, again = (embed(encoder, windows, pooling="mean", layer=-1, accelerator=accelerator) for _ in range(2))
    assert np.array_equal(first, again)


@pytest.mark.parametrize("layer", [0, 1, -1])
@pytest.mark.parametrize("pooling", ["cls", "mean", "site"])
def test_embedding_is_that_of_a_plain_loop(
    make_encoder: Maker, windows: Tokens, accelerator: Accelerator, tmp_path: Path, architecture: str,
    layer: int, pooling: Any,
) -> None:  # fmt: skip
    encoder = make_encoder(seed=4)
    vectors = embed(encoder, windows, pooling=pooling, layer=layer, accelerator=accelerator)

    save_checkpoint(encoder, tmp_path)
    options = {"add_pooling_layer": False} if architecture == "bert" else {}
    plain = AutoModel.from_pretrained(tmp_path, attn_implementation="sdpa", **options).eval()
    for window, vector in zip(windows, vectors, strict=True):
        ids = torch.tensor([[CLS, *window.tolist(), SEP]])
        with torch.no_grad():
            hidden = plain(input_ids=ids, output_hidden_states=True).hidden_states[layer][0].numpy()
        expected = {"cls": hidden[0], "mean": hidden[1:21].mean(0), "site": hidden[10:12].ravel()}[pooling]
        np.testing.assert_allclose(vector, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 4, 6])
def test_all_layers_in_one_pass_are_those_embedded_one_by_one(
    make_encoder: Maker, windows: Tokens, accelerator: Accelerator, monkeypatch: pytest.MonkeyPatch, batch_size: int
) -> None:
    encoder = make_encoder(seed=4)
    monkeypatch.setitem(embedding._TOKENS, "cpu", 22 * batch_size)
    layers = embed_layers(encoder, windows, accelerator)
    assert {pooling: states.shape for pooling, states in layers.items()} == {
        "cls": (6, 3, 16), "mean": (6, 3, 16), "site": (6, 3, 32),
    }  # fmt: skip
    for pooling, states in layers.items():
        for layer in (0, 1, -1):
            alone = embed(encoder, windows, pooling=pooling, layer=layer, accelerator=accelerator)  # type: ignore[arg-type]
            np.testing.assert_allclose(states[:, layer], alone, rtol=0, atol=1e-6)


def test_encoder_can_be_trained_after_it_was_measured(
    make_encoder: Maker, windows: Tokens, accelerator: Accelerator
) -> None:
    encoder = make_encoder()
    embed(encoder, windows, pooling="cls", layer=-1, accelerator=accelerator)
    ids = torch.from_numpy(windows).long()
    encoder(input_ids=ids, labels=ids).loss.backward()
    gradient = encoder.get_input_embeddings().weight.grad
    assert float(gradient.abs().max()) > 0


@pytest.fixture
def classifier(make_encoder: Maker) -> SiteClassifier:
    classifier = SiteClassifier(make_encoder(dropout=0.5), pooling="site", layer=-1, dropout=0.5, seed=2)
    torch.nn.init.normal_(classifier.output.weight, std=0.2)  # logits that differ
    return classifier


def test_probabilities_are_the_logistic_of_the_logits(
    classifier: SiteClassifier, windows: Tokens, accelerator: Accelerator
) -> None:
    probabilities, vectors = classify(classifier, windows, accelerator)
    rows = [[CLS, *window.tolist(), SEP] for window in windows]
    with torch.no_grad():
        logits, embeddings = classifier.eval()(torch.tensor(rows))
    assert float(logits.max() - logits.min()) > 0.1
    np.testing.assert_allclose(probabilities, 1 / (1 + np.exp(-logits.double().numpy())), rtol=0, atol=1e-6)
    np.testing.assert_allclose(vectors, embeddings.numpy(), rtol=0, atol=1e-6)
    assert probabilities.dtype == vectors.dtype == np.float32


@pytest.mark.parametrize("batch_size", [1, 4])
def test_classification_has_no_noise_and_no_batch_effect(
    classifier: SiteClassifier,
    windows: Tokens,
    accelerator: Accelerator,
    monkeypatch: pytest.MonkeyPatch,
    batch_size: int,
) -> None:
    first = classify(classifier.train(), windows, accelerator)
    again = classify(classifier.train(), windows, accelerator)
    assert np.array_equal(first[0], again[0])
    monkeypatch.setitem(embedding._TOKENS, "cpu", 22 * batch_size)
    for whole, parts in zip(first, classify(classifier, windows, accelerator), strict=True):
        np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-6)


def test_embedding_before_the_head_is_the_encoders(
    classifier: SiteClassifier, windows: Tokens, accelerator: Accelerator
) -> None:
    _, vectors = classify(classifier, windows, accelerator)
    encoders = embed(classifier.encoder, windows, pooling="site", layer=-1, accelerator=accelerator)
    assert np.array_equal(vectors, encoders)
