"""Transcripts of tables with one on each line: BED12, genePred, and BED6 of introns.

All three are 0-based half-open. BED: https://genome.ucsc.edu/FAQ/FAQformat.html#format1 (blanks may stand for tabs,
as in its example); genePred: https://genome.ucsc.edu/FAQ/FAQformat.html#format9, plain (10 columns) or extended (15),
with or without the ``bin`` that UCSC's dumps have in front.

Extended genePred names the gene. In the other tables a line is a gene of its own, with the line's name: lines of one
name, for instance introns named after their gene, belong together.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from simcsp.errors import InputError
from simcsp.sequence.transcripts import Annotation, Interval, Lines, Transcript, is_data, whole_number
from simcsp.tally import Tally


class Table(NamedTuple):
    """One of the formats: its name, and what makes a transcript of a line's columns or raises ValueError."""

    name: str
    parse: Callable[[Sequence[str]], Transcript]


def read_gene_table(lines: Lines, path: Path, columns: int) -> Annotation:
    """Read a table with this number of columns, which tells the formats apart.

    A transcript without a strand is dropped and counted. An intron needs one: which of its ends is the donor?

    Args:
        lines: of the file, with their numbers.
        path: the file, for errors.
        columns: a key of ``TABLES``.

    Raises:
        InputError: on a malformed line.
    """
    table = TABLES[columns]
    tally = Tally("transcripts", path.name)
    transcripts = []
    for number, line in lines:
        if not is_data(line):
            continue
        try:
            transcript = table.parse(_fields(line, columns))
        except ValueError as error:
            hint = f"By its first line the file is {table.name}"
            raise InputError(str(error), path=path, line=number, hint=hint) from None
        tally.read += 1
        if transcript.strand == ".":
            tally.dropped["no strand"] += 1
            continue
        if not transcript.gene:
            tally.changed["name2 empty, gene named after the transcript"] += 1
            transcript = transcript._replace(gene=transcript.name)
        transcripts.append(transcript)
    return Annotation(transcripts, tally, {}, [])


def split_columns(line: str) -> list[str]:
    """Columns are separated by tabs or, where a line has none, by blanks."""
    return line.split("\t") if "\t" in line else line.split()


def _fields(line: str, columns: int) -> list[str]:
    fields = split_columns(line)
    if len(fields) != columns:
        raise ValueError(f"expected {columns} columns, found {len(fields)}")
    return fields


def _bed12(fields: Sequence[str]) -> Transcript:
    contig, name, strand = fields[0], fields[3], fields[5]
    start, end = whole_number(fields[1], "chromStart"), whole_number(fields[2], "chromEnd")
    count = whole_number(fields[9], "blockCount")
    sizes, starts = _numbers(fields[10], "blockSizes", count), _numbers(fields[11], "blockStarts", count)
    exons = tuple((start + first, start + first + size) for first, size in zip(starts, sizes, strict=True))
    _check(exons, (start, end), strand)
    name = _name(name, contig, exons)
    return Transcript(name, name, contig, strand, exons)


def _genepred(fields: Sequence[str]) -> Transcript:
    contig, strand = fields[1:3]
    start, end = whole_number(fields[3], "txStart"), whole_number(fields[4], "txEnd")
    count = whole_number(fields[7], "exonCount")
    starts, ends = _numbers(fields[8], "exonStarts", count), _numbers(fields[9], "exonEnds", count)
    exons = tuple(zip(starts, ends, strict=True))
    _check(exons, (start, end), strand)
    name = _name(fields[0], contig, exons)
    return Transcript(name, fields[11] if len(fields) == 15 else name, contig, strand, exons)


def _genepred_with_bin(fields: Sequence[str]) -> Transcript:
    whole_number(fields[0], "bin")
    return _genepred(fields[1:])


def _intron(fields: Sequence[str]) -> Transcript:
    contig, name, strand = fields[0], fields[3], fields[5]
    start, end = whole_number(fields[1], "chromStart"), whole_number(fields[2], "chromEnd")
    if start >= end:
        raise ValueError(f"chromStart {start} and chromEnd {end} are no 0-based interval")
    if strand not in ("+", "-"):
        raise ValueError(f"strand must be + or -, found {strand!r}")
    exons = ((start, start), (end, end))
    name = _name(name, contig, exons)
    return Transcript(name, name, contig, strand, exons)


def _numbers(text: str, what: str, count: int) -> list[int]:
    """A comma-separated list, with or without a comma at its end."""
    numbers = [whole_number(item, what) for item in text.removesuffix(",").split(",")]
    if len(numbers) != count:
        raise ValueError(f"expected {count} {what}, found {len(numbers)}")
    return numbers


def _check(exons: tuple[Interval, ...], span: Interval, strand: str) -> None:
    if strand not in ("+", "-", "."):
        raise ValueError(f"strand must be +, - or ., found {strand!r}")
    for start, end in exons:
        if start >= end:
            raise ValueError(f"exon {start}-{end} is no 0-based interval")
    for left, right in pairwise(exons):
        if left[1] > right[0]:
            raise ValueError(
                f"exons {left[0]}-{left[1]} and {right[0]}-{right[1]} overlap or are not in ascending order"
            )
    if (exons[0][0], exons[-1][1]) != span:
        raise ValueError(
            f"exons reach from {exons[0][0]} to {exons[-1][1]}, the transcript from {span[0]} to {span[1]}"
        )


def _name(name: str, contig: str, exons: tuple[Interval, ...]) -> str:
    """The name given, or one made of the position: lines without a name are not all one gene."""
    return name if name not in ("", ".") else f"{contig}:{exons[0][0]}-{exons[-1][1]}"


# By the number of their columns.
TABLES = {
    6: Table("BED6 of introns", _intron),
    10: Table("genePred", _genepred),
    11: Table("genePred with bin", _genepred_with_bin),
    12: Table("BED12", _bed12),
    15: Table("extended genePred", _genepred),
    16: Table("extended genePred with bin", _genepred_with_bin),
}
