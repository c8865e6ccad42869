"""Files and folders that are there as a whole or not at all, and hashes that tell if they are as they were written.

What is written has another name until it is complete and on the disk. What a killed process was writing is told by
these names, ``.<name>.….partial`` and ``.<name>.old``.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from simcsp.errors import InputError

CHECKSUMS = "SHA256SUMS"


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


def clear_unfinished(folder: Path) -> None:
    """Clear what a killed process was writing anywhere in a folder, and put back what it was replacing."""
    for old in [*folder.rglob(".*.old")]:
        _put_back(old, old.with_name(old.name.removeprefix(".").removesuffix(".old")))
    for path in folder.rglob(".*.partial"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _put_back(old: Path, target: Path) -> None:
    """End a replacement of ``target``, wherever it was interrupted."""
    if old.exists() and not target.exists():
        old.rename(target)
    shutil.rmtree(old, ignore_errors=True)


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


def finite(value: Any) -> Any:
    """A copy that survives JSON unchanged: tuples as lists, NaN and infinity as null."""
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value


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
