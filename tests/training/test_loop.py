from __future__ import annotations

import gc
import math
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from simcsp.config import OptimiserConfig
from simcsp.errors import InputError
from simcsp.training.log import RunLog, read_metrics

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.training.conftest import OnBatch, Tiny, Train

    from simcsp.training.batches import Batch
    from simcsp.training.loop import Measure

SETTINGS = OptimiserConfig(learning_rate=0.05, warmup=0.2, weight_decay=0.3, max_grad_norm=0.2)


def scripted(values: dict[int, float]) -> Measure:
    """A measurement that gives the scores written down for it, and 0 at any other step."""
    return lambda step, log: {"score": values.get(step, 0.0)}


# --- equivalence ---------------------------------------------------------------------------------------------------


def test_training_is_bit_for_bit_a_plain_pytorch_loop(
    run: Train, make_tiny: type[Tiny], batch_at: Callable[[int], Batch]
) -> None:
    ours = make_tiny()
    run(objective=ours, steps=12, optimiser=SETTINGS)

    peer = make_tiny().train()
    optimiser = torch.optim.AdamW(
        [
            {"params": [peer.embedding.weight, peer.output.weight], "weight_decay": 0.3},
            {"params": [peer.norm.weight, peer.norm.bias, peer.output.bias], "weight_decay": 0.0},
        ],
        fused=True,
    )
    norms = []
    for step in range(12):
        rate = 0.05 * ((step + 1) / 2 if step < 2 else (12 - step) / 10 if step > 2 else 1)
        for group in optimiser.param_groups:
            group["lr"] = rate
        torch.manual_seed(int(np.random.SeedSequence([3, step, 0]).generate_state(1, np.uint64)[0]))
        optimiser.zero_grad()
        peer(**batch_at(step))["loss"].backward()
        norms.append(float(nn.utils.clip_grad_norm_(peer.parameters(), 0.2)))
        optimiser.step()

    assert any(norm > 0.2 for norm in norms)  # clipping had something to do
    for name, value in peer.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value), name
        assert not torch.equal(make_tiny().state_dict()[name], value), name


def test_log_holds_losses_rate_and_norm_of_every_tenth_step(run: Train, make_tiny: type[Tiny], tmp_path: Path) -> None:
    run(steps=20, evaluate_every=20, optimiser=SETTINGS)
    records = [record for record in read_metrics(tmp_path / "run") if "train/loss" in record]
    assert [record["step"] for record in records] == [10, 20]
    assert [record["train/learning_rate"] for record in records] == pytest.approx([0.05 * 11 / 16, 0.05 / 16])
    assert set(records[0]) == {
        "step", "train/loss", "train/accuracy", "train/gradient_norm", "train/learning_rate",
        "speed/tokens_per_second", "speed/mfu", "speed/data_wait", "speed/peak_memory_gb",
    }  # fmt: skip


def test_measurements_see_evaluation_mode_and_steps_see_training_mode(run: Train, make_tiny: type[Tiny]) -> None:
    module, modes = make_tiny(), []

    def measure(step: int, log: RunLog) -> dict[str, float]:
        modes.append((step, module.training))
        return {}

    module.register_forward_pre_hook(lambda *_: modes.append((-1, module.training)))
    run(objective=module, measure=measure, steps=5, evaluate_every=2)
    step = (-1, True)
    assert modes == [(0, False), step, step, (2, False), step, step, (4, False), step, (5, False)]


# --- selection and patience ------------------------------------------------------------------------------------


def test_best_model_is_the_first_of_the_highest_after_step_0(run: Train, make_tiny: type[Tiny], tmp_path: Path) -> None:
    module, weights = make_tiny(), {}
    values = {0: 9.0, 2: 0.2, 4: 0.7, 6: 0.7, 8: 0.1}

    def measure(step: int, log: RunLog) -> dict[str, float]:
        weights[step] = module.output.weight.detach().clone()
        return {"up": values[step], "down": -values[step]}

    done = run(objective=module, measure=measure, steps=8, evaluate_every=2, select=("up", "down"))
    assert done.best == {"up": (0.7, 4), "down": (-0.1, 8)}
    for metric, step in (("up", 4), ("down", 8)):
        kept = load_file(tmp_path / "run" / f"best_{metric}" / "model.safetensors")
        assert torch.equal(kept["output.weight"], weights[step])


