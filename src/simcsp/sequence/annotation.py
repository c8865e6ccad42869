"""Annotation of a genome: GTF, GFF3, BED12, genePred, or BED6 of introns.

Whatever the file counts from, coordinates are 0-based half-open here and everywhere else.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

from simcsp.errors import InputError
from simcsp.sequence.files import text_lines
from simcsp.sequence.gene_tables import TABLES, read_gene_table, split_columns
from simcsp.sequence.gff import looks_like_gtf, read_gff3, read_gtf
from simcsp.sequence.transcripts import (
    Annotation,
    Interval,
    Intron,
    Lines,
    Transcript,
    introns_of,
    is_data,
)

__all__ = ["Annotation", "Interval", "Intron", "Transcript", "introns_of", "read_annotation"]

_FORMATS = "9 (GTF, GFF3), " + ", ".join(f"{count} ({table.name})" for count, table in TABLES.items())


def read_annotation(path: Path, tags: Sequence[str] = ()) -> Annotation:
    """Read the transcripts of a file, plain or gzip; its first line of data tells the format, not its name.

    Args:
        path: GTF, GFF3, BED12, genePred (plain or extended, with or without ``bin``), or BED6 with an intron on each
            line. Comments and the ``track`` and ``browser`` lines of BED are passed over.
        tags: of GTF or GFF3: only transcripts with one of these tags are kept, ``MANE_Select`` for instance.

    Raises:
        InputError: on a malformed line, if the file holds no transcript, if none has one of the tags, or if the
            format has no tags.
    """
    lines = text_lines(path)
    head = []
    reader: Callable[[Lines, Path], Annotation] | None = None
    for number, line in lines:
        head.append((number, line))
        if is_data(line) and (reader := _reader(line, path, number, tags)):
            break
    annotation = (reader or partial(read_gff3, tags=tags))(chain(head, lines), path)
    if not annotation.transcripts:
        reasons = annotation.tally.reasons
        hint = f"Dropped {reasons}" if reasons else "Give GTF or GFF3 with exon or CDS rows, BED12, genePred or BED6"
        raise InputError("no transcript found", path=path, hint=hint)
    return annotation


def _reader(line: str, path: Path, number: int, tags: Sequence[str]) -> Callable[[Lines, Path], Annotation] | None:
    """The reader of the format of this line; None if it could be GTF as well as GFF3, as gene rows of AUGUSTUS."""
    columns = split_columns(line)
    # Without tabs it may be BED, or a GTF whose tabs were lost.
    if len(columns) not in (9, *TABLES) or ("\t" not in line and not columns[1].isdigit()):
        raise InputError(
            f"the columns are not those of an annotation: found {line.count(chr(9)) + 1}, separated by tabs",
            path=path, line=number, hint=f"They should be {_FORMATS}",
        )  # fmt: skip
    if len(columns) == 9:
        is_gtf = looks_like_gtf(columns[8])
        return None if is_gtf is None else partial(read_gtf if is_gtf else read_gff3, tags=tags)
    if tags:
        raise InputError(
            f"this is {TABLES[len(columns)].name}, which has no tags", path=path, line=number,
            hint="Give a GTF or GFF3 file, or no tags",
        )  # fmt: skip
    return partial(read_gene_table, columns=len(columns))
