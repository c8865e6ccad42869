"""Folders that stages write: complete records, atomic files, and outputs that are never mistaken for others.

A stage folder holds ``record.json`` (settings, inputs, environment) from before its first step, and
``done.json`` once it has finished. A stage that finds its own finished output does nothing; one that finds its
own unfinished output goes on; one that finds somebody else's refuses and names the settings that differ.
"""

import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum, auto
from importlib import metadata
from pathlib import Path
from typing import Any

from simcsp import __version__
from simcsp.errors import NO_ROOM, InputError

ROOT = Path(__file__).resolve().parents[2]
RECORD, DONE = "record.json", "done.json"
CHECKSUMS = "SHA256SUMS"
PREDICTIONS, EMBEDDINGS, TRANSFER = "predictions.parquet", "test_embeddings.npz", "transfer.parquet"  # of a fold
SCORES, LAYERS, LAYOUT = "scores.csv", "layers.csv", "layout.csv"  # of encoders, the first of the evaluation, too
LAYER_LAYOUTS = "layer_layouts.csv"  # of encoders
METRICS = "metrics.jsonl"  # of a training
TRANSFERRED, CONFIG = "transfer.csv", "config.json"  # of the evaluation: scores on other species, resolved settings
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


def existing(folder: Path) -> Path:
    """The folder or, until it is made, the nearest one above it: where what is written into it will lie."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def sha256(path: Path) -> str:
    """Hash of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_checksums(folder: Path) -> None:
    """Write the hashes of the files in a folder to ``SHA256SUMS``, which ``sha256sum --check`` reads, too."""
    files = (path for path in sorted(folder.iterdir()) if path.is_file() and path.name != CHECKSUMS)
    lines = [f"{sha256(path)}  {path.name}\n" for path in files]
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")


def damaged_files(folder: Path) -> list[str]:
    """Files that are missing or not as they were written, by ``SHA256SUMS``; that file itself if it is damaged."""
    try:
        lines = (folder / CHECKSUMS).read_text(encoding="ascii").splitlines()
    except (FileNotFoundError, UnicodeDecodeError):
        lines = []
    stated = [re.fullmatch(r"([0-9a-f]{64})  ([^/]+)", line) for line in lines]
    if not stated or None in stated:
        return [CHECKSUMS]
    files = {match[2]: match[1] for match in stated if match}
    return [name for name, digest in files.items() if not _has_hash(folder / name, digest)]


def _has_hash(path: Path, digest: str) -> bool:
    return path.is_file() and sha256(path) == digest


def write_text(path: Path, text: str) -> None:
    """Write a file so that it is either the old one or the new one, never a part."""
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a name to write under; the file takes its place, on the disk, only if the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        flush_to_disk(partial)
        partial.replace(path)
        flush_to_disk(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def flush_to_disk(path: Path) -> None:
    """Wait until a file, or the list of names in a folder, would survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically; numbers that are not finite are refused by the reader, so they become null."""
    write_text(path, json.dumps(finite(content), indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        InputError: if the file is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError("no such file", path=path, hint="Run the stage that writes it first") from None
    except ValueError as error:  # no JSON, or no text at all
        raise InputError(
            f"damaged JSON ({error})", path=path, hint="Delete the folder it is in and run again"
        ) from None


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Give an empty folder to fill; it takes the place of ``target`` only if the block ends without an error.

    All of it is on the disk before it takes its place, so a power cut leaves the old folder or the new one.
    """
    partial, old = (target.with_name(f".{target.name}.{end}") for end in ("partial", "old"))
    _put_back(old, target)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        for path in (*partial.rglob("*"), partial):
            flush_to_disk(path)
        if target.exists():
            target.rename(old)
        partial.rename(target)
        flush_to_disk(target.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        _put_back(old, target)


def _put_back(old: Path, target: Path) -> None:
    """End a replacement of ``target``, wherever it was interrupted."""
    if old.exists() and not target.exists():
        old.rename(target)
    shutil.rmtree(old, ignore_errors=True)


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
    for old in [*folder.rglob(".*.old")]:
        _put_back(old, old.with_name(old.name.removeprefix(".").removesuffix(".old")))
    for path in folder.rglob(".*.partial"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def open_stage(folder: Path, settings: dict[str, Any], inputs: dict[str, str]) -> State:
    """Claim a folder for a stage and write its record.

    Args:
        folder: where the stage writes.
        settings: everything in the configuration that changes the stage's output.
        inputs: name → hash of what it reads.

    Raises:
        InputError: if the folder holds the output of other settings, inputs or another version.
    """
    wanted = {"version": __version__, "settings": finite(settings), "inputs": inputs}
    outputs = {path.name for path in folder.glob("[!.]*")} - {RECORD}
    if not outputs:
        write_json(folder / RECORD, {**wanted, "environment": environment()})
        return State.NEW
    if not (folder / RECORD).exists():
        raise InputError(f"holds files but no {RECORD}", path=folder, hint="Give another name, or move them away")
    _refuse_others(folder, wanted)
    return State.FINISHED if (folder / DONE).exists() else State.UNFINISHED


def peek_stage(folder: Path, settings: dict[str, Any], inputs: dict[str, str]) -> tuple[State, list[str]]:
    """What a stage would find in a folder, and how it differs from what the folder was made with; nothing is written.

    ``inputs`` may be a part of those that the stage reads.
    """
    if not (folder / RECORD).exists():
        return State.NEW, []
    state = State.FINISHED if (folder / DONE).exists() else State.UNFINISHED
    wanted = {"version": __version__, "settings": finite(settings), "inputs": inputs}
    record = read_json(folder / RECORD)
    found = {key: record.get(key) for key in wanted}
    found["inputs"] = {name: hash_ for name, hash_ in (found["inputs"] or {}).items() if name in inputs}
    return state, sorted(_differences(found, wanted))


def finished_stage(folder: Path, settings: dict[str, Any]) -> str:
    """Vouch for the output of an earlier stage.

    Returns:
        A hash of all that went into it, for the record of the stage that reads it.

    Raises:
        InputError: if the stage has not finished, or was run with other settings.
    """
    if not (folder / DONE).exists():
        raise InputError("this stage has not finished", path=folder, hint="pretrain.sh and finetune.sh run all of them")
    _refuse_others(folder, {"version": __version__, "settings": finite(settings)})
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


def finite(value: Any) -> Any:
    """A copy that survives JSON unchanged: tuples as lists, NaN and infinity as null."""
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value


def _refuse_others(folder: Path, wanted: dict[str, Any]) -> None:
    found = read_json(folder / RECORD)
    differences = sorted(_differences({key: found.get(key) for key in wanted}, wanted))
    if differences:
        raise InputError(
            f"holds the output of other settings: {'; '.join(differences[:6])}",
            path=folder,
            hint="Choose another --run (or --data.name), or delete this folder",
        )


def _differences(found: Any, wanted: Any, name: str = "") -> Iterator[str]:
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in sorted(set(found) | set(wanted)):
            yield from _differences(found.get(key), wanted.get(key), f"{name}.{key}".lstrip("."))
    elif found != wanted:
        yield f"{name} was {found}, now {wanted}"
