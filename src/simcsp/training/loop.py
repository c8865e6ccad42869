"""The training loop of every stage.

Weights, optimiser state and the step are all a checkpoint holds: batches, dropout and learning rate are functions
of (seed, step), so a run that was killed and resumed ends in the same bits on the same CPU.
"""

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from tqdm import tqdm

from simcsp.config import OptimiserConfig
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
from simcsp.training.log import RunLog

LOG_EVERY = 10
ONE_SIGNAL = 2.0  # seconds within which signals are one request to stop

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
    """

    steps: int
    optimiser: OptimiserConfig
    evaluate_every: int
    save_every: int
    seed: int
    select: dict[str, Path]
    patience: int = 0


def train(
    objective: Objective,
    batch_at: Callable[[int], Batch],
    measure: Measure,
    plan: Plan,
    folder: Path,
    accelerator: Accelerator,
    bar: "tqdm[None]",
) -> Progress:
    """Minimise an objective; go on from the last checkpoint in ``folder`` if there is one.

    Args:
        objective: module that gives losses; see :mod:`simcsp.model.objectives`.
        batch_at: step → batch.
        measure: step → metrics on held-out data; called in evaluation mode.
        plan: length and selection.
        folder: for checkpoints and logs.
        accelerator: device and precision.
        bar: advanced by one at every step.

    Returns:
        Where training ended and the best values it met.

    Raises:
        InputError: if the loss is not finite, a metric to select by was never defined, or a checkpoint is damaged.
        KeyboardInterrupt: after SIGINT or SIGTERM, once a checkpoint is written.
    """
    module = _as_module(objective).to(accelerator.device)
    optimiser = make_optimiser(module, plan.optimiser)
    found = latest_checkpoint(folder)
    progress = Progress() if found is None else read_checkpoint(found, objective, optimiser)
    accelerator.free_memory()  # it would keep the models and optimisers of earlier trainings
    model, optimiser = accelerator.prepare(module, optimiser)
    bar.update(progress.step)
    with RunLog(folder, progress.step) as log, _stop_requests() as stop_requested:
        if progress.step == 0:
            progress = _measure_and_select(objective, module, measure, plan, progress, log)
        clock = Clock()
        while progress.step < plan.steps and not _out_of_patience(progress, plan):
            losses = _train_step(model, optimiser, batch_at(progress.step), plan, progress.step, accelerator, clock)
            progress = progress.advance()
            bar.update()
            last = progress.step == plan.steps
            look = progress.step % plan.evaluate_every == 0 or last
            save = progress.step % plan.save_every == 0 or last or stop_requested()
            if look or save or progress.step % LOG_EVERY == 0:
                _require_finite(losses, progress.step)
            if progress.step % LOG_EVERY == 0:
                _log_losses(log, progress.step, losses, optimiser, clock, bar)
            if look:
                progress = _measure_and_select(objective, module, measure, plan, progress, log)
                clock.restart()
            if save:
                prune_checkpoints(folder, keep=write_checkpoint(folder, objective, optimiser, progress))
            if save and stop_requested():
                raise KeyboardInterrupt
    _require_selected(progress, plan)
    return progress


class Clock:
    """Tokens per second since the last reading."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin anew, for instance after a measurement."""
        self._start, self._tokens = time.perf_counter(), 0

    def count(self, tokens: int) -> None:
        """Add the tokens of a step."""
        self._tokens += tokens

    def read(self) -> float:
        """Tokens per second, then begin anew."""
        rate = self._tokens / (time.perf_counter() - self._start)
        self.restart()
        return rate


def make_optimiser(module: nn.Module, settings: OptimiserConfig) -> torch.optim.AdamW:
    """AdamW that decays matrices and leaves biases and norms alone."""
    trained = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, fused=True)


def learning_rate(step: int, steps: int, settings: OptimiserConfig) -> float:
    """Linear warm-up, then linear decay that would reach zero after the last step."""
    warmup = max(1, round(settings.warmup * steps))
    return settings.learning_rate * min((step + 1) / warmup, (steps - step) / max(1, steps - warmup))


def step_seed(seed: int, step: int) -> int:
    """Seed of the dropout of one step."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0])


def _train_step(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    batch: Batch,
    plan: Plan,
    step: int,
    accelerator: Accelerator,
    clock: Clock,
) -> dict[str, Tensor]:
    for group in optimiser.param_groups:
        group["lr"] = learning_rate(step, plan.steps, plan.optimiser)
    torch.manual_seed(step_seed(plan.seed, step))
    model.train()
    on_device = {name: part.to(accelerator.device, non_blocking=True) for name, part in batch.items()}
    losses: dict[str, Tensor] = model(**on_device)
    accelerator.backward(losses["loss"])
    norm = accelerator.clip_grad_norm_(model.parameters(), plan.optimiser.max_grad_norm)
    optimiser.step()
    optimiser.zero_grad()
    clock.count(batch["tokens"].numel())
    return {**losses, "gradient_norm": norm}


def _require_finite(losses: dict[str, Tensor], step: int) -> None:
    """Stop before a broken model is measured or saved; looked at then only, as a GPU has to wait for it."""
    for name in ("loss", "gradient_norm"):
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


def _log_losses(
    log: RunLog,
    step: int,
    losses: dict[str, Tensor],
    optimiser: torch.optim.Optimizer,
    clock: Clock,
    bar: "tqdm[None]",
) -> None:
    values = {f"train/{name}": float(value.detach()) for name, value in losses.items()}
    values["train/learning_rate"] = optimiser.param_groups[0]["lr"]
    values["train/tokens_per_second"] = clock.read()
    log.scalars(step, values)
    bar.set_postfix(loss=f"{values['train/loss']:.3f}", refresh=False)


def _measure_and_select(
    objective: Objective, module: nn.Module, measure: Measure, plan: Plan, progress: Progress, log: RunLog
) -> Progress:
    module.eval()
    threads = torch.get_num_threads()
    metrics = measure(progress.step, log)
    torch.set_num_threads(threads)  # numba, which draws UMAP, changes it, and sums with it: a resumed run would differ
    log.scalars(progress.step, metrics)
    for metric, target in plan.select.items():
        if progress.step and metrics[metric] > progress.best_value(metric):
            write_model(target, objective)
            progress = progress.with_best(metric, metrics[metric])
    return progress


def _out_of_patience(progress: Progress, plan: Plan) -> bool:
    if not plan.patience or not plan.select or not progress.best:
        return False
    first = next(iter(plan.select))
    return progress.step - progress.best_step(first) >= plan.patience * plan.evaluate_every


def _as_module(objective: Objective) -> nn.Module:
    if not isinstance(objective, nn.Module):
        raise TypeError("an objective is a torch module")
    return objective


@contextmanager
def _stop_requests() -> Iterator[Callable[[], bool]]:
    """Turn SIGINT and SIGTERM into a request that is honoured between two steps; a second one later acts at once.

    A signal that is ignored stays so. One signal may arrive twice, from a scheduler and handed on by pretrain.sh.
    """
    requested: list[float] = []

    def note(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        requested.append(time.monotonic())
        if requested[-1] - requested[0] > ONE_SIGNAL:
            raise KeyboardInterrupt

    heard = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, note) for number in heard}
    try:
        yield lambda: bool(requested)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
