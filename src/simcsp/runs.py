"""Folders that stages write: complete records, and outputs that are never mistaken for others.

A stage folder holds ``record.json`` (settings, inputs, environment) from before its first step, and
``done.json`` once it has finished. A stage that finds its own finished output does nothing; one that finds its
own unfinished output goes on; one that finds somebody else's refuses and names the settings that differ.
"""

import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum, auto
from importlib import metadata
from pathlib import Path
from textwrap import shorten
from typing import Any

from simcsp import __version__
from simcsp.errors import NO_ROOM, InputError
from simcsp.storage import clear_unfinished, finite, flush_to_disk, read_json, write_json

ROOT = Path(__file__).resolve().parents[2]
RECORD, DONE = "record.json", "done.json"
PREDICTIONS, EMBEDDINGS, TRANSFER = "predictions.parquet", "test_embeddings.npz", "transfer.parquet"  # of a fold
SCORES, LAYERS, LAYOUT = "scores.csv", "layers.csv", "layout.csv"  # of encoders, the first of the evaluation, too
LAYER_LAYOUTS = "layer_layouts.csv"  # of encoders
METRICS = "metrics.jsonl"  # of a training
TRANSFERRED, CONFIG = "transfer.csv", "config.json"  # of the evaluation: scores on other species, resolved settings
_NAMED = 6  # differences in an error
_LIBRARIES = (
    "torch",
    "transformers",
    "accelerate",
    "datasets",
    "numpy",
    "scikit-learn",
    "scipy",
    "umap-learn",
    "igraph",
    "optuna",
)


class State(Enum):
    """What a stage finds where it wants to write."""

    NEW = auto()
    UNFINISHED = auto()
    FINISHED = auto()


def run_folder(run: str) -> Path:
    """The folder of a run."""
    return ROOT / "runs" / run


def prepared_folder(name: str) -> Path:
    """The folder of a prepared set."""
    return ROOT / "data" / "prepared" / name


def nearest_existing(folder: Path) -> Path:
    """The folder or, until it is made, the nearest one above it: where what is written into it will lie."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def lock(folder: Path) -> None:
    """Keep every other process out of a folder until this one ends, and clear what a killed one was writing.

    Raises:
        InputError: if another process is at work there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR)  # never closed: that would release it
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise InputError("another process is writing here", path=folder, hint="Wait for it, or end it") from None
    clear_unfinished(folder)


def open_stage(folder: Path, settings: dict[str, Any], inputs: dict[str, str]) -> State:
    """Claim a folder for a stage and write its record.

    Args:
        folder: where the stage writes.
        settings: everything in the configuration that changes the stage's output.
        inputs: name → hash of what it reads.

    Raises:
        InputError: if the folder holds the output of other settings, inputs or another version.
    """
    wanted = _wanted(settings, inputs)
    if (state := _state(folder)) is State.NEW:
        write_json(folder / RECORD, {**wanted, "environment": environment()})
    else:
        _refuse_others(folder, wanted, _hint(folder))
    return state


def peek_stage(folder: Path, settings: dict[str, Any], inputs: dict[str, str]) -> State:
    """What :func:`open_stage` would find in a folder; nothing is written.

    Inputs that are left out, such as large files that would have to be hashed, are taken to be those of the record.

    Raises:
        InputError: as :func:`open_stage` does.
    """
    if (state := _state(folder)) is not State.NEW:
        _refuse_others(folder, _wanted(settings, read_json(folder / RECORD).get("inputs", {}) | inputs), _hint(folder))
    return state


