"""The training loop of every stage.

Weights, optimiser state and the step are all a checkpoint holds: batches, dropout and learning rate are functions
of (seed, step), so a run that was killed and resumed ends in the same bits on the same CPU.
"""

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import nn
from tqdm import tqdm

from simcsp.config import OptimiserConfig
from simcsp.console import say, skip
from simcsp.errors import InputError
from simcsp.model.objectives import Objective
from simcsp.training.batches import Batch
from simcsp.training.checkpoint import (
    Progress,
    latest_checkpoint,
    prune_checkpoints,
    read_checkpoint,
    write_checkpoint,
    write_model,
)
from simcsp.training.devices import compile_layers
from simcsp.training.gradients import Backward, Losses, in_one_pass, summed_over_processes
from simcsp.training.log import RunLog
from simcsp.training.optimiser import learning_rate, make_optimiser
from simcsp.training.prefetch import prefetched
from simcsp.training.stopping import StopRequested, stop_requests
from simcsp.training.throughput import Meter

LOG_EVERY = 10
_NORM = "gradient_norm"

Measure = Callable[[int, RunLog], dict[str, float]]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long to train, and what to keep.

    Attributes:
        steps: optimiser steps.
        optimiser: rate, warm-up, decay, clipping.
        evaluate_every: steps between measurements; there is one at step 0 and one at the end, too.
        save_every: steps between checkpoints.
        seed: of dropout.
        select: metric → folder that keeps the model with its highest value after step 0.
        patience: measurements without a new best of the first metric before training stops; 0 never stops.
        compile: the layers of the encoder.
        keep: every measured model after step 0 is kept beside this path, as ``<name>-<step>``; none if not given.
    """

    steps: int
    optimiser: OptimiserConfig
    evaluate_every: int
    save_every: int
    seed: int
    select: dict[str, Path]
    patience: int = 0
    compile: bool = False
    keep: Path | None = None


def train(
    objective: Objective,
    batch_at: Callable[[int], Batch],
    measure: Measure,
    plan: Plan,
    folder: Path,
    accelerator: Accelerator,
    bar: "tqdm[None]",
    backward: Backward = in_one_pass,
) -> Progress:
    """Minimise an objective; go on from the last checkpoint in ``folder`` if there is one.

    With several processes each calls this with the same arguments; the main one measures and writes.

    Args:
        objective: module that gives losses; see :mod:`simcsp.model.objectives`.
        batch_at: step → batch.
        measure: step → metrics on held-out data; called in evaluation mode.
        plan: length and selection.
        folder: for checkpoints and logs.
        accelerator: device, precision and processes.
        bar: advanced by one at every step.
        backward: adds the gradients of a batch; see :mod:`simcsp.training.gradients`.

    Returns:
        Where training ended and the best values it met.

    Raises:
        InputError: if the loss is not finite, a metric to select by was never defined, or a checkpoint is damaged.
        KeyboardInterrupt: after SIGINT or SIGTERM, once a checkpoint is written.
    """
    training = _Training(objective, measure, plan, folder, accelerator)
    skip(bar, training.progress.step)
    if not bar.disable and bar.desc and training.progress.step and not training.is_over():
        say(f"{bar.desc.removesuffix(': ')}: goes on from step {training.progress.step:,}")
    with (
        _log_of_main_process(folder, training.progress.step, accelerator) as log,
        stop_requests(accelerator) as stop_requested,
        prefetched(batch_at, plan.steps, accelerator.device) as batch_of,
    ):
        if training.progress.step == 0:
            bar.set_postfix_str("measuring")
            training.measure_and_select(log)
            bar.set_postfix_str("", refresh=False)
            bar.unpause()  # what is measured before the first step is not the pace of the others
        training.meter.restart()
        while not training.is_over():
            losses = training.train_step(batch_of, backward)
            bar.update()
            due = training.due(stop_requested)
            if any(due):
                losses = summed_over_processes(losses, accelerator)
                _require_finite(losses, training.progress.step)
            if due.note and log:
                training.note(losses, log, bar)
            if due.look:
                training.measure_and_select(log)
            if due.save and log:
                training.save()
            if due.stop:
                accelerator.wait_for_everyone()  # until the checkpoint is whole
                raise KeyboardInterrupt
    accelerator.wait_for_everyone()  # before others read what the main process wrote
    _require_selected(training.progress, plan)
    return training.progress


class _Due(NamedTuple):
    """What follows a step; whoever stops saves."""

    note: bool
    look: bool
    save: bool
    stop: bool


class _Training:
    """A training under way: ``progress`` says how far it has come, ``meter`` how fast it is."""

    def __init__(
        self, objective: Objective, measure: Measure, plan: Plan, folder: Path, accelerator: Accelerator
    ) -> None:
        self._objective, self._measure, self._plan = objective, measure, plan
        self._folder, self._accelerator = folder, accelerator
        # The objective once more, as torch sees it: it is trained as a module, and saved and restored as an objective.
        self._module = _as_module(objective).to(accelerator.device)
        if plan.compile:
            compile_layers(self._module)
        optimiser = make_optimiser(self._module, plan.optimiser)
        found = latest_checkpoint(folder)
        self.progress = Progress() if found is None else read_checkpoint(found, objective, optimiser)
        accelerator.free_memory()  # it would keep the models and optimisers of earlier trainings
        accelerator.wait_for_everyone()  # before the checkpoint that all have read is pruned
        self._model, self._optimiser = accelerator.prepare(self._module, optimiser)
        self.meter = Meter(self._module, accelerator)

    def is_over(self) -> bool:
        """After the last step, or when patience is out."""
        progress, plan = self.progress, self._plan
        if progress.step >= plan.steps:
            return True
        if not plan.patience or not plan.select or not progress.best:
            return False
        first = next(iter(plan.select))
        return progress.step - progress.best_step(first) >= plan.patience * plan.evaluate_every

    def train_step(self, batch_of: Callable[[int], Batch], backward: Backward) -> Losses:
        """One step of the optimiser; gives this process's share of each loss, and of the norm of the gradient."""
        step, settings, accelerator = self.progress.step, self._plan.optimiser, self._accelerator
        started = time.perf_counter()
        batch = batch_of(step)
        self.meter.waited(time.perf_counter() - started)
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate(step, self._plan.steps, settings)
        self._model.train()
        losses = backward(self._model, batch, accelerator, self._plan.seed, step)
        norm = accelerator.clip_grad_norm_(self._model.parameters(), settings.max_grad_norm)
        self._optimiser.step()
        self._optimiser.zero_grad()
        for part in batch.keys() & {"tokens", "pairs"}:  # none if a frozen encoder has seen them before
            self.meter.count(batch[part])
        self.progress = self.progress.advance()
        return {**losses, _NORM: norm / accelerator.num_processes}  # which every process knows

    def due(self, stop_requested: StopRequested) -> _Due:
        """What is to be done after the step that was just taken."""
        step, plan = self.progress.step, self._plan
        last = step == plan.steps
        note = step % LOG_EVERY == 0
        stop = stop_requested(agree=note or self._accelerator.device.type == "cpu")  # a GPU would have to be waited for
        return _Due(
            note=note,
            look=step % plan.evaluate_every == 0 or last,
            save=step % plan.save_every == 0 or last or stop,
            stop=stop,
        )

    def note(self, losses: Losses, log: RunLog, bar: "tqdm[None]") -> None:
        """Write down losses, rate and speed."""
        values = {f"train/{name}": float(value.detach()) for name, value in losses.items()}
        values["train/learning_rate"] = self._optimiser.param_groups[0]["lr"]
        log.scalars(self.progress.step, {**values, **self.meter.read()})
        bar.set_postfix(loss=f"{values['train/loss']:.3f}", refresh=False)

    def measure_and_select(self, log: RunLog | None) -> None:
        """Measure in the main process, which has the log, and keep the model if it is the best; all get to know."""
        step, plan = self.progress.step, self._plan
        metrics = self._measured(log)
        if log and plan.keep and step:
            write_model(plan.keep.with_name(f"{plan.keep.name}-{step}"), self._objective)
        for metric, target in plan.select.items():
            if step and metrics[metric] > self.progress.best_value(metric):
                if log:
                    write_model(target, self._objective)
                self.progress = self.progress.with_best(metric, metrics[metric])
        self.meter.restart()

    def _measured(self, log: RunLog | None) -> dict[str, float]:
        self._module.eval()
        found: list[dict[str, float]] = [{}]
        if log:
            threads = torch.get_num_threads()
            found = [self._measure(self.progress.step, log)]
            torch.set_num_threads(threads)  # numba, which draws UMAP, changes it; a resumed run would sum differently
            log.scalars(self.progress.step, found[0])
        (metrics,) = broadcast_object_list(found) if self._accelerator.num_processes > 1 else found
        return metrics

    def save(self) -> None:
        """Write a checkpoint in place of the one before."""
        whole = write_checkpoint(self._folder, self._objective, self._optimiser, self.progress)
        prune_checkpoints(self._folder, keep=whole)


def _require_finite(losses: Losses, step: int) -> None:
    """Stop before a broken model is measured or saved; looked at then only, as a GPU has to wait for it."""
    for name in ("loss", _NORM):
        value = float(losses[name].detach())
        if not math.isfinite(value):
            raise InputError(f"the {name.replace('_', ' ')} is {value} at step {step}", hint="Lower the learning rate")


def _require_selected(progress: Progress, plan: Plan) -> None:
    """Say so here rather than where the model that was not kept is missed."""
    for metric in plan.select:
        if progress.step and metric not in progress.best:
            raise InputError(
                f"{metric} was undefined whenever it was measured, so no model could be kept for it",
                hint="Give more windows of both labels",
            )


def _as_module(objective: Objective) -> nn.Module:
    if not isinstance(objective, nn.Module):
        raise TypeError("an objective is a torch module")
    return objective


def _log_of_main_process(
    folder: Path, step: int, accelerator: Accelerator
) -> AbstractContextManager[RunLog] | nullcontext[None]:
    return RunLog(folder, step) if accelerator.is_main_process else nullcontext()
