from __future__ import annotations

import contextlib
import gc
import json
import math
import os
import signal
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor, nn
from tqdm import tqdm

from simcsp.config import OptimiserConfig
from simcsp.errors import InputError
from simcsp.training.log import RunLog, read_metrics
from simcsp.training.loop import Clock, Plan, learning_rate, make_optimiser, step_seed, train

if TYPE_CHECKING:
    from collections.abc import Callable

    from accelerate import Accelerator
    from tests.training.conftest import Tiny

    from simcsp.training.batches import Batch
    from simcsp.training.checkpoint import Progress
    from simcsp.training.loop import Measure

    Train = Callable[..., Progress]

SETTINGS = OptimiserConfig(learning_rate=0.05, warmup=0.2, weight_decay=0.3, max_grad_norm=0.2)


def batch_at(step: int) -> Batch:
    tokens = torch.randint(0, 10, (8, 5), generator=torch.Generator().manual_seed(step))
    return {"tokens": tokens, "label": (tokens[:, 0] > 4).float()}


def scripted(values: dict[int, float], metric: str = "score") -> Measure:
    """A measurement that gives the values written down for it, and 0 at any other step."""
    return lambda step, log: {metric: values.get(step, 0.0)}


@pytest.fixture
def run(make_tiny: type[Tiny], accelerator: Accelerator, tmp_path: Path) -> Train:
    """``run(folder="run", steps=…, …)``: train a fresh tiny objective from whatever checkpoint the folder holds."""

    def call(
        folder: str = "run",
        *,
        objective: nn.Module | None = None,
        batches: Callable[[int], Batch] = batch_at,
        measure: Measure | None = None,
        select: tuple[str, ...] = (),
        **plan: Any,
    ) -> Progress:
        target = tmp_path / folder
        defaults = {"steps": 6, "evaluate_every": 100, "save_every": 100, "seed": 3, "optimiser": SETTINGS}
        return train(
            objective or make_tiny(),  # type: ignore[arg-type]
            batches,
            measure or scripted({}),
            Plan(**{**defaults, "select": {name: target / f"best_{name}" for name in select}, **plan}),
            target,
            accelerator,
            tqdm(disable=True),
        )

    return call


def checkpoints(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if "checkpoint" in path.name)


def end_of(folder: Path) -> dict[str, Any]:
    """Everything a training leaves, in comparable form; the last checkpoint's name among it."""
    (last,) = checkpoints(folder)
    optimiser = torch.load(folder / last / "optimizer.pt", weights_only=True)
    return {
        "checkpoint": last,
        "weights": {path.parent.name: path.read_bytes() for path in folder.rglob("model.safetensors")},
        "moments": [
            {name: np.asarray(value).tolist() for name, value in state.items()} for state in optimiser["state"].values()
        ],
        "groups": optimiser["param_groups"],
        "state": json.loads((folder / last / "state.json").read_text()),
        "metrics": [
            {name: value for name, value in record.items() if name != "train/tokens_per_second"}
            for record in read_metrics(folder)
        ],
    }


# --- rate, groups, seeds -----------------------------------------------------------------------------------------


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
    decayed, plain = make_optimiser(module, SETTINGS).param_groups
    assert [id(p) for p in decayed["params"]] == [id(module.embedding.weight), id(module.output.weight)]
    assert [id(p) for p in plain["params"]] == [id(module.output.bias)]
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.3, 0.0)


def test_dropout_seeds_differ_between_steps_and_runs() -> None:
    seeds = {step_seed(seed, step) for seed in range(10) for step in range(100)}
    assert len(seeds) == 1000
    torch.manual_seed(max(seeds))  # torch takes all 64 bits


def test_tokens_per_second_leave_out_what_was_before_the_last_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 10.0, 14.0, 14.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(now))
    clock = Clock()
    clock.count(1000)
    clock.restart()
    clock.count(30)
    clock.count(50)
    assert clock.read() == 80 / 4


# --- equivalence ---------------------------------------------------------------------------------------------------


