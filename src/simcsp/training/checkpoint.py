"""Checkpoints to resume from, and models kept for their metrics."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import Self
from zipfile import BadZipFile

import torch
from safetensors import SafetensorError

from simcsp import runs
from simcsp.errors import InputError
from simcsp.model.objectives import Objective

OPTIMISER, STATE = "optimizer.pt", "state.json"
# All that readers were seen to raise on cut-off and overwritten files.
_DAMAGED = (
    OSError, RuntimeError, SafetensorError, UnpicklingError, BadZipFile, EOFError,
    AttributeError, KeyError, TypeError, ValueError,
)  # fmt: skip


@dataclass(frozen=True)
class Progress:
    """How far a training has come.

    Attributes:
        step: optimiser steps done.
        best: metric → (highest value after step 0, its step).
    """

    step: int = 0
    best: dict[str, tuple[float, int]] = field(default_factory=dict)

    def advance(self) -> Self:
        """One step further."""
        return replace(self, step=self.step + 1)

    def best_value(self, metric: str) -> float:
        """Highest value met, minus infinity before the first."""
        return self.best[metric][0] if metric in self.best else float("-inf")

    def best_step(self, metric: str) -> int:
        """Step of the highest value, 0 before the first."""
        return self.best[metric][1] if metric in self.best else 0

    def with_best(self, metric: str, value: float) -> Self:
        """A new best at the present step."""
        return replace(self, best={**self.best, metric: (value, self.step)})


def write_model(target: Path, objective: Objective) -> None:
    """Keep a model under ``target``, replacing the one there as a whole."""
    with runs.whole_folder(target) as folder:
        objective.save(folder)


def write_checkpoint(folder: Path, objective: Objective, optimiser: torch.optim.Optimizer, progress: Progress) -> Path:
    """Write ``checkpoint-<step>`` as a whole."""
    target = folder / f"checkpoint-{progress.step}"
    with runs.whole_folder(target) as partial:
        objective.save(partial)
        state = BytesIO()  # torch would not say that the disk is full
        torch.save(optimiser.state_dict(), state)
        (partial / OPTIMISER).write_bytes(state.getbuffer())
        runs.write_json(partial / STATE, {"step": progress.step, "best": progress.best})
    return target


def read_checkpoint(checkpoint: Path, objective: Objective, optimiser: torch.optim.Optimizer) -> Progress:
    """Read a checkpoint into an objective and an optimiser.

    Raises:
        InputError: if a file of it is damaged.
    """
    state = runs.read_json(checkpoint / STATE)
    try:
        objective.restore(checkpoint)
        optimiser.load_state_dict(torch.load(checkpoint / OPTIMISER, map_location="cpu", weights_only=True))
        return Progress(state["step"], {name: (value, step) for name, (value, step) in state["best"].items()})
    except _DAMAGED as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise InputError(
            f"the checkpoint is damaged ({reason})", path=checkpoint,
            hint="Delete this folder and run again; training then starts from an older checkpoint or anew",
        ) from error  # fmt: skip


def latest_checkpoint(folder: Path) -> Path | None:
    """The checkpoint with the highest step."""
    return max(_checkpoints(folder), key=lambda path: int(path.name.rsplit("-", 1)[1]), default=None)


def prune_checkpoints(folder: Path, keep: Path) -> None:
    """Delete every checkpoint but one; nothing else in the folder is touched."""
    for path in _checkpoints(folder):
        if path != keep:
            shutil.rmtree(path)


def _checkpoints(folder: Path) -> Iterator[Path]:
    return (path for path in folder.glob("checkpoint-*") if re.fullmatch(r"checkpoint-\d+", path.name))
