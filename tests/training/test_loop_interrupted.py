"""Whatever stops a training, going on ends in the same bits."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn
from tqdm import tqdm

from simcsp.config import OptimiserConfig
from simcsp.training import stopping
from simcsp.training.log import RunLog, read_metrics
from simcsp.training.loop import Measure, Plan, train

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from accelerate import Accelerator
    from tests.training.conftest import OnBatch, Tiny, Train

    from simcsp.training.batches import Batch


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
            {name: value for name, value in record.items() if not name.startswith("speed/")}
            for record in read_metrics(folder)
        ],
    }


# --- interruption and resuming -------------------------------------------------------------------------------------


class KilledError(Exception):
    pass


def killed_at(last: int) -> OnBatch:
    """The process dies when it asks for the batch of a step."""

    def on_batch(step: int, batch: Batch) -> Batch:
        if step == last:
            raise KilledError
        return batch

    return on_batch


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
            run("parts", objective=part, on_batch=killed_at(last), measure=weigh(part), **LONG)
    part = make_tiny(seed=1)  # the weights come from the checkpoint, if there is one
    if max(kills) < LONG["save_every"]:
        part = make_tiny()
    run("parts", objective=part, measure=weigh(part), **LONG)
    assert end_of(tmp_path / "parts") == end_of(tmp_path / "whole")
    assert end_of(tmp_path / "whole")["state"]["best"]["score"][1] in {5, 10, 15, 20, 23}


def test_resuming_asks_only_for_the_batches_after_the_checkpoint(run: Train, tmp_path: Path) -> None:
    with pytest.raises(KilledError):
        run(on_batch=killed_at(9), **LONG)
    asked: list[int] = []

    def on_batch(step: int, batch: Batch) -> Batch:
        asked.append(step)
        return batch

    run(on_batch=on_batch, **LONG)
    assert asked == list(range(8, 23))


def test_other_seed_gives_other_dropout(run: Train, tmp_path: Path) -> None:
    for seed in (3, 4):
        run(str(seed), seed=seed)
    again = run("again", seed=3)
    assert again.step == 6
    assert end_of(tmp_path / "3") == end_of(tmp_path / "again")
    assert end_of(tmp_path / "3")["weights"] != end_of(tmp_path / "4")["weights"]


def test_only_the_last_checkpoint_stays_beside_the_best_models(run: Train, tmp_path: Path) -> None:
    run(steps=10, save_every=3, evaluate_every=5, measure=lambda step, log: {"score": 1.0}, select=("score",))
    names = {path.name for path in (tmp_path / "run").iterdir() if not path.name.startswith("events.")}
    assert names == {"checkpoint-10", "best_score", "metrics.jsonl"}


def test_bar_counts_every_step_once_also_when_resumed(
    make_tiny: type[Tiny],
    batch_at: Callable[[int], Batch],
    accelerator: Accelerator,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan = Plan(steps=7, optimiser=OptimiserConfig(), evaluate_every=9, save_every=3, seed=0, select={})
    counts = []
    for batches in (lambda step: killed_at(5)(step, batch_at(step)), batch_at):
        with tqdm(desc="x", total=7, file=StringIO()) as bar, contextlib.suppress(KilledError):
            train(make_tiny(), batches, lambda step, log: {}, plan, tmp_path, accelerator, bar)
        counts.append(bar.n)
    assert counts == [5, 7]
    assert capsys.readouterr().out == "x: goes on from step 3\n"


def test_measuring_before_the_first_step_is_not_taken_for_its_pace(
    make_tiny: type[Tiny], batch_at: Callable[[int], Batch], accelerator: Accelerator, tmp_path: Path
) -> None:
    plan = Plan(steps=2, optimiser=OptimiserConfig(), evaluate_every=9, save_every=9, seed=0, select={})
    clock = [0.0]

    def measure(step: int, log: RunLog | None) -> dict[str, float]:
        clock[0] += 100 if step == 0 else 0
        return {}

    with tqdm(total=2, file=StringIO()) as bar:
        bar._time = lambda: clock[0]
        bar.start_t = bar.last_print_t = 0.0
        train(make_tiny(), batch_at, measure, plan, tmp_path, accelerator, bar)
        assert bar.format_dict["elapsed"] == 0
    assert clock == [100]


# --- signals ---------------------------------------------------------------------------------------------------


@pytest.fixture
def handlers() -> Any:
    """The handlers that must be in place again afterwards."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    yield
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def signalled(module: nn.Module, when: int, number: signal.Signals, times: int = 1) -> nn.Module:
    """The module sends the process a signal while it computes step ``when``."""
    steps = iter(range(1000))

    def send(*_: Any) -> None:
        if next(steps) == when:
            for _number in range(times):
                os.kill(os.getpid(), number)

    module.register_forward_pre_hook(send)
    return module


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.usefixtures("handlers")
def test_signal_finishes_the_step_saves_it_and_interrupts(
    run: Train, make_tiny: type[Tiny], tmp_path: Path, number: signal.Signals
) -> None:
    run("whole", **LONG)
    with pytest.raises(KeyboardInterrupt):
        run("parts", objective=signalled(make_tiny(), 6, number), **LONG)
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
def test_signal_in_the_last_step_is_not_lost(run: Train, make_tiny: type[Tiny], tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(objective=signalled(make_tiny(), 5, signal.SIGTERM))
    assert checkpoints(tmp_path / "run") == ["checkpoint-6"]


@pytest.mark.usefixtures("handlers")
def test_second_signal_interrupts_at_once(
    run: Train, make_tiny: type[Tiny], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "ONE_SIGNAL", 0.0)
    with pytest.raises(KeyboardInterrupt):
        run(objective=signalled(make_tiny(), 2, signal.SIGTERM, times=2), save_every=2)
    assert checkpoints(tmp_path / "run") == ["checkpoint-2"]


@pytest.mark.usefixtures("handlers")
def test_signal_that_arrives_twice_is_one_request(run: Train, make_tiny: type[Tiny], tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(objective=signalled(make_tiny(), 2, signal.SIGTERM, times=2), save_every=2)
    assert checkpoints(tmp_path / "run") == ["checkpoint-3"]


def test_signal_that_is_ignored_stays_ignored(run: Train, make_tiny: type[Tiny], tmp_path: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        run(objective=signalled(make_tiny(), 2, signal.SIGINT))
    finally:
        signal.signal(signal.SIGINT, before)
    assert checkpoints(tmp_path / "run") == ["checkpoint-6"]


@pytest.mark.usefixtures("handlers")
def test_handlers_are_put_back_after_success_and_after_an_error(run: Train) -> None:
    run(steps=1)
    with pytest.raises(KilledError):
        run("killed", on_batch=killed_at(0))
