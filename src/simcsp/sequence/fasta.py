"""Contigs of a FASTA file, indexed by pyfaidx and read by slices."""

import gzip
import hashlib
import os
import shutil
import weakref
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import pyfaidx

from simcsp.errors import InputError
from simcsp.sequence.alphabet import Tokens, encode
from simcsp.tally import Tally

_GZIP = b"\x1f\x8b"
_PEEK = 1 << 16  # bytes looked at to tell DNA from something else
_DNA_SHARE = 0.95  # protein and text have far fewer letters of the nucleotide code


class Genome:
    """One FASTA file, plain, gzip or bgzip; positions are 0-based half-open.

    A compressed file is unpacked once into ``cache``, and the index is kept there too, so the folder of the
    FASTA may be read-only.

    Args:
        path: the FASTA file.
        cache: folder for the unpacked copy and the index.

    Raises:
        InputError: if the file is missing, empty, truncated, has duplicate names or a record without sequence,
            or does not hold DNA.
    """

    def __init__(self, path: Path, cache: Path) -> None:
        self.path = path
        check_is_dna(path)
        plain = _unpacked(path, cache)
        try:
            index = _indexed(plain, path, cache)
        except InputError:
            if plain != path:
                plain.unlink(missing_ok=True)
            raise
        with pyfaidx.Faidx(str(plain), indexname=str(index)) as faidx:
            self._index: dict[str, pyfaidx.IndexRecord] = dict(faidx.index)
        # Read by place and without a position of its own, so that forked processes may share it.
        self._file = os.open(plain, os.O_RDONLY)
        self._closed = weakref.finalize(self, os.close, self._file)
        self.lengths: dict[str, int] = {name: record.rlen for name, record in self._index.items()}

    def fetch(self, contig: str, start: int, end: int) -> bytes:
        """Letters of ``contig[start:end]`` as written in the file, line ends left out.

        pyfaidx gives the same through Python strings, at a fifth of the speed.
        """
        record = self._index[contig]
        first, last = (
            record.offset + position // record.lenc * record.lenb + position % record.lenc for position in (start, end)
        )
        return _read_at(self._file, first, last).translate(None, b"\r\n")

    def close(self) -> None:
        """Release the file."""
        self._closed()


def nucleotides(letters: bytes, tally: Tally, *, path: Path, line: int | None = None, contig: str = "") -> Tokens:
    """Encode letters of a file; ambiguous ones are counted in ``tally``.

    Args:
        letters: of one record or a part of one.
        tally: of the reader.
        path: the file, for errors.
        line: where the record begins, for errors.
        contig: name of the record, for errors.

    Raises:
        InputError: if a letter is no nucleotide code.
    """
    encoded = encode(letters)
    if encoded.unknown:
        where = f" of contig {contig}" if contig else ""
        raise InputError(f"{encoded.unknown:,} letters{where} are no nucleotide code", path=path, line=line)
    if encoded.ambiguous:
        tally.changed["ambiguous letters read as N"] += encoded.ambiguous
    return encoded.tokens


def check_is_dna(path: Path) -> None:
    """Look at the beginning of a FASTA file and refuse what is not DNA.

    Raises:
        InputError: names the file and what it seems to be.
    """
    with open_bytes(path) as stream:
        head = _read(stream, _PEEK, path)
    if not head.strip():
        raise InputError("the file is empty", path=path)
    if head.lstrip()[:1] == b"<":
        raise InputError("this is HTML, not FASTA", path=path, hint="Probably a failed download; fetch it again")
    if head[:1] != b">":
        raise InputError("a FASTA file begins with '>'", path=path, line=1)
    letters = b"".join(line.strip() for line in head.splitlines() if not line.startswith(b">"))
    if not letters:
        raise InputError("the first record has no sequence", path=path)
    if 1 - encode(letters).unknown / len(letters) < _DNA_SHARE:
        raise InputError("the sequence is not DNA (protein?)", path=path, hint="Give a genomic FASTA")


