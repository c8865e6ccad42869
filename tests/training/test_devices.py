from collections.abc import Iterator

import pytest
import torch
from accelerate.state import AcceleratorState

from simcsp.training import devices
from simcsp.training.devices import describe, make_accelerator


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.parametrize(
    ("asked", "multiplies_bf16", "given"),
    [
        ("fp32", True, "fp32"),
        ("bf16", False, "bf16 autocast"),
        ("auto", True, "bf16 autocast"),
        ("auto", False, "fp32"),
    ],
)
def test_auto_is_bf16_only_where_the_processor_has_it(
    monkeypatch: pytest.MonkeyPatch, asked: str, *, multiplies_bf16: bool, given: str
) -> None:
    monkeypatch.setattr(devices, "_cpu_multiplies_bf16", lambda: multiplies_bf16)
    accelerator = make_accelerator(asked)  # type: ignore[arg-type]
    assert describe(accelerator) == f"cpu, {given}"
    assert accelerator.device.type == "cpu"
    with accelerator.autocast():
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == (torch.bfloat16 if given == "bf16 autocast" else torch.float32)


def test_the_processor_can_be_asked() -> None:
    assert devices._cpu_multiplies_bf16() in (True, False)


@pytest.mark.gpu
def test_a_gpu_is_used_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    assert make_accelerator("auto").device.type == "cuda"
