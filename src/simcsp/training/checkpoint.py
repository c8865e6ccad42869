"""Checkpoints to resume from, and models kept for their metrics; each folder carries the hashes of its files."""

import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Self

import torch

from simcsp import runs, storage
from simcsp.errors import InputError
from simcsp.model.objectives import Objective

OPTIMISER, STATE = "optimizer.pt", "state.json"


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
    with storage.whole_folder(target) as folder:
        objective.save(folder)
        storage.write_checksums(folder)


def read_model(folder: Path, objective: Objective) -> None:
    """Read a model written by :func:`write_model`.

    Raises:
        InputError: if a file of it is damaged.
    """
    _require_intact(folder, "Delete the folder it is in and run again; that training is then repeated")
    objective.restore(folder)


def write_checkpoint(folder: Path, objective: Objective, optimiser: torch.optim.Optimizer, progress: Progress) -> Path:
    """Write ``checkpoint-<step>`` as a whole, once what was logged up to this step is on the disk."""
    if (folder / runs.METRICS).exists():
        storage.flush_to_disk(folder / runs.METRICS)
    target = folder / f"checkpoint-{progress.step}"
    with storage.whole_folder(target) as partial:
        objective.save(partial)
        state = BytesIO()  # torch would not say that the disk is full
        torch.save(optimiser.state_dict(), state)
        (partial / OPTIMISER).write_bytes(state.getbuffer())
        storage.write_json(partial / STATE, {"step": progress.step, "best": progress.best})
        storage.write_checksums(partial)
    return target


def read_checkpoint(checkpoint: Path, objective: Objective, optimiser: torch.optim.Optimizer) -> Progress:
    """Read a checkpoint into an objective and an optimiser.

    Raises:
        InputError: if a file of it is damaged. An older checkpoint is not taken in its place without being asked.
    """
    older = _latest(path for path in _checkpoints(checkpoint.parent) if path != checkpoint)
    start = f"goes on from {older.name}" if older else "starts anew"
    _require_intact(checkpoint, f"Delete this folder and run again; training then {start}")
    objective.restore(checkpoint)
    optimiser.load_state_dict(torch.load(checkpoint / OPTIMISER, map_location="cpu", weights_only=True))
    state = storage.read_json(checkpoint / STATE)
    return Progress(state["step"], {name: (value, step) for name, (value, step) in state["best"].items()})


def latest_checkpoint(folder: Path) -> Path | None:
    """The checkpoint with the highest step."""
    return _latest(_checkpoints(folder))


def prune_checkpoints(folder: Path, keep: Path) -> None:
    """Delete every checkpoint but one; nothing else in the folder is touched."""
    for path in _checkpoints(folder):
        if path != keep:
            shutil.rmtree(path)


def _latest(checkpoints: Iterable[Path]) -> Path | None:
    return max(checkpoints, key=lambda path: int(path.name.rsplit("-", 1)[1]), default=None)


def _require_intact(folder: Path, hint: str) -> None:
    if damaged := storage.damaged_files(folder):
        raise InputError(f"missing or not as it was written: {', '.join(damaged)}", path=folder, hint=hint)


def _checkpoints(folder: Path) -> Iterator[Path]:
    return (path for path in folder.glob("checkpoint-*") if re.fullmatch(r"checkpoint-\d+", path.name))
