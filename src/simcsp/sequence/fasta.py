"""Contigs of a FASTA file, indexed by pyfaidx and read by slices."""

import hashlib
import os
import weakref
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import pyfaidx

from simcsp.errors import InputError
from simcsp.sequence.alphabet import UNK, Tokens, encode
from simcsp.sequence.files import (
    BYTE_ORDER_MARK,
    UNPACKING_ERRORS,
    is_gzip,
    open_bytes,
    read_start,
    text_lines,
    truncated,
)
from simcsp.storage import whole_file
from simcsp.tally import Tally

_PEEK = 1 << 16  # bytes looked at to tell DNA from something else
_BLOCK = 1 << 22  # bytes copied at a time
_DNA_SHARE = 0.95  # protein and text have far fewer letters of the nucleotide code


class Genome:
    """One FASTA file, plain, gzip or bgzip; positions are 0-based half-open.

    A compressed file, one with a byte order mark, or one whose lines end in CR alone is copied once into ``cache`` in
    plain form, and the index is kept there too, so the folder of the FASTA may be read-only.

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
        plain = _plain_copy(path, cache)
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
    """Encode letters of a file; those that are read as another are counted in ``tally``.

    Args:
        letters: of one record or a part of one.
        tally: of the reader.
        path: the file, for errors.
        line: where the record begins, for errors.
        contig: name of the record in a FASTA, for errors: the file is searched for the line if none is given.

    Raises:
        InputError: if a letter is no nucleotide code.
    """
    encoded = encode(letters)
    if encoded.unknown:
        where = f" of contig {contig}" if contig else ""
        first = letters[int(np.argmax(encoded.tokens == UNK))]
        shown = chr(first) if 0x20 < first < 0x7F else f"byte {first:#04x}"
        problem = f"{encoded.unknown:,} letters{where} are no nucleotide code, the first of them {shown!r}"
        line = _line_with_unknown_letter(path, contig) if contig and line is None else line
        raise InputError(problem, path=path, line=line, hint="Letters are those of the IUPAC code, without gaps")
    lower = int(np.count_nonzero(np.frombuffer(letters, dtype=np.uint8) >= ord("a")))
    for change, count in (
        ("ambiguous letters read as N", encoded.ambiguous),
        ("lower-case letters read as upper case", lower),
        ("letters U read as T", letters.count(b"U") + letters.count(b"u")),
    ):
        if count:
            tally.changed[change] += count
    return encoded.tokens


def check_is_dna(path: Path) -> None:
    """Look at the beginning of a FASTA file and refuse what is not DNA.

    Raises:
        InputError: names the file and what it seems to be.
    """
    head = read_start(path, _PEEK)
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


def _read_at(file: int, first: int, last: int) -> bytes:
    """Bytes ``[first, last)``; the system reads at most 2 GiB at a time."""
    parts = []
    while first < last and (part := os.pread(file, last - first, first)):
        parts.append(part)
        first += len(part)
    return b"".join(parts)


def _cache_name(path: Path) -> str:
    """A name that changes when the file does, without reading gigabytes."""
    stat = path.stat()
    identity = f"{path.resolve()}:{stat.st_size}:{stat.st_mtime_ns}"
    return f"{path.name.removesuffix('.gz')}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"


def _plain_copy(path: Path, cache: Path) -> Path:
    """``path`` itself if pyfaidx can read it, or its plain copy in ``cache``."""
    cache.mkdir(parents=True, exist_ok=True)
    head = read_start(path, _PEEK)
    ends_in_cr = b"\r" in head and b"\n" not in head
    with path.open("rb") as stream:
        marked = stream.read(len(BYTE_ORDER_MARK)) == BYTE_ORDER_MARK
    # pyfaidx goes by the name, so a plain file with the name of a compressed one is copied as well.
    named_packed = path.suffix.lower() in (".gz", ".bgz", ".bz2", ".zip")
    if not (ends_in_cr or marked or named_packed or is_gzip(path)):
        return path
    target = cache / _cache_name(path)
    if not target.exists():
        with whole_file(target) as partial, partial.open("wb") as plain:
            for block in _blocks(path):
                plain.write(block.replace(b"\r", b"\n") if ends_in_cr else block)
    return target


def _blocks(path: Path) -> Iterator[bytes]:
    """The content of a plain or gzip file, without a byte order mark."""
    with open_bytes(path) as stream:
        try:
            block = stream.read(_BLOCK).removeprefix(BYTE_ORDER_MARK)
            while block:
                yield block
                block = stream.read(_BLOCK)
        except UNPACKING_ERRORS as error:
            raise truncated(path) from error


def _indexed(plain: Path, path: Path, cache: Path) -> Path:
    """The index of ``plain``, made if it is not there yet; ``path`` is the file that errors name."""
    index = cache / f"{_cache_name(path)}.fai"
    if not index.exists():
        try:
            with (
                whole_file(index) as partial,
                pyfaidx.Faidx(str(plain), indexname=str(partial)) as built,
            ):
                if not all(record.rlen for record in built.index.values()):
                    _refuse_bad_records(path)
        except (pyfaidx.FastaIndexingError, pyfaidx.IndexNotFoundError, ValueError, RuntimeError) as error:
            _refuse_bad_records(path)
            raise InputError(f"cannot be indexed ({error})", path=path, hint="Check it with samtools faidx") from error
    return index


def _line_with_unknown_letter(path: Path, contig: str) -> int | None:
    inside = False
    for number, line in text_lines(path):
        if line.startswith(">"):
            inside = line[1:].split()[:1] == [contig]
        elif inside and encode(line.encode()).unknown:
            return number
    return None


def _refuse_bad_records(path: Path) -> None:
    """Find the line that an index cannot be made of, which pyfaidx does not name.

    Raises:
        InputError: if a record has no name, that of another, no sequence, or lines of several lengths.
    """
    begins: dict[str, int] = {}  # record → its first line
    lengths: list[tuple[int, int]] = []  # number and length of its lines
    for number, line in chain(text_lines(path), [(0, ">")]):
        if not line.startswith(">"):
            lengths.append((number, len(line)))
            continue
        if begins:
            _refuse_bad_lines(*list(begins.items())[-1], lengths, path)
        if not number:
            return
        record, lengths = (line[1:].split() or [""])[0], []
        if not record:
            raise InputError("a record without a name", path=path, line=number)
        if record in begins:
            raise InputError(
                f"record {record} is there a second time, first on line {begins[record]}",
                path=path, line=number, hint="Leave one of them out, or rename it",
            )  # fmt: skip
        begins[record] = number


def _refuse_bad_lines(record: str, begins: int, lengths: list[tuple[int, int]], path: Path) -> None:
    """Refuse a record without sequence, or with a line unlike its first that is not its last; one blank may follow."""
    if not any(length for _, length in lengths):
        hint = "Probably cut off; fetch it again"
        raise InputError(f"record {record} has no sequence", path=path, line=begins, hint=hint)
    written = lengths[:-1] if not lengths[-1][1] else lengths
    number = next((number for number, length in written[:-1] if length != written[0][1]), 0)
    number = number or (written[-1][0] if not 0 < written[-1][1] <= written[0][1] else 0)
    if number:
        hint = "Wrap every record at one length, without blank lines"
        raise InputError(f"a line of record {record} is not as long as the others", path=path, line=number, hint=hint)
