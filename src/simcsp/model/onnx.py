"""ONNX beside an exported classifier, by the optional packages onnxscript and onnxruntime."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from simcsp.extras import require_package
from simcsp.model.encoder import SiteClassifier
from simcsp.model.export import exported_classifier, window_logits

FILE = "model.onnx"
_INPUTS = ("input_ids", "attention_mask")


def require_onnx() -> None:
    """Check that ONNX can be written.

    Raises:
        InputError: if a package is not installed.
    """
    for package in ("onnxscript", "onnxruntime"):
        require_package(package, what="ONNX", extra="onnx", otherwise="leave --onnx out")


def write_onnx(classifier: SiteClassifier, folder: Path, tokens: Tensor) -> None:
    """Write ``model.onnx`` beside what :func:`simcsp.model.export.export_classifier` wrote.

    Inputs are `input_ids` and `attention_mask`, int64 ``(B, T)`` of any B and T; the output `logits` is that of the
    exported model, which :func:`simcsp.model.export.window_logits` makes one of windows.

    Args:
        classifier: that was exported.
        folder: of the export.
        tokens: ``(B, T)`` framed windows to trace the model with.
    """
    model = exported_classifier(folder, classifier.pooling, attn_implementation="eager")
    free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    with _quiet_export():
        program = torch.onnx.export(
            model,
            kwargs=dict(zip(_INPUTS, (tokens, torch.ones_like(tokens)), strict=True)),
            dynamo=True,
            dynamic_shapes=dict.fromkeys(_INPUTS, free),
            input_names=_INPUTS,
            output_names=["logits"],
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch wrote no ONNX program")
    program.save(folder / FILE)


@contextmanager
def _quiet_export() -> Iterator[None]:
    """Without torch's names of packages that are not needed, and its warning of its own deprecated call."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated", FutureWarning)
            yield
    finally:
        logger.setLevel(level)


@torch.inference_mode()
def onnx_difference(classifier: SiteClassifier, folder: Path, tokens: Tensor) -> float:
    """Largest difference between logits of a classifier and of its ONNX under onnxruntime, on ``(B, T)`` windows."""
    import onnxruntime  # noqa: PLC0415 - optional

    session = onnxruntime.InferenceSession(folder / FILE, providers=["CPUExecutionProvider"])
    values = (tokens.numpy(), torch.ones_like(tokens).numpy())
    (logits,) = session.run(["logits"], dict(zip(_INPUTS, values, strict=True)))
    found = window_logits(torch.from_numpy(logits), classifier.pooling)
    return float((found - classifier.eval()(tokens)[0]).abs().max())
