"""One file from a server to the disk: resumed where it broke off, verified, and only then called by its name.

While it comes, ``<file>.partial`` holds the bytes and ``<file>.partial.json`` which version of which file they are of.
"""

import http.client
import json
import os
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from simcsp import storage
from simcsp.console import progress
from simcsp.download.catalogue import RemoteFile
from simcsp.download.checksums import Record, published, sums_of
from simcsp.download.connection import PassingFaultError, RangeRefusedError, ask, length_of, persist, receive
from simcsp.errors import InputError

_CHUNK = 2**18


def fetch(file: RemoteFile, root: Path, record: Record) -> bool:
    """Bring a file to ``root / file.target``, unless it is there.

    Returns:
        Whether anything had to be fetched.

    Raises:
        InputError: if it cannot be had, if its checksum is wrong (nothing is kept then), or if another file has its
            place.
    """
    target = root / file.target
    partial = _partial_of(target)
    expected = record.of(file) or published(file)
    if target.exists():
        _require_same(file, target, expected, record)
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    persist(lambda: _transfer(file.url, partial, checked=expected is not None), lambda: _size(partial))
    _refuse_web_page(file.url, partial)
    sha256 = _verify(file, partial, expected, record)
    # The record comes first, so that a file that has its name also has its entry, whenever the process ends.
    if record.of(file) is None:
        record.add(file, sha256, _size(partial), expected)
    partial.replace(target)
    _note_of(partial).unlink(missing_ok=True)
    return True


def begun_bytes(target: Path) -> int:
    """Bytes of a file that an earlier, interrupted download left."""
    return _size(_partial_of(target))


def require_space(folder: Path, needed: int) -> None:
    """Check that a disk has room for ``needed`` more bytes.

    Raises:
        InputError: if it has not.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        problem = f"{in_words(needed)} are needed on this disk, {in_words(free)} are free"
        raise InputError(problem, path=folder, hint="Free some space, or give a folder on another disk with --root")


def in_words(size: int) -> str:
    """Bytes with a unit: ``218 MB``."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.{0 if size >= 10 * factor else 1}f} {unit}"
    return f"{size} bytes"


@dataclass(frozen=True)
class _Note:
    """Of what file a partial one is a part.

    Attributes:
        url: address.
        version: ETag or date that tells one version of the file from the next, if the server says so.
        total: bytes of the whole file, if the server says so.
    """

    url: str
    version: str | None
    total: int | None


def _transfer(url: str, partial: Path, *, checked: bool) -> None:
    """One try: everything that is missing, or a fault that may pass with some more of it."""
    note = _read_note(partial, url)
    have = 0 if note is None else _size(partial)
    if note is not None and have == note.total:
        return
    headers = {"Range": f"bytes={have}-", "If-Range": note.version} if note and note.version and have else {}
    try:
        answer = ask(url, headers)
    except RangeRefusedError:
        partial.unlink(missing_ok=True)
        raise PassingFaultError(f"{url} is another file than before") from None
    with answer:
        _refuse_type(url, answer)
        if answer.status == http.client.PARTIAL_CONTENT:
            note = _same_file(url, answer, note, partial)
        else:  # from the start: a new download, another version of the file, or a server that knows no ranges
            have, note = 0, _first_note(url, answer, checked=checked)
            partial.write_bytes(b"")
            storage.write_json(_note_of(partial), asdict(note))
        _write(url, answer, partial, have, note.total)


def _write(url: str, answer: http.client.HTTPResponse, partial: Path, have: int, total: int | None) -> None:
    if total is not None:
        require_space(partial.parent, total - have)
    name = partial.name.removesuffix(".partial")
    with (
        partial.open("ab") as stream,
        progress(None, name, unit="B", start=have, total=total, scale=True) as bar,
    ):
        while have != total and (chunk := receive(url, answer, _CHUNK if total is None else min(_CHUNK, total - have))):
            stream.write(chunk)
            have += len(chunk)
            bar.update(len(chunk))
        stream.flush()
        os.fsync(stream.fileno())
    if total is not None and have < total:
        raise PassingFaultError(f"{url}: the connection broke after {have:,} of {total:,} bytes")