def test_training_is_bit_for_bit_a_plain_pytorch_loop(run: Train, make_tiny: type[Tiny]) -> None:
    ours = make_tiny()
    run(objective=ours, steps=12)

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
        torch.manual_seed(int(np.random.SeedSequence([3, step]).generate_state(1, np.uint64)[0]))
        optimiser.zero_grad()
        peer(**batch_at(step))["loss"].backward()
        norms.append(float(nn.utils.clip_grad_norm_(peer.parameters(), 0.2)))
        optimiser.step()

    assert any(norm > 0.2 for norm in norms)  # clipping had something to do
    for name, value in peer.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value), name
        assert not torch.equal(make_tiny().state_dict()[name], value), name


def test_log_holds_losses_rate_and_norm_of_every_tenth_step(run: Train, make_tiny: type[Tiny], tmp_path: Path) -> None:
    run(steps=20, evaluate_every=20)
    records = [record for record in read_metrics(tmp_path / "run") if "train/loss" in record]
    assert [record["step"] for record in records] == [10, 20]
    assert [record["train/learning_rate"] for record in records] == pytest.approx([0.05 * 11 / 16, 0.05 / 16])
    assert set(records[0]) == {
        "step", "train/loss", "train/accuracy", "train/gradient_norm", "train/learning_rate", "train/tokens_per_second",
    }  # fmt: skip


def test_measurements_see_evaluation_mode_and_steps_see_training_mode(run: Train, make_tiny: type[Tiny]) -> None:
    module, modes = make_tiny(), []

    def measure(step: int, log: RunLog) -> dict[str, float]:
        modes.append((step, module.training))
        return {}

    def batches(step: int) -> Batch:
        return batch_at(step)

    module.register_forward_pre_hook(lambda *_: modes.append((-1, module.training)))
    run(objective=module, batches=batches, measure=measure, steps=5, evaluate_every=2)
    step = (-1, True)
    assert modes == [(0, False), step, step, (2, False), step, step, (4, False), step, (5, False)]


# --- interruption and resuming -------------------------------------------------------------------------------------


class KilledError(Exception):
    pass


def killed_at(last: int) -> Callable[[int], Batch]:
    """Batches up to a step at which the process dies."""

    def batches(step: int) -> Batch:
        if step == last:
            raise KilledError
        return batch_at(step)

    return batches


def weigh(objective: nn.Module) -> Measure:
    """A metric that depends on every bit of the weights."""
    return lambda step, log: {"score": float(sum(p.detach().double().abs().sum() for p in objective.parameters()))}


LONG: dict[str, Any] = {"steps": 23, "evaluate_every": 5, "save_every": 4, "select": ("score",)}


@pytest.mark.parametrize("kills", [(2,), (9,), (22,), (5, 9, 9, 14)])
def test_killed_and_resumed_equals_uninterrupted(
    run: Train, make_tiny: type[Tiny], tmp_path: Path, kills: tuple[int, ...]
) -> None:
    whole = make_tiny()
    run("whole", objective=whole, measure=weigh(whole), **LONG)
    for last in kills:
        part = make_tiny()
        with pytest.raises(KilledError):
            run("parts", objective=part, batches=killed_at(last), measure=weigh(part), **LONG)
    part = make_tiny(seed=1)  # the weights come from the checkpoint, if there is one
    if max(kills) < LONG["save_every"]:
        part = make_tiny()
    run("parts", objective=part, measure=weigh(part), **LONG)
    assert end_of(tmp_path / "parts") == end_of(tmp_path / "whole")
    assert end_of(tmp_path / "whole")["state"]["best"]["score"][1] in {5, 10, 15, 20, 23}


def test_resuming_asks_only_for_the_batches_after_the_checkpoint(run: Train, tmp_path: Path) -> None:
    with pytest.raises(KilledError):
        run(batches=killed_at(9), **LONG)
    asked: list[int] = []

    def batches(step: int) -> Batch:
        asked.append(step)
        return batch_at(step)

    run(batches=batches, **LONG)
    assert asked == list(range(8, 23))


def test_other_seed_gives_other_dropout(run: Train, tmp_path: Path) -> None:
    for seed in (3, 4):
        run(str(seed), seed=seed)
    again = run("again", seed=3)
    assert again.step == 6
    assert end_of(tmp_path / "3") == end_of(tmp_path / "again")
    assert end_of(tmp_path / "3")["weights"] != end_of(tmp_path / "4")["weights"]