def test_every_measured_model_after_step_0_is_kept_if_asked(run: Train, make_tiny: type[Tiny], tmp_path: Path) -> None:
    objective = make_tiny()
    run(objective=objective, steps=5, evaluate_every=2, keep=tmp_path / "kept" / "phase")
    assert {path.name for path in (tmp_path / "kept").iterdir()} == {"phase-2", "phase-4", "phase-5"}
    last = load_file(tmp_path / "kept" / "phase-5" / "model.safetensors")
    assert all(torch.equal(objective.state_dict()[name], weights) for name, weights in last.items())


def test_patience_counts_measurements_without_a_new_best(run: Train) -> None:
    values = {2: 0.5, 4: 0.6, 6: 0.6, 8: 0.4, 10: 0.9}
    patient: dict[str, Any] = {"steps": 30, "evaluate_every": 2, "measure": scripted(values), "select": ("score",)}
    assert run("two", patience=2, **patient).step == 8
    assert run("three", patience=3, **patient).step == 10 + 3 * 2
    assert run("none", patience=0, **patient).step == 30


def test_patience_looks_at_the_first_metric_only(run: Train) -> None:
    def measure(step: int, log: RunLog) -> dict[str, float]:
        return {"first": -step, "second": step}

    done = run(steps=30, evaluate_every=2, measure=measure, select=("first", "second"), patience=2)
    assert done.step == 6
    assert done.best == {"first": (-2, 2), "second": (6, 6)}


def test_training_that_ran_out_of_patience_stays_ended(run: Train) -> None:
    plan: dict[str, Any] = {
        "steps": 30, "evaluate_every": 2, "save_every": 2, "select": ("score",), "patience": 2,
        "measure": scripted({2: 1.0}),
    }  # fmt: skip
    first = run(**plan)
    assert first.step == 6
    assert run(on_batch=lambda step, batch: pytest.fail("it goes on"), **plan) == first


def test_metric_that_is_never_defined_is_an_error_and_not_a_missing_model(run: Train) -> None:
    with pytest.raises(InputError, match="score was undefined whenever it was measured"):
        run(measure=lambda step, log: {"score": math.nan}, evaluate_every=2, select=("score",))


# --- numbers that are none -----------------------------------------------------------------------------------------


def broken_from(first: int) -> OnBatch:
    return lambda step, batch: batch if step < first else {**batch, "label": batch["label"] * math.nan}


@pytest.mark.parametrize(
    ("every", "noticed"),
    [
        ({"save_every": 4, "evaluate_every": 100}, 8),
        ({"save_every": 100, "evaluate_every": 7}, 7),
        ({"save_every": 100, "evaluate_every": 100}, 10),
    ],
)
def test_loss_that_is_not_finite_stops_before_anything_is_measured_or_saved(
    run: Train, tmp_path: Path, every: dict[str, int], noticed: int
) -> None:
    measured: list[int] = []

    def measure(step: int, log: RunLog) -> dict[str, float]:
        measured.append(step)
        return {}

    with pytest.raises(InputError, match=f"the loss is nan at step {noticed}\\. Lower the learning rate"):
        run(on_batch=broken_from(6), measure=measure, steps=20, **every)
    assert measured == [0]
    for saved in tmp_path.rglob("model.safetensors"):
        assert all(value.isfinite().all() for value in load_file(saved).values())


def test_loss_that_is_not_finite_is_noticed_in_a_training_shorter_than_the_log(run: Train) -> None:
    with pytest.raises(InputError, match="the loss is nan at step 3"):
        run(on_batch=broken_from(2), steps=3)


class Root(nn.Module):
    """A finite loss with an infinite gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))

    def forward(self, tokens: Tensor, label: Tensor) -> dict[str, Tensor]:
        return {"loss": self.weight.sqrt().sum()}

    def save(self, folder: Path) -> None:
        raise AssertionError("broken weights are not saved")


def test_gradient_that_is_not_finite_stops_although_the_loss_still_is(run: Train) -> None:
    with pytest.raises(InputError, match="the gradient norm is inf at step 1"):
        run(objective=Root(), steps=1)


# --- memory ----------------------------------------------------------------------------------------------------


def test_models_of_earlier_trainings_are_let_go(run: Train, make_tiny: type[Tiny]) -> None:
    first = make_tiny()
    gone = weakref.ref(first)
    run("first", objective=first, steps=1)
    del first
    run("second", steps=1)
    gc.collect()
    assert gone() is None


def test_an_objective_that_is_no_module_is_a_mistake_of_the_caller(run: Train) -> None:
    with pytest.raises(TypeError, match="an objective is a torch module"):
        run(objective="no module")