def open_bytes(path: Path) -> BinaryIO:
    """Open a plain or gzip file for reading bytes; the content decides, not the name.

    Raises:
        InputError: if the file is missing or is a folder.
    """
    if not path.exists():
        raise InputError("no such file", path=path)
    if path.is_dir():
        raise InputError("this is a folder, a file is needed", path=path)
    try:
        packed = _is_gzip(path)
    except PermissionError as error:
        raise InputError("the file cannot be read (permission denied)", path=path) from error
    return cast("BinaryIO", gzip.open(path)) if packed else path.open("rb")


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines of a plain or gzip text file with their 1-based numbers; CRLF and a leading BOM are accepted.

    Raises:
        InputError: if the file is missing, truncated or not UTF-8.
    """
    number = 0
    with open_bytes(path) as stream:
        while True:
            number += 1
            try:
                raw = stream.readline()
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise _truncated(path) from error
            except UnicodeDecodeError as error:
                raise InputError("not UTF-8 text", path=path, line=number) from error
            if not raw:
                return
            yield number, line.rstrip("\r\n")


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(_GZIP)) == _GZIP


def _read(stream: BinaryIO, size: int, path: Path) -> bytes:
    try:
        return stream.read(size)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _truncated(path) from error


def _read_at(file: int, first: int, last: int) -> bytes:
    """Bytes ``[first, last)``; the system reads at most 2 GiB at a time."""
    parts = []
    while first < last and (part := os.pread(file, last - first, first)):
        parts.append(part)
        first += len(part)
    return b"".join(parts)


def _truncated(path: Path) -> InputError:
    return InputError("the gzip file is truncated or damaged", path=path, hint="Fetch it again")


def _cache_name(path: Path) -> str:
    """A name that changes when the file does, without reading gigabytes."""
    stat = path.stat()
    identity = f"{path.resolve()}:{stat.st_size}:{stat.st_mtime_ns}"
    return f"{path.name.removesuffix('.gz')}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"


def _unpacked(path: Path, cache: Path) -> Path:
    """``path`` itself, or its unpacked copy in ``cache``."""
    cache.mkdir(parents=True, exist_ok=True)
    # pyfaidx goes by the name, so a plain file with the name of a compressed one is copied as well.
    if not _is_gzip(path) and path.suffix.lower() not in (".gz", ".bgz", ".bz2", ".zip"):
        return path
    target = cache / _cache_name(path)
    if not target.exists():
        partial = _partial(target)
        try:
            with open_bytes(path) as packed, partial.open("wb") as plain:
                shutil.copyfileobj(packed, plain, 1 << 22)
            partial.replace(target)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise _truncated(path) from error
        finally:
            partial.unlink(missing_ok=True)
    return target


def _indexed(plain: Path, path: Path, cache: Path) -> Path:
    """The index of ``plain``, made if it is not there yet; ``path`` is the file that errors name."""
    index = cache / f"{_cache_name(path)}.fai"
    if not index.exists():
        partial = _partial(index)
        try:
            with pyfaidx.Faidx(str(plain), indexname=str(partial)) as built:
                empty = [name for name, record in built.index.items() if not record.rlen]
            if empty:
                raise InputError(
                    f"record {empty[0]} has no sequence", path=path, hint="Probably cut off; fetch it again"
                )
            partial.replace(index)
        except (pyfaidx.FastaIndexingError, pyfaidx.IndexNotFoundError, ValueError) as error:
            raise InputError(f"cannot be indexed ({error})", path=path, hint="Check it with samtools faidx") from error
        finally:
            partial.unlink(missing_ok=True)
    return index


def _partial(target: Path) -> Path:
    """Where ``target`` is written before it takes its name, so that no other process sees a part of it."""
    return target.with_name(f"{target.name}.{os.getpid()}.partial")