def test_only_the_last_checkpoint_stays_beside_the_best_models(run: Train, tmp_path: Path) -> None:
    run(steps=10, save_every=3, evaluate_every=5, measure=scripted({5: 1.0}), select=("score",))
    names = {path.name for path in (tmp_path / "run").iterdir() if not path.name.startswith("events.")}
    assert names == {"checkpoint-10", "best_score", "metrics.jsonl"}


def test_bar_counts_every_step_once_also_when_resumed(
    make_tiny: type[Tiny], accelerator: Accelerator, tmp_path: Path
) -> None:
    plan = Plan(steps=7, optimiser=SETTINGS, evaluate_every=9, save_every=3, seed=0, select={})
    counts = []
    for batches in (killed_at(5), batch_at):
        with Path(os.devnull).open("w") as nowhere, tqdm(total=7, file=nowhere) as bar:
            with contextlib.suppress(KilledError):
                train(make_tiny(), batches, scripted({}), plan, tmp_path, accelerator, bar)
            counts.append(bar.n)
    assert counts == [5, 7]


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
    assert run(batches=killed_at(6), **plan) == first


def test_metric_that_is_never_defined_is_an_error_and_not_a_missing_model(run: Train) -> None:
    with pytest.raises(InputError, match="score was undefined whenever it was measured"):
        run(measure=lambda step, log: {"score": math.nan}, evaluate_every=2, select=("score",))


# --- numbers that are none -----------------------------------------------------------------------------------------


def broken_from(first: int) -> Callable[[int], Batch]:
    def batches(step: int) -> Batch:
        batch = batch_at(step)
        return batch if step < first else {**batch, "label": batch["label"] * math.nan}

    return batches


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
        run(batches=broken_from(6), measure=measure, steps=20, **every)
    assert measured == [0]
    for checkpoint in checkpoints(tmp_path / "run"):
        weights = load_file(tmp_path / "run" / checkpoint / "model.safetensors")
        assert all(value.isfinite().all() for value in weights.values())


def test_loss_that_is_not_finite_is_noticed_in_a_training_shorter_than_the_log(run: Train) -> None:
    with pytest.raises(InputError, match="the loss is nan at step 3"):
        run(batches=broken_from(2), steps=3)


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


# --- signals ---------------------------------------------------------------------------------------------------


@pytest.fixture
def handlers() -> Any:
    """The handlers that must be in place again afterwards."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    yield
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def signal_at(step: int, number: signal.Signals, times: int = 1) -> Callable[[int], Batch]:
    def batches(asked: int) -> Batch:
        if asked == step:
            for _ in range(times):
                os.kill(os.getpid(), number)
        return batch_at(asked)

    return batches


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.usefixtures("handlers")
def test_signal_finishes_the_step_saves_it_and_interrupts(run: Train, tmp_path: Path, number: signal.Signals) -> None:
    run("whole", **LONG)
    with pytest.raises(KeyboardInterrupt):
        run("parts", batches=signal_at(6, number), **LONG)
    assert checkpoints(tmp_path / "parts") == ["checkpoint-7"]
    run("parts", **LONG)
    assert end_of(tmp_path / "parts") == end_of(tmp_path / "whole")


@pytest.mark.usefixtures("handlers")
def test_signal_while_measuring_is_honoured_after_the_next_step_at_the_latest(run: Train, tmp_path: Path) -> None:
    def measure(step: int, log: RunLog) -> dict[str, float]:
        os.kill(os.getpid(), signal.SIGTERM)
        return {}

    with pytest.raises(KeyboardInterrupt):
        run(measure=measure)
    assert checkpoints(tmp_path / "run") == ["checkpoint-1"]


@pytest.mark.usefixtures("handlers")
def test_signal_in_the_last_step_is_not_lost(run: Train, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(batches=signal_at(5, signal.SIGTERM))
    assert checkpoints(tmp_path / "run") == ["checkpoint-6"]


@pytest.mark.usefixtures("handlers")
def test_second_signal_interrupts_at_once(run: Train, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(batches=signal_at(2, signal.SIGTERM, times=2), save_every=2)
    assert checkpoints(tmp_path / "run") == ["checkpoint-2"]


@pytest.mark.usefixtures("handlers")
def test_handlers_are_put_back_after_success_and_after_an_error(run: Train) -> None:
    run(steps=1)
    with pytest.raises(KilledError):
        run("killed", batches=killed_at(0))


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
