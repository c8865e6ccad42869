"""Checksums: what a publisher states, what was recorded, what a file has."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, TypeGuard
from urllib.parse import unquote, urlsplit

from simcsp import storage
from simcsp.console import progress
from simcsp.download.catalogue import RemoteFile, SumsList
from simcsp.download.connection import read_text
from simcsp.errors import InputError

RECORD = "checksums.json"

_DIGITS = {"md5": 32, "git": 40, "sha256": 64}
_CHUNK = 2**20


class Record:
    """The checksums of everything that was downloaded to a folder, in its ``checksums.json``.

    Args:
        root: the folder of downloads.

    Raises:
        InputError: if the file is damaged.
    """

    def __init__(self, root: Path) -> None:
        self.path = root / RECORD
        self._entries: dict[str, dict[str, Any]] = {}
        if self.path.exists():
            try:
                self._entries = json.loads(self.path.read_text(encoding="utf-8"))
                if any(not _is_sum(f"sha256:{entry['sha256']}") for entry in self._entries.values()):
                    raise ValueError("a sha256 has 64 digits")
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                hint = "Mend it, or move it away: what is there already will then be checked anew"
                raise InputError(f"damaged record of downloads ({error})", path=self.path, hint=hint) from None

    def of(self, file: RemoteFile) -> str | None:
        """``sha256:...`` of a file that was downloaded before, also if it is no longer here."""
        entry = self._entries.get(file.target)
        return None if entry is None else f"sha256:{entry['sha256']}"

    def add(self, file: RemoteFile, sha256: str, size: int, published: str | None) -> None:
        """Write down what was downloaded."""
        self._entries[file.target] = {"sha256": sha256, "bytes": size, "url": file.url, "published": published}
        storage.write_json(self.path, dict(sorted(self._entries.items())))


def published(file: RemoteFile) -> str | None:
    """``algorithm:sum`` as its publisher states it, or None; asks the server of the list, if there is one.

    Algorithms are ``md5``, ``sha256`` and ``git``, the SHA-1 that git gives a file.

    Raises:
        InputError: if the list cannot be had, is not of its form, or has no such file.
    """
    if not isinstance(file.checksum, SumsList):
        return file.checksum
    name = PurePosixPath(unquote(urlsplit(file.url).path)).name
    try:
        stated = _FORMS[file.checksum.form](read_text(file.checksum.url)).get(name)
    except (ValueError, TypeError, KeyError, AttributeError):
        stated = None
    if not _is_sum(stated):
        hint = "The publisher may have changed it: look there, or try again later"
        raise InputError(f"this list of checksums has none of {name}", path=file.checksum.url, hint=hint)
    return stated


def sums_of(path: Path, algorithms: set[str]) -> dict[str, str]:
    """Checksums of a file's content, by algorithm."""
    size = path.stat().st_size
    digests = {name: hashlib.new("sha1" if name == "git" else name, usedforsecurity=False) for name in algorithms}
    if "git" in digests:
        digests["git"].update(f"blob {size}\0".encode())  # the header that git hashes before the content
    with path.open("rb") as stream, progress(None, f"check {path.name}", unit="B", total=size, scale=True) as bar:
        while chunk := stream.read(_CHUNK):
            for digest in digests.values():
                digest.update(chunk)
            bar.update(len(chunk))
    return {name: digest.hexdigest() for name, digest in digests.items()}


def _of_md5sums(text: str) -> dict[str, str]:
    """Lines of a sum, blanks, and a name that md5sum marks with ``*`` if read as binary."""
    rows = (line.split(maxsplit=1) for line in text.splitlines())
    return {row[1].strip().lstrip("*").removeprefix("./"): f"md5:{row[0].lower()}" for row in rows if len(row) == 2}


def _of_zenodo(text: str) -> dict[str, str]:
    return {file["key"]: file["checksum"] for file in json.loads(text)["files"]}


def _of_huggingface(text: str) -> dict[str, str]:
    """Files kept in LFS have the SHA-256 of their content, others the SHA-1 of git."""
    return {
        PurePosixPath(file["path"]).name: f"sha256:{file['lfs']['oid']}" if file.get("lfs") else f"git:{file['oid']}"
        for file in json.loads(text)
        if file["type"] == "file"
    }


_FORMS: dict[str, Callable[[str], dict[str, str]]] = {
    "md5sums": _of_md5sums,
    "zenodo": _of_zenodo,
    "huggingface": _of_huggingface,
}


def _is_sum(stated: object) -> TypeGuard[str]:
    algorithm, _, digits = str(stated).partition(":")
    return algorithm in _DIGITS and re.fullmatch(f"[0-9a-f]{{{_DIGITS[algorithm]}}}", digits) is not None
