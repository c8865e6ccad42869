"""Transcripts of GTF and GFF3 files, where a row is an exon and names its transcript.

Both formats count from 1 and include the end, so a feature ``[s, e]`` of the file becomes ``[s - 1, e)``. GTF:
https://mblab.wustl.edu/GTF22.html, GFF3:
https://github.com/The-Sequence-Ontology/Specifications/blob/master/gff3.md.

Exons come from ``exon`` rows; a transcript that has only ``CDS`` rows gets its exons from those (counted in the
tally), which gives all introns between coding exons. Rows may come in any order. A transcript has the tags of its own
row or of an exon, whichever comes first and has any.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

from simcsp.errors import InputError
from simcsp.sequence.transcripts import Annotation, Interval, Lines, Transcript, is_data, whole_number
from simcsp.tally import Tally

_EXON_ROWS = frozenset(("exon", "CDS"))
_STRANDS = frozenset("+-.?")
_REGION = "##sequence-region"
_TAGS_SHOWN = 8
# Each match takes the whole value, so that neither a ";" nor a key inside of quotes is taken for another attribute.
_GTF_PAIR = re.compile(r'([^\s;"]+) +("[^"]*"|[^\s;"]+)')


def looks_like_gtf(attributes: str) -> bool | None:
    """Tell the formats apart by their ninth column; None if it has the attributes of neither.

    GTF has ``key "value";``, GFF3 ``key=value;``: what comes before the first blank decides.
    """
    key, blank, _ = attributes.strip().partition(" ")
    if "=" in key:
        return False
    return True if blank else None


def read_gtf(lines: Lines, path: Path, tags: Sequence[str]) -> Annotation:
    """Read the transcripts of a GTF file.

    Args:
        lines: of the file, with their numbers.
        path: the file, for errors.
        tags: transcripts without any of these are left out; all stay if none is given.

    Raises:
        InputError: on a malformed row, or if no transcript has one of the tags.
    """
    parts: dict[str, _Parts] = {}
    tags_of: dict[str, Sequence[str]] = {}
    for number, columns, interval in _rows(lines, path, {}):
        feature, attributes = columns[2], columns[8]
        if feature in _EXON_ROWS:
            name, gene = _gtf_names(attributes)
            if not name:
                raise InputError(f"{feature} row without transcript_id", path=path, line=number)
            if gene is None:
                raise InputError(f"{feature} row without gene_id", path=path, line=number)
            _add(parts, name, columns, interval, gene)
        elif not tags or feature != "transcript":
            continue
        elif not (name := _gtf_names(attributes)[0]):
            raise InputError("transcript row without transcript_id", path=path, line=number)
        if tags and not tags_of.get(name):
            tags_of[name] = [pair[2].strip('"') for pair in _GTF_PAIR.finditer(attributes) if pair[1] == "tag"]
    return _annotation(parts, tags_of, tags, {}, path)


def read_gff3(lines: Lines, path: Path, tags: Sequence[str]) -> Annotation:
    """Read the transcripts of a GFF3 file, and the lengths of contigs from its pragmas and NCBI's rows of regions.

    The gene of a transcript is its exons' ``gene_id`` or the topmost feature that it is a part of.

    Args:
        lines: of the file, with their numbers.
        path: the file, for errors.
        tags: transcripts without any of these are left out; all stay if none is given.

    Raises:
        InputError: on a malformed row, or if no transcript has one of the tags.
    """
    parts: dict[str, _Parts] = {}
    parents: dict[str, str] = {}
    tags_of: dict[str, Sequence[str]] = {}
    lengths: dict[str, int] = {}
    for number, columns, interval in _rows(lines, path, lengths):
        feature, attributes = columns[2], _gff3_attributes(columns[8])
        if feature in _EXON_ROWS:
            names = _values(attributes.get("Parent") or attributes.get("transcript_id", ""))
            if not all(names):
                raise InputError(f"{feature} row without Parent or transcript_id", path=path, line=number)
            for name in names:
                _add(parts, name, columns, interval, unquote(attributes.get("gene_id", "")))
        else:
            names = [unquote(attributes["ID"])] if "ID" in attributes else []
            if names and "Parent" in attributes and not feature.endswith("gene"):  # a gene's parent is an operon
                parents.setdefault(names[0], _values(attributes["Parent"])[0])
            if feature == "region" and attributes.get("gbkey") == "Src" and interval[0] == 0:
                _note_length(lengths, columns[0], interval[1])
        if "tag" in attributes and tags:
            for name in names:
                tags_of.setdefault(name, _values(attributes["tag"]))
    for name, rows in parts.items():
        rows.gene = rows.gene or _topmost(name, parents)
    return _annotation(parts, tags_of, tags, lengths, path)


@dataclass(slots=True)
class _Parts:
    """Rows of one transcript as they are met in the file."""

    contig: str
    strand: str
    gene: str = ""
    exons: list[Interval] = field(default_factory=list)
    coding: list[Interval] = field(default_factory=list)
    mixed: bool = False


def _rows(lines: Lines, path: Path, lengths: dict[str, int]) -> Iterator[tuple[int, list[str], Interval]]:
    """Number, columns and 0-based interval of every row; what pragmas say of contigs goes into ``lengths``."""
    for number, line in lines:
        if line.startswith(">"):  # the sequence that GFF3 may have at its end
            return
        if not is_data(line):
            if line.startswith(_REGION):
                _read_pragma(line, lengths, path, number)
            continue
        columns = line.split("\t")
        if len(columns) != 9:
            raise InputError(
                f"expected 9 tab-separated columns, found {len(columns)}", path=path, line=number,
                hint="GTF and GFF3 separate columns by tabs",
            )  # fmt: skip
        try:
            first, last = whole_number(columns[3], "start"), whole_number(columns[4], "end")
        except ValueError as error:
            raise InputError(str(error), path=path, line=number) from None
        if not 1 <= first <= last:
            raise InputError(f"start {first} and end {last} are no 1-based interval", path=path, line=number)
        if columns[6] not in _STRANDS:
            raise InputError(f"expected strand +, -, . or ?, found {columns[6]!r}", path=path, line=number)
        yield number, columns, (first - 1, last)


def _read_pragma(line: str, lengths: dict[str, int], path: Path, number: int) -> None:
    try:
        _, contig, first, last = line.split()
        begins, ends = whole_number(first, "START"), whole_number(last, "END")
    except ValueError:
        raise InputError(f"expected '{_REGION} NAME START END'", path=path, line=number) from None
    if begins == 1:  # any other names a part of a contig
        _note_length(lengths, contig, ends)


def _note_length(lengths: dict[str, int], contig: str, length: int) -> None:
    """The longest counts: NCBI gives pieces that a contig was put together from as further regions."""
    lengths[contig] = max(length, lengths.get(contig, 0))


def _gtf_names(attributes: str) -> tuple[str | None, str | None]:
    """Transcript and gene; None if there is no such attribute."""
    transcript = gene = None
    for pair in _GTF_PAIR.finditer(attributes):
        if pair[1] == "transcript_id":
            transcript = pair[2].strip('"')
        elif pair[1] == "gene_id":
            gene = pair[2].strip('"')
        else:
            continue
        if transcript is not None and gene is not None:  # they come first: the rest need not be looked at
            break
    return transcript, gene


def _gff3_attributes(text: str) -> dict[str, str]:
    """Values as written, still encoded."""
    return {key.lstrip(): value for key, _, value in (item.partition("=") for item in text.split(";"))}


def _values(text: str) -> list[str]:
    """Commas part values, and only afterwards are ``%2C`` and the like read as letters of a value."""
    return [unquote(value.strip()) for value in text.split(",")]


def _topmost(name: str, parents: dict[str, str]) -> str:
    """Follow parents upwards; a circle of them is left after one round."""
    passed = {name}
    while (parent := parents.get(name)) and parent not in passed:
        passed.add(parent)
        name = parent
    return name


def _add(parts: dict[str, _Parts], name: str, columns: list[str], interval: Interval, gene: str) -> None:
    contig, strand = columns[0], columns[6]
    rows = parts.get(name)
    if rows is None:
        rows = parts[name] = _Parts(contig, strand)
    rows.mixed |= (contig, strand) != (rows.contig, rows.strand)
    rows.gene = rows.gene or gene
    if columns[2] == "exon":
        rows.exons.append(interval)
    elif not rows.exons:  # coding rows are of no use beside exons
        rows.coding.append(interval)


def _annotation(
    parts: dict[str, _Parts],
    tags_of: dict[str, Sequence[str]],
    tags: Sequence[str],
    lengths: dict[str, int],
    path: Path,
) -> Annotation:
    tally = Tally("transcripts", path.name, read=len(parts))
    untagged = _take_untagged(parts, tags_of, tags, path) if tags else {}
    if untagged:
        tally.dropped[f"without tag {' or '.join(tags)}"] += len(untagged)
    of_no_account = Tally("transcripts", path.name)  # all of them are counted above
    return Annotation(_transcripts(parts, tally), tally, lengths, _transcripts(untagged, of_no_account))


def _take_untagged(
    parts: dict[str, _Parts], tags_of: dict[str, Sequence[str]], tags: Sequence[str], path: Path
) -> dict[str, _Parts]:
    """Take transcripts without any of the tags out; blanks and underscores are alike (``MANE Select``)."""
    present: Counter[str] = Counter()
    for name in parts:
        present.update({tag.replace(" ", "_") for tag in tags_of.get(name, ())})
    wanted = {tag.replace(" ", "_") for tag in tags}
    if missing := wanted - present.keys():
        frequent = ", ".join(f"{tag} ({count:,})" for tag, count in present.most_common(_TAGS_SHOWN))
        hint = f"The most frequent of its tags are {frequent}" if frequent else "None has any tag"
        raise InputError(f"no transcript has the tag {', '.join(sorted(missing))}", path=path, hint=hint)
    untagged = [name for name in parts if wanted.isdisjoint(tag.replace(" ", "_") for tag in tags_of.get(name, ()))]
    return {name: parts.pop(name) for name in untagged}


def _transcripts(parts: dict[str, _Parts], tally: Tally) -> list[Transcript]:
    found = (_transcript(name, rows, tally) for name, rows in parts.items())
    return [transcript for transcript in found if transcript is not None]


def _transcript(name: str, rows: _Parts, tally: Tally) -> Transcript | None:
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
        if not rows.gene:
            tally.changed["gene_id empty, named after the transcript"] += 1
        return Transcript(name, rows.gene or name, rows.contig, rows.strand, tuple(exons))
    return None
