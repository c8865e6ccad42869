"""Transcripts and introns of a GTF or GFF3 file.

Both formats count from 1 and include the end; here and everywhere else coordinates are 0-based half-open, so a
feature ``[s, e]`` of the file becomes ``[s - 1, e)``. GTF: https://mblab.wustl.edu/GTF22.html, GFF3:
https://github.com/The-Sequence-Ontology/Specifications/blob/master/gff3.md.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from simcsp.errors import InputError
from simcsp.sequence.fasta import text_lines
from simcsp.tally import Tally

SHORTEST_INTRON = 20  # nt; shorter gaps between exons mark frameshifts and alignment gaps, not introns

Interval = tuple[int, int]
Attributes = dict[str, list[str]]


class Transcript(NamedTuple):
    """One transcript; ``exons`` are sorted by position and do not overlap."""

    name: str
    gene: str
    contig: str
    strand: str
    exons: tuple[Interval, ...]

    @property
    def span(self) -> Interval:
        """From the first to the last exon: the pre-mRNA."""
        return self.exons[0][0], self.exons[-1][1]


class Intron(NamedTuple):
    """One intron, ``[start, end)`` on the forward strand of the contig."""

    contig: str
    start: int
    end: int
    strand: str
    gene: str


@dataclass
class _Parts:
    """Rows of one transcript as they are met in the file."""

    contig: str
    strand: str
    gene: str = ""
    exons: list[Interval] = field(default_factory=list)
    coding: list[Interval] = field(default_factory=list)
    mixed: bool = False


def read_annotation(path: Path) -> tuple[list[Transcript], Tally]:
    """Read the transcripts of a GTF or GFF3 file, plain or gzip.

    Exons come from ``exon`` rows; a transcript that has only ``CDS`` rows gets its exons from those (counted
    in the tally), which gives all introns between coding exons.

    Raises:
        InputError: on a malformed row, or if the file holds no transcript.
    """
    parts: dict[str, _Parts] = {}
    parents: dict[str, str] = {}
    attributes_of: Callable[[str], Attributes] | None = None
    for number, line in text_lines(path):
        if line.startswith(("##FASTA", ">")):
            break
        if not line or line.startswith("#"):
            continue
        columns = _columns(line, path, number)
        if attributes_of is None:
            attributes_of = _gtf_attributes if _looks_like_gtf(columns[8]) else _gff3_attributes
        if columns[2] in ("exon", "CDS"):
            _add_row(parts, columns, attributes_of(columns[8]), path, number)
        elif attributes_of is _gff3_attributes:
            attributes = attributes_of(columns[8])
            if "ID" in attributes and "Parent" in attributes:
                parents.setdefault(attributes["ID"][0], attributes["Parent"][0])
    tally = Tally("transcripts", path.name, read=len(parts))
    transcripts = [
        transcript
        for name, rows in parts.items()
        if (transcript := _transcript(name, rows, parents, tally)) is not None
    ]
    if not transcripts:
        hint = f"Dropped {tally.reasons}" if tally.reasons else "Give a GTF or GFF3 file with exon or CDS rows"
        raise InputError("no transcript found", path=path, hint=hint)
    return transcripts, tally


def introns_of(transcripts: Iterable[Transcript], source: str) -> tuple[list[Intron], Tally]:
    """Distinct introns, in the order of the transcripts.

    An intron is the gap between neighbouring exons of a transcript; the same gap in several transcripts counts
    once, with the gene of the first.
    """
    tally = Tally("introns", source)
    seen: dict[tuple[str, int, int, str], Intron] = {}
    for transcript in transcripts:
        for (_, start), (end, _) in pairwise(transcript.exons):
            tally.read += 1
            key = (transcript.contig, start, end, transcript.strand)
            if end - start < SHORTEST_INTRON:
                tally.dropped[f"shorter than {SHORTEST_INTRON} nt"] += 1
            elif key in seen:
                tally.dropped["also in another transcript"] += 1
            else:
                seen[key] = Intron(*key, gene=transcript.gene)
    return list(seen.values()), tally


def _columns(line: str, path: Path, number: int) -> list[str]:
    columns = line.split("\t")
    if len(columns) != 9:
        raise InputError(
            f"expected 9 tab-separated columns, found {len(columns)}", path=path, line=number,
            hint="GTF and GFF3 separate columns by tabs",
        )  # fmt: skip
    return columns


def _looks_like_gtf(attributes: str) -> bool:
    """GTF has ``key "value";``, GFF3 ``key=value;``: what comes before the first blank tells them apart."""
    key, blank, _ = attributes.strip().partition(" ")
    return bool(blank) and "=" not in key


def _gtf_attributes(text: str) -> Attributes:
    pairs = (item.strip().partition(" ") for item in text.split(";"))
    return {key: [value.strip().strip('"')] for key, _, value in pairs if key}


def _gff3_attributes(text: str) -> Attributes:
    """Commas part values, and only afterwards are ``%2C`` and the like read as letters of a value."""
    pairs = (item.strip().partition("=") for item in text.split(";"))
    return {key: [unquote(one) for one in value.split(",")] for key, separator, value in pairs if separator}


def _interval(columns: list[str], path: Path, number: int) -> Interval:
    try:
        first, last = int(columns[3]), int(columns[4])
    except ValueError:
        raise InputError("start and end must be whole numbers", path=path, line=number) from None
    if not 1 <= first <= last:
        raise InputError(f"start {first} and end {last} are no 1-based interval", path=path, line=number)
    return first - 1, last


def _add_row(parts: dict[str, _Parts], columns: list[str], attributes: Attributes, path: Path, number: int) -> None:
    contig, strand = columns[0], columns[6]
    interval = _interval(columns, path, number)
    names = attributes.get("Parent") or attributes.get("transcript_id") or [""]
    if not all(names):
        raise InputError(f"{columns[2]} row without transcript_id or Parent", path=path, line=number)
    for name in names:
        rows = parts.setdefault(name, _Parts(contig, strand))
        rows.mixed |= (contig, strand) != (rows.contig, rows.strand)
        rows.gene = rows.gene or attributes.get("gene_id", [""])[0]
        (rows.exons if columns[2] == "exon" else rows.coding).append(interval)


def _transcript(name: str, rows: _Parts, parents: dict[str, str], tally: Tally) -> Transcript | None:
    exons = sorted(set(rows.exons or rows.coding))
    if rows.strand not in ("+", "-"):
        tally.dropped["no strand"] += 1
    elif rows.mixed:
        tally.dropped["exons on several contigs or strands"] += 1
    elif any(left[1] > right[0] for left, right in pairwise(exons)):
        tally.dropped["overlapping exons"] += 1
    else:
        if not rows.exons:
            tally.changed["exons taken from CDS rows"] += 1
        return Transcript(name, rows.gene or parents.get(name, name), rows.contig, rows.strand, tuple(exons))
    return None
