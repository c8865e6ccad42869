"""What is exported is opened by the libraries it is for, without this project's code."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from sentence_transformers import SentenceTransformer
from torch import Tensor
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    pipeline,
)

from simcsp.config import Pooling
from simcsp.errors import InputError
from simcsp.model.embedding import embed
from simcsp.model.encoder import SiteClassifier
from simcsp.model.export import export_classifier, export_embedder, task_of, window_logits
from simcsp.sequence.alphabet import Tokens, decode

Maker = Callable[..., Any]


@pytest.fixture
def texts(windows: Tokens) -> list[str]:
    return [decode(window) for window in windows]


def classifier_of(encoder: Any, pooling: Pooling, layer: int = -1, scale: float = 3.0) -> SiteClassifier:
    """With weights far from the small ones of a fresh model, so that windows differ."""
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            parameter.mul_(5 if parameter.ndim == 2 and "embed" not in name else 1)
    classifier = SiteClassifier(encoder, pooling=pooling, layer=layer, dropout=0.1, seed=7).eval()
    with torch.no_grad():
        classifier.output.weight.mul_(scale)
        classifier.output.bias.fill_(0.7)
    return classifier


def opened(folder: Path, pooling: Pooling) -> Any:
    auto = AutoModelForSequenceClassification if task_of(pooling) == "sequence" else AutoModelForTokenClassification
    model, report = auto.from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    return model.eval()


@pytest.mark.parametrize("pooling", ["cls", "site", "mean"])
def test_logits_of_the_exported_classifier_are_equal(
    make_encoder: Maker, tmp_path: Path, texts: list[str], batch: Tensor, pooling: Pooling
) -> None:
    classifier = classifier_of(make_encoder(seed=3), pooling, scale=20.0)
    export_classifier(classifier, tmp_path)
    encoded = AutoTokenizer.from_pretrained(tmp_path)(texts, return_tensors="pt")
    assert torch.equal(encoded.input_ids, batch)
    with torch.inference_mode():
        wanted, _ = classifier(batch)
        found = window_logits(opened(tmp_path, pooling)(**encoded).logits, pooling)
    assert wanted.std() > 0.1
    # Logits of some 10, in an encoder of width 16; the wider, the closer (below).
    torch.testing.assert_close(found, wanted, atol=3e-4, rtol=0)


@pytest.mark.parametrize("architecture", ["bert"])
@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("pooling", ["cls", "site", "mean"])
def test_layers_above_the_pooled_one_are_cut_off(
    make_encoder: Maker, tmp_path: Path, batch: Tensor, pooling: Pooling, layer: int
) -> None:
    classifier = classifier_of(make_encoder(seed=3), pooling, layer)
    export_classifier(classifier, tmp_path)
    model = opened(tmp_path, pooling)
    assert model.config.num_hidden_layers == layer
    with torch.inference_mode():
        found = window_logits(model(input_ids=batch).logits, pooling)
        torch.testing.assert_close(found, classifier(batch)[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("architecture", ["modernbert"])
def test_a_lower_layer_of_modernbert_is_refused(make_encoder: Maker, tmp_path: Path) -> None:
    encoder = make_encoder(seed=3)
    with pytest.raises(InputError, match=r"layer 1 of 2 is pooled.+Export a model with encoder\.layer -1"):
        export_classifier(classifier_of(encoder, "cls", layer=1), tmp_path)
    with pytest.raises(InputError, match="layer 1 of 2 is pooled"):
        export_embedder(encoder, tmp_path, pooling="cls", layer=1)


def test_a_pipeline_gives_the_probability(make_encoder: Maker, tmp_path: Path, texts: list[str], batch: Tensor) -> None:
    classifier = classifier_of(make_encoder(seed=3), "cls")
    export_classifier(classifier, tmp_path)
    answers = pipeline("text-classification", model=str(tmp_path), device="cpu")(texts)
    with torch.inference_mode():
        wanted = torch.sigmoid(classifier(batch)[0]).tolist()
    assert [answer["label"] for answer in answers] == ["splice site"] * len(texts)
    assert [answer["score"] for answer in answers] == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("logit", [0.01, 30.0])
@pytest.mark.parametrize("architecture", ["modernbert"])
def test_the_norm_passes_small_and_large_logits_on(
    make_encoder: Maker, tmp_path: Path, batch: Tensor, logit: float
) -> None:
    classifier = classifier_of(make_encoder(seed=3, hidden=192, heads=6), "cls", scale=1.0)
    with torch.no_grad():
        classifier.output.bias.zero_()
        classifier.output.weight.mul_(logit / classifier(batch)[0].abs().max())
        wanted = classifier(batch)[0]
    export_classifier(classifier, tmp_path)
    with torch.inference_mode():
        found = opened(tmp_path, "cls")(input_ids=batch).logits[:, 0]
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=2e-6)


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_sentence_transformers_gives_the_same_embeddings(
    make_encoder: Maker, tmp_path: Path, windows: Tokens, texts: list[str], accelerator: Accelerator, pooling: Pooling
) -> None:
    encoder = make_encoder(seed=3)
    export_embedder(encoder, tmp_path, pooling=pooling, layer=-1)
    model = SentenceTransformer(str(tmp_path), device="cpu")
    wanted = embed(encoder, windows, pooling=pooling, layer=-1, accelerator=accelerator)
    found = model.encode([texts[0], *texts[1:]])
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    shorter = model.encode([texts[0], texts[1][:12]])  # padded beside a longer one
    np.testing.assert_allclose(shorter[0], wanted[0], atol=1e-5)
    alone = embed(encoder, windows[1:2, :12], pooling=pooling, layer=-1, accelerator=accelerator)
    np.testing.assert_allclose(shorter[1], alone[0], atol=1e-5)
    assert model.max_seq_length == 22


def test_an_embedder_of_sites_is_refused(make_encoder: Maker, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot pool the two nucleotides of a site\. Export the classifier"):
        export_embedder(make_encoder(seed=3), tmp_path, pooling="site", layer=-1)
    assert not list(tmp_path.iterdir())


def test_the_exported_encoder_is_untouched_and_the_random_state_too(make_encoder: Maker, tmp_path: Path) -> None:
    encoder = make_encoder(seed=3)
    classifier = classifier_of(encoder, "cls")
    before = [p.clone() for p in encoder.parameters()]
    state = torch.get_rng_state()
    export_classifier(classifier, tmp_path)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(old, new) for old, new in zip(before, encoder.parameters(), strict=True))
    assert encoder.config.num_hidden_layers == 2
