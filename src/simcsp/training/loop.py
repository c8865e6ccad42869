"""The training loop of every stage.

Weights, optimiser state and the step are all a checkpoint holds: batches, dropout and learning rate are functions
of (seed, step), so a run that was killed and resumed ends in the same bits on the same CPU.
"""

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import nn
from tqdm import tqdm
from transformers.modeling_layers import GradientCheckpointingLayer

from simcsp.config import OptimiserConfig
from simcsp.console import skip
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
from simcsp.training.gradients import Backward, Losses, in_one_pass
from simcsp.training.log import RunLog
from simcsp.training.prefetch import prefetched
from simcsp.training.throughput import Meter

LOG_EVERY = 10
_NORM = "gradient_norm"
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
    module = _as_module(objective).to(accelerator.device)
    if plan.compile:
        _compile_layers(module)
    optimiser = make_optimiser(module, plan.optimiser)
    found = latest_checkpoint(folder)
    progress = Progress() if found is None else read_checkpoint(found, objective, optimiser)
    accelerator.free_memory()  # it would keep the models and optimisers of earlier trainings
    accelerator.wait_for_everyone()  # before the checkpoint that all have read is pruned
    model, optimiser = accelerator.prepare(module, optimiser)
    skip(bar, progress.step)
    meter = Meter(module, accelerator)
    with (
        _log_of_main_process(folder, progress.step, accelerator) as log,
        _stop_requests(accelerator) as stop_requested,
        prefetched(batch_at, plan.steps, accelerator.device) as batch_of,
    ):
        if progress.step == 0:
            progress = _measure_and_select(objective, module, measure, plan, progress, log, accelerator)
        meter.restart()
        while progress.step < plan.steps and not _out_of_patience(progress, plan):
            started = time.perf_counter()
            batch = batch_of(progress.step)
            meter.waited(time.perf_counter() - started)
            losses = _train_step(model, optimiser, batch, plan, progress.step, accelerator, backward)
            for part in batch.keys() & {"tokens", "pairs"}:  # none if a frozen encoder has seen them before
                meter.count(batch[part])
            progress = progress.advance()
            bar.update()
            last = progress.step == plan.steps
            note = progress.step % LOG_EVERY == 0
            look = progress.step % plan.evaluate_every == 0 or last
            stop = stop_requested(agree=note or accelerator.device.type == "cpu")  # a GPU would have to be waited for
            save = progress.step % plan.save_every == 0 or last or stop
            if look or save or note:
                losses = _over_processes(losses, accelerator)
                _require_finite(losses, progress.step)
            if note and log:
                _log_losses(log, progress.step, losses, optimiser, meter, bar)
            if look:
                progress = _measure_and_select(objective, module, measure, plan, progress, log, accelerator)
                meter.restart()
            if save and log:
                prune_checkpoints(folder, keep=write_checkpoint(folder, objective, optimiser, progress))
            if stop:
                accelerator.wait_for_everyone()  # until the checkpoint is whole
                raise KeyboardInterrupt
    accelerator.wait_for_everyone()  # before others read what the main process wrote
    _require_selected(progress, plan)
    return progress


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


def _train_step(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    batch: Batch,
    plan: Plan,
    step: int,
    accelerator: Accelerator,
    backward: Backward,
) -> Losses:
    """One step of the optimiser; gives this process's share of each loss, and of the norm of the gradient."""
    for group in optimiser.param_groups:
        group["lr"] = learning_rate(step, plan.steps, plan.optimiser)
    model.train()
    losses = backward(model, batch, accelerator, plan.seed, step)
    norm = accelerator.clip_grad_norm_(model.parameters(), plan.optimiser.max_grad_norm)
    optimiser.step()
    optimiser.zero_grad()
    return {**losses, _NORM: norm / accelerator.num_processes}  # which every process knows


def _over_processes(losses: Losses, accelerator: Accelerator) -> Losses:
    """Add up the shares of all processes."""
    if accelerator.num_processes == 1:
        return losses
    shares = torch.stack([value.detach().float() for value in losses.values()])
    return dict(zip(losses, accelerator.reduce(shares, "sum"), strict=True))


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


def _log_losses(
    log: RunLog,
    step: int,
    losses: Losses,
    optimiser: torch.optim.Optimizer,
    meter: Meter,
    bar: "tqdm[None]",
) -> None:
    values = {f"train/{name}": float(value.detach()) for name, value in losses.items()}
    values["train/learning_rate"] = optimiser.param_groups[0]["lr"]
    log.scalars(step, {**values, **meter.read()})
    bar.set_postfix(loss=f"{values['train/loss']:.3f}", refresh=False)


def _measure_and_select(
    objective: Objective,
    module: nn.Module,
    measure: Measure,
    plan: Plan,
    progress: Progress,
    log: RunLog | None,
    accelerator: Accelerator,
) -> Progress:
    """Measure in the main process, which has the log; all get to know what came out."""
    module.eval()
    found: list[dict[str, float]] = [{}]
    if log:
        threads = torch.get_num_threads()
        found = [measure(progress.step, log)]
        torch.set_num_threads(threads)  # numba, which draws UMAP, changes it, and a resumed run would sum differently
        log.scalars(progress.step, found[0])
    (metrics,) = broadcast_object_list(found) if accelerator.num_processes > 1 else found
    if log and plan.keep and progress.step:
        write_model(plan.keep.with_name(f"{plan.keep.name}-{progress.step}"), objective)
    for metric, target in plan.select.items():
        if progress.step and metrics[metric] > progress.best_value(metric):
            if log:
                write_model(target, objective)
            progress = progress.with_best(metric, metrics[metric])
    return progress


def _out_of_patience(progress: Progress, plan: Plan) -> bool:
    if not plan.patience or not plan.select or not progress.best:
        return False
    first = next(iter(plan.select))
    return progress.step - progress.best_step(first) >= plan.patience * plan.evaluate_every


def _compile_layers(module: nn.Module) -> None:
    """Layer by layer: all have one code, so that it is compiled once, and what is between them stays as it is."""
    for child in module.modules():
        if isinstance(child, GradientCheckpointingLayer):
            child.compile()


def _as_module(objective: Objective) -> nn.Module:
    if not isinstance(objective, nn.Module):
        raise TypeError("an objective is a torch module")
    return objective


def _log_of_main_process(
    folder: Path, step: int, accelerator: Accelerator
) -> AbstractContextManager[RunLog] | nullcontext[None]:
    return RunLog(folder, step) if accelerator.is_main_process else nullcontext()


@contextmanager
def _stop_requests(accelerator: Accelerator) -> Iterator[Callable[..., bool]]:
    """Turn SIGINT and SIGTERM into a request that is honoured between two steps; a second one later acts at once.

    A signal that is ignored stays so. One signal may arrive twice, from a scheduler and handed on by pretrain.sh.
    Several processes must stop at the same step, so there the function that this gives says no except where all of
    them ask with ``agree``; and a second signal is their launcher's, which repeats it.
    """
    requested: list[float] = []

    def note(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        requested.append(time.monotonic())
        if requested[-1] - requested[0] > ONE_SIGNAL and accelerator.num_processes == 1:
            raise KeyboardInterrupt

    def stop_requested(*, agree: bool) -> bool:
        if accelerator.num_processes == 1:
            return bool(requested)
        if not agree:
            return False
        return bool(accelerator.reduce(torch.tensor(float(len(requested)), device=accelerator.device), "sum") > 0)

    heard = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, note) for number in heard}
    try:
        yield stop_requested
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
