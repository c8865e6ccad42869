"""Rows of BED6: contig, start, end, name, a column that every kind of file fills in its own way, and strand.

0-based half-open. https://genome.ucsc.edu/FAQ/FAQformat.html#format1, separated by tabs.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from simcsp.errors import InputError
from simcsp.sequence.files import text_lines
from simcsp.sequence.transcripts import is_data, whole_number


class BedRow(NamedTuple):
    """One row; ``line`` is its 1-based number in the file."""

    contig: str
    start: int
    end: int
    name: str
    fifth: str
    strand: str
    line: int


def read_bed6(path: Path, fifth: str, *, further_columns: bool = False, any_strand: bool = False) -> Iterator[BedRow]:
    """Rows of a plain or gzip file, as they come; blank lines, comments and lines for browsers are passed over.

    Args:
        path: the file.
        fifth: what the fifth column is, for an error.
        further_columns: may follow; they are passed over.
        any_strand: is taken as it stands; otherwise it has to be + or -.

    Raises:
        InputError: if a row is malformed, or as :func:`simcsp.sequence.files.text_lines`.
    """
    for number, line in text_lines(path):
        if is_data(line):
            row = _row(line.split("\t"), path, number, fifth, further_columns=further_columns)
            if not any_strand:
                _require_strand(row, path)
            yield row


def _row(columns: list[str], path: Path, number: int, fifth: str, *, further_columns: bool) -> BedRow:
    if len(columns) < 6 or (len(columns) > 6 and not further_columns):
        raise InputError(
            f"expected 6 tab-separated columns, found {len(columns)}", path=path, line=number,
            hint=f"They are contig, start, end, name, {fifth}, strand",
        )  # fmt: skip
    contig, first, last, name, value, strand = columns[:6]
    try:
        start, end = whole_number(first, "start"), whole_number(last, "end")
    except ValueError as error:
        raise InputError(str(error), path=path, line=number) from None
    return BedRow(contig, start, end, name, value, strand, number)


def _require_strand(row: BedRow, path: Path) -> None:
    if row.strand not in ("+", "-"):
        raise InputError(
            f"the strand must be + or -, found {row.strand!r}", path=path, line=row.line,
            hint="Without it one end of an intron cannot be told from the other",
        )  # fmt: skip
