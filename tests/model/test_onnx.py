"""ONNX gives the logits of the classifier under an engine that knows neither torch nor this project."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from simcsp.config import Pooling
from simcsp.errors import InputError
from simcsp.model.encoder import SiteClassifier
from simcsp.model.export import export_classifier, window_logits
from simcsp.model.onnx import FILE, onnx_difference, require_onnx, write_onnx
from simcsp.sequence.alphabet import with_special_tokens


@pytest.mark.parametrize("pooling", ["cls", "site", "mean"])
def test_logits_are_those_of_the_classifier_for_any_number_and_length_of_windows(
    make_encoder: Callable[..., Any], tmp_path: Path, batch: Tensor, pooling: Pooling
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    classifier = SiteClassifier(make_encoder(seed=3), pooling=pooling, layer=-1, dropout=0.1, seed=7).eval()
    with torch.no_grad():
        classifier.output.weight.mul_(20)
    export_classifier(classifier, tmp_path)
    write_onnx(classifier, tmp_path, batch)
    assert onnx_difference(classifier, tmp_path, batch) < 1e-4

    shorter = np.random.default_rng(0).integers(6, 10, (7, batch.shape[1] - 12), dtype=np.uint8)
    tokens = torch.from_numpy(with_special_tokens(shorter)).long()
    session = onnxruntime.InferenceSession(tmp_path / FILE)
    inputs = {"input_ids": tokens.numpy(), "attention_mask": np.ones(tokens.shape, dtype=np.int64)}
    found = window_logits(torch.from_numpy(session.run(None, inputs)[0]), pooling)
    with torch.inference_mode():
        wanted, _ = classifier(tokens)
    assert float(wanted.std()) > 1e-3
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="ONNX needs the package onnxscript"):
        require_onnx()