def _same_file(url: str, answer: http.client.HTTPResponse, note: _Note | None, partial: Path) -> _Note:
    """The note, if a partial answer begins where the file on the disk ends, and is of the same version.

    A server may know ranges and not If-Range.
    """
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
    goes_on = found is not None and int(found[1]) == _size(partial)
    if note and found and goes_on and found[2] in (str(note.total), "*") and _version(answer) in (note.version, None):
        return note
    partial.unlink(missing_ok=True)
    raise PassingFaultError(f"{url} is another file than before")


def _first_note(url: str, answer: http.client.HTTPResponse, *, checked: bool) -> _Note:
    total = length_of(answer)
    if total is None and not answer.chunked and not checked:
        hint = "Fetch it by hand and compare its size with the publisher's"
        raise InputError(
            "neither length nor checksum is known, so a part could pass for the whole", path=url, hint=hint
        )
    return _Note(url, _version(answer), total)


def _version(answer: http.client.HTTPResponse) -> str | None:
    """A strong ETag, or the date of the last change; a weak ETag does not promise the same bytes (RFC 9110, 13.1.5)."""
    etag = answer.headers.get("ETag", "")
    return etag if etag.startswith('"') else answer.headers.get("Last-Modified")


def _read_note(partial: Path, url: str) -> _Note | None:
    """The note beside a partial file, if it allows to go on with it."""
    try:
        note = _Note(**json.loads(_note_of(partial).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return note if note.url == url and note.version and note.total and partial.exists() else None


def _partial_of(target: Path) -> Path:
    return target.with_name(f"{target.name}.partial")


def _note_of(partial: Path) -> Path:
    return partial.with_name(f"{partial.name}.json")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _refuse_type(url: str, answer: http.client.HTTPResponse) -> None:
    if answer.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
        raise _web_page(url)
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise InputError("the server sends the file compressed, though asked not to", path=url)


def _refuse_web_page(url: str, partial: Path) -> None:
    with partial.open("rb") as stream:
        opening = stream.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if opening.startswith((b"<!doctype html", b"<html")):
        _discard(partial)
        raise _web_page(url)


def _web_page(url: str) -> InputError:
    hint = "The file may have moved, or may need a login: open the address in a browser"
    return InputError("the server sends a web page instead of the file", path=url, hint=hint)


def _verify(file: RemoteFile, partial: Path, expected: str | None, record: Record) -> str:
    """The SHA-256 of a complete file with the expected checksum."""
    algorithm, _, wanted = (expected or "").partition(":")
    sums = sums_of(partial, {"sha256", *({algorithm} if algorithm else ())})
    if algorithm and sums[algorithm] != wanted:
        _discard(partial)
        if record.of(file):
            source = f"recorded in {record.path.name} at the first download"
            hint = f"The file has changed at {file.url}. To accept the new one, delete its entry in {record.path}"
        else:
            source = "published"
            hint = "Nothing was kept. Run the same command again; if this happens again, the publisher must mend it"
        problem = f"wrong {algorithm} of the download: {sums[algorithm]}, {source}: {wanted}"
        raise InputError(problem, path=file.target, hint=hint)
    return sums["sha256"]


def _require_same(file: RemoteFile, target: Path, expected: str | None, record: Record) -> None:
    """Check a file that is there already; it is never overwritten."""
    away = "Move it away and run the same command again"
    if expected is None:
        raise InputError("this file was not downloaded here, and no checksum is known", path=target, hint=away)
    algorithm, _, wanted = expected.partition(":")
    sums = sums_of(target, {"sha256", algorithm})
    if sums[algorithm] != wanted:
        raise InputError(f"this file has {algorithm} {sums[algorithm]}, expected {wanted}", path=target, hint=away)
    if record.of(file) is None:
        record.add(file, sums["sha256"], _size(target), expected)


def _discard(partial: Path) -> None:
    partial.unlink(missing_ok=True)
    _note_of(partial).unlink(missing_ok=True)
