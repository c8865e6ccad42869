from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcsp.config import OptimiserConfig
from simcsp.training.optimiser import learning_rate, make_optimiser

if TYPE_CHECKING:
    from tests.training.conftest import Tiny


@pytest.mark.parametrize(
    ("steps", "warmup", "rates"),
    [
        (10, 0.2, [0.5, 1, 1, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8]),
        (4, 0.0, [1, 1, 2 / 3, 1 / 3]),
        (5, 0.8, [0.25, 0.5, 0.75, 1, 1]),
        (1, 0.1, [1]),
    ],
)
def test_rate_warms_up_linearly_then_falls_linearly(steps: int, warmup: float, rates: list[float]) -> None:
    settings = OptimiserConfig(learning_rate=0.002, warmup=warmup)
    found = [learning_rate(step, steps, settings) for step in range(steps)]
    assert found == pytest.approx([0.002 * rate for rate in rates])


@settings(deadline=None)
@given(st.integers(1, 300), st.floats(0, 1, exclude_max=True))
def test_rate_rises_once_falls_once_and_never_reaches_zero(steps: int, warmup: float) -> None:
    settings = OptimiserConfig(learning_rate=1.0, warmup=warmup)
    rates = np.array([learning_rate(step, steps, settings) for step in range(steps)])
    assert (rates > 0).all()
    assert rates.max() == 1
    peak = int(rates.argmax())
    assert (np.diff(rates[: peak + 1]) > 0).all()
    assert (np.diff(rates[peak:]) <= 0).all()


def test_decay_is_for_matrices_and_frozen_parameters_are_left_out(make_tiny: type[Tiny]) -> None:
    module = make_tiny()
    module.norm.requires_grad_(requires_grad=False)
    decayed, plain = make_optimiser(module, OptimiserConfig(weight_decay=0.3)).param_groups
    assert [id(p) for p in decayed["params"]] == [id(module.embedding.weight), id(module.output.weight)]
    assert [id(p) for p in plain["params"]] == [id(module.output.bias)]
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.3, 0.0)
