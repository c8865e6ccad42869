import time

import pytest
import torch
from accelerate import Accelerator
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from simcsp.config import EncoderConfig
from simcsp.model.encoder import load_encoder
from simcsp.training import throughput
from simcsp.training.throughput import Meter, attention_width, matrix_peak, matrix_weights, operations_per_token


def bert(layers: int) -> nn.Module:
    return load_encoder(
        EncoderConfig(architecture="bert", hidden=32, layers=layers, heads=2, intermediate=64, dropout=0.0), 102, seed=0
    )


def test_operations_are_those_torch_counts() -> None:
    model, tokens = bert(3), torch.randint(5, 10, (2, 102))
    model.set_attn_implementation("eager")  # type: ignore[operator]
    with FlopCounterMode(display=False) as counter:
        model(input_ids=tokens, labels=tokens).loss.backward()
    ours = tokens.numel() * operations_per_token(matrix_weights(model), attention_width(model), 102)
    assert ours == pytest.approx(counter.get_total_flops(), rel=0.005)


def test_published_model_takes_the_operations_worked_out_by_hand() -> None:
    # 6 layers of 12 x 512^2 weights, and the head's 512^2 + 10 x 512
    weights = 6 * 12 * 512**2 + 512**2 + 10 * 512
    assert operations_per_token(weights, 6 * 512, 512) == 6 * weights + 12 * 512 * 6 * 512


def test_rates_leave_out_what_was_before_the_last_reading(
    accelerator: Accelerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, tokens = bert(1), torch.zeros((5, 1, 102), dtype=torch.uint8)
    now = iter([0.0, 0.0, 10.0, 14.0, 14.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(now))
    monkeypatch.setattr(throughput, "matrix_peak", lambda device, precision: 1e6)
    meter = Meter(module, accelerator)
    meter.count(tokens)
    meter.restart()
    meter.restart()
    meter.count(tokens)
    meter.count(tokens)
    meter.waited(1.0)
    rates = meter.read()
    per_token = operations_per_token(matrix_weights(module), attention_width(module), 102)
    assert rates["speed/tokens_per_second"] == 2 * 510 / 4
    assert rates["speed/mfu"] == pytest.approx(2 * 510 * per_token / 4 / 1e6)
    assert rates["speed/data_wait"] == 0.25
    assert rates["speed/peak_memory_gb"] > 0.01


def test_peak_is_that_of_a_plain_product() -> None:
    """Within a factor that no unit could hide in."""
    left = torch.ones(1024, 1024)
    left @ left
    start = time.perf_counter()
    left @ left
    rate = 2 * 1024**3 / (time.perf_counter() - start)
    assert rate / 30 < matrix_peak(torch.device("cpu"), "no") < 30 * rate
