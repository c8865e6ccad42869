"""Windows from text files of sequences, one per record, positives and negatives apart.

A record is a line of letters, or a FASTA-like pair of a ``>`` line and one or more lines of letters. All windows
of a source are centred on the same kind of site (:mod:`simcsp.datasets.readers.centred`).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from simcsp.config import DataConfig, WindowSource
from simcsp.datasets.readers.centred import read_pair
from simcsp.datasets.windows import WindowTable
from simcsp.errors import InputError
from simcsp.sequence.files import text_lines
from simcsp.tally import Tally


class TextRecord(NamedTuple):
    """One record: the line it begins on, what follows ``>`` if it has a header, and its letters."""

    line: int
    header: str | None
    letters: bytes


def read(
    source: WindowSource,
    data: DataConfig,
    cache: Path,  # noqa: ARG001
    rng: np.random.Generator,  # noqa: ARG001
) -> tuple[WindowTable, list[Tally]]:
    """Read positives and negatives of one site type.

    Raises:
        InputError: as :func:`simcsp.datasets.readers.centred.read_pair`.
    """
    return read_pair(source, data, lambda path, _: read_sequences(path))


def read_sequences(path: Path) -> Iterator[tuple[int, bytes]]:
    """Records of a text file with the line each begins on.

    Raises:
        InputError: as :func:`read_records`.
    """
    return ((record.line, record.letters) for record in read_records(path))


def read_records(path: Path) -> Iterator[TextRecord]:
    """Records of a text file; blank lines are passed over.

    Raises:
        InputError: if a header has no sequence or the file has no record.
    """
    header: str | None = None
    start, letters, found = 0, bytearray(), False
    for number, line in text_lines(path):
        stripped = line.strip()
        if not stripped:
            continue
        found = True
        if stripped.startswith(">"):
            if header is not None:
                yield _with_header(path, start, header, letters)
            header, start, letters = stripped[1:].strip(), number, bytearray()
        elif header is None:
            yield TextRecord(number, None, stripped.encode())
        else:
            letters += stripped.encode()
    if header is not None:
        yield _with_header(path, start, header, letters)
    if not found:
        raise InputError("the file is empty", path=path)


def _with_header(path: Path, line: int, header: str, letters: bytearray) -> TextRecord:
    if not letters:
        raise InputError("a header without a sequence", path=path, line=line)
    return TextRecord(line, header, bytes(letters))