def finished_stage(folder: Path, settings: dict[str, Any]) -> str:
    """Vouch for the output of an earlier stage.

    Returns:
        A hash of all that went into it, for the record of the stage that reads it.

    Raises:
        InputError: if the stage has not finished, or was run with other settings.
    """
    if not (folder / DONE).exists():
        found = "has not finished" if folder.exists() else "has not been run"
        raise InputError(
            f"this stage {found}", path=folder, hint="Run pretrain.sh, and then finetune.sh, with this configuration"
        )
    _refuse_others(
        folder,
        {"version": __version__, "settings": finite(settings)},
        "Give the settings that it was made with: what stands behind the configuration belongs there in every command",
    )
    record = read_json(folder / RECORD)
    text = json.dumps([record["version"], record["settings"], record["inputs"]], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def discarded_on_error(folder: Path) -> Iterator[None]:
    """Remove the folder of a stage whose input is wrong, or that finds no room: it can then be tried again at once."""
    try:
        yield
    except (InputError, OSError) as error:
        if isinstance(error, InputError) or error.errno in NO_ROOM:
            shutil.rmtree(folder, ignore_errors=True)
        raise


@contextmanager
def unclaimed_on_error(folder: Path) -> Iterator[None]:
    """Remove the folder of a stage that stops before it has written anything but its record."""
    try:
        yield
    except InputError:
        if {path.name for path in folder.glob("[!.]*")} <= {RECORD}:
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):  # other stages of the run are there
                folder.parent.rmdir()
        raise


def close_stage(folder: Path, summary: dict[str, Any]) -> None:
    """Mark the stage in ``folder`` as finished, once all of it is on the disk."""
    for path in folder.rglob("[!.]*"):
        flush_to_disk(path)
    write_json(folder / DONE, summary)


def environment() -> dict[str, Any]:
    """What the numbers depend on besides settings and inputs."""
    return {
        "command": " ".join(sys.argv),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "code": _git_state(),
        "libraries": {name: metadata.version(name) for name in _LIBRARIES},
    }


def _git_state() -> str:
    def git(*arguments: str) -> str:
        return subprocess.run(  # noqa: S603
            ["git", "-C", str(ROOT), *arguments],  # noqa: S607
            capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + (" with local changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "not a git checkout"


def _wanted(settings: dict[str, Any], inputs: dict[str, str]) -> dict[str, Any]:
    """What a stage compares with the record of its folder."""
    return {"version": __version__, "settings": finite(settings), "inputs": inputs}


def _state(folder: Path) -> State:
    """What is in a folder: a record alone is of a stage that wrote nothing.

    Raises:
        InputError: if there are files and no record.
    """
    outputs = {path.name for path in folder.glob("[!.]*")} - {RECORD}
    if not outputs:
        return State.NEW
    if not (folder / RECORD).exists():
        raise InputError(
            f"holds files that this command did not write ({RECORD} is missing)", path=folder,
            hint="Choose another folder (--output, --run or --data.name), or move them away",
        )  # fmt: skip
    return State.FINISHED if (folder / DONE).exists() else State.UNFINISHED


def _hint(folder: Path) -> str:
    """What to do about a folder that holds other output than that which is to be written."""
    if folder.is_relative_to(ROOT / "runs"):
        another = f"another --run{' without --pretrained' if folder.name in {'pretrain', 'encoders'} else ''}"
    else:
        another = "another --data.name" if folder.is_relative_to(ROOT / "data" / "prepared") else "another folder"
    return f"Give the settings that it was made with, choose {another}, or delete this folder"


def _refuse_others(folder: Path, wanted: dict[str, Any], hint: str) -> None:
    found = read_json(folder / RECORD)
    differences = sorted(_differences({key: found.get(key) for key in wanted}, wanted))
    if differences:
        named = differences[:_NAMED]
        if more := len(differences) - len(named):
            named.append(f"and {more} more")
        raise InputError(f"holds the output of other settings: {'; '.join(named)}", path=folder, hint=hint)


def _differences(found: Any, wanted: Any, name: str = "") -> Iterator[str]:
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in sorted(set(found) | set(wanted)):
            yield from _differences(found.get(key), wanted.get(key), f"{name}.{key}".lstrip("."))
    elif found != wanted:
        yield f"{name} was {_short(found)}, now {_short(wanted)}"


def _short(value: Any) -> str:
    """A value in a sentence; lists of sources and the like are long."""
    return shorten(str(value), 60, placeholder=" …") if isinstance(value, list | dict) else str(value)
