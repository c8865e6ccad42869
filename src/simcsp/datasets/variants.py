"""Substitutions with their exons, from the tables of published assays or from a VCF and an annotation.

Positions are 0-based here, exons 0-based half-open, both on the forward strand. Formats:

- ``mfass``: ``MFASS_mmsplice.hg19.vcf.gz`` of SpliceBERT's data, a VCF whose names hold ``id|…|exon start|exon end|
  strand|reference PSI|ΔPSI|label``. The exon's start counts from 0 there.
- ``vexseq``: ``VexSeq.hg19.SNP.vcf.gz`` of the same data; the exon's start counts from 1.
- ``vexseq-csv``: CSV of CAGI 5 (github.com/gagneurlab/MMSplice_paper, ``data/vexseq``), label: ΔPSI < −24.
- ``table``: tab-separated with a header: ``contig position ref alt exon_start exon_end strand``, position 1-based,
  exon as in BED; ``id`` and ``label`` (0 or 1) if there are any.
"""

import csv
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from simcsp.errors import InputError
from simcsp.sequence.files import text_lines
from simcsp.sequence.transcripts import whole_number
from simcsp.sequence.vcf import read_records, why_no_substitution
from simcsp.tally import Tally

VEXSEQ_DISRUPTING = -24.0  # ΔPSI in per cent below which SpliceBERT's study called a variant of Vex-seq disrupting
_NEEDED = ("contig", "position", "ref", "alt", "exon_start", "exon_end", "strand")


class Variant(NamedTuple):
    """One substitution.

    Attributes:
        name: as the file calls it.
        contig: as the file calls it.
        position: 0-based.
        ref: one letter of the forward strand.
        alt: likewise.
        exon: ``[start, end)`` of the exon it is judged by.
        strand: of the exon.
        label: 1 if it disrupts splicing, 0 if not, None if nobody says.
        line: of the file.
    """

    name: str
    contig: str
    position: int
    ref: str
    alt: str
    exon: tuple[int, int]
    strand: str
    label: int | None
    line: int

    @property
    def distance(self) -> int:
        """Nucleotides from the nearest base of the splice sites' dinucleotides; 0 on one of them."""
        start, end = self.exon
        return min(_apart(self.position, start - 2, start), _apart(self.position, end, end + 2))

    @property
    def at_site(self) -> bool:
        """Whether it changes a dinucleotide: what the published figures "without splice-site SNVs" leave out."""
        start, end = self.exon
        return not start <= self.position < end and self.distance < 1


def read_variants(path: Path, form: str, tally: Tally) -> list[Variant]:
    """Read the substitutions of a file; what is none is counted in ``tally`` by its reason.

    Args:
        path: plain or gzip.
        form: a key of :data:`READERS`.
        tally: counts records and those that are left out.

    Raises:
        InputError: if a line is malformed, or no substitution is left.
    """
    found = []
    for variant in READERS[form](path):
        tally.read += 1
        if reason := why_no_substitution(variant.ref, variant.alt):
            tally.drop(reason, 1)
        else:
            found.append(variant)
    if not found:
        raise InputError("no substitution found", path=path, hint=f"Dropped {tally.reasons}" if tally.reasons else "")
    return found


def _read_named(path: Path, first: int) -> Iterator[Variant]:
    """Rows of a VCF that tell exon and label in the name; exon starts count from ``first``."""
    for number, contig, place, ref, _, columns in read_records(path, columns=5):
        fields = columns[2].split("|")
        if len(fields) != 8 or fields[7] not in ("True", "False"):
            raise InputError("expected a name of 8 fields by |, the last True or False", path=path, line=number)
        exon = _whole(fields[2], path, number) - first, _whole(fields[3], path, number)
        label = int(fields[7] == "True")
        yield _variant(fields[0], contig, place, ref, columns[4], exon, fields[4], label, path, number)


def _read_vexseq(path: Path) -> Iterator[Variant]:
    for number, row in _rows(path, ",", ("ID", "seqnames", "start", "end", "strand", "hg19_variant_position",
                                         "reference", "variant", "HepG2_delta_psi")):  # fmt: skip
        exon = _whole(row["start"], path, number) - 1, _whole(row["end"], path, number)
        place = _whole(row["hg19_variant_position"], path, number) - 1
        try:
            label = int(float(row["HepG2_delta_psi"]) < VEXSEQ_DISRUPTING)
        except ValueError:
            raise InputError(f"no number: {row['HepG2_delta_psi']!r}", path=path, line=number) from None
        yield _variant(
            row["ID"],
            row["seqnames"],
            place,
            row["reference"],
            row["variant"],
            exon,
            row["strand"],
            label,
            path,
            number,
        )


def _read_table(path: Path) -> Iterator[Variant]:
    for number, row in _rows(path, "\t", _NEEDED):
        exon = _whole(row["exon_start"], path, number), _whole(row["exon_end"], path, number)
        label = row.get("label", "")
        if label not in ("", "0", "1"):
            raise InputError(f"a label is 0 or 1, found {label!r}", path=path, line=number)
        place = _whole(row["position"], path, number) - 1
        name = row.get("id") or f"{row['contig']}:{row['position']}{row['ref']}>{row['alt']}"
        known = int(label) if label else None
        yield _variant(name, row["contig"], place, row["ref"], row["alt"], exon, row["strand"], known, path, number)


READERS: dict[str, Callable[[Path], Iterator[Variant]]] = {
    "mfass": partial(_read_named, first=0),
    "vexseq": partial(_read_named, first=1),
    "vexseq-csv": _read_vexseq,
    "table": _read_table,
}


def _rows(path: Path, separator: str, needed: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a table with a header, with their 1-based lines."""
    lines = (line for _, line in text_lines(path))
    header = next(csv.reader(lines, delimiter=separator), [])
    if missing := [name for name in needed if name not in header]:
        raise InputError(f"the header lacks {', '.join(missing)}", path=path, line=1)
    for number, cells in enumerate(csv.reader(lines, delimiter=separator), start=2):
        if not cells:
            continue
        if len(cells) != len(header):
            raise InputError(f"expected {len(header)} columns, found {len(cells)}", path=path, line=number)
        yield number, dict(zip(header, cells, strict=True))


def _variant(
    name: str, contig: str, place: int, ref: str, alt: str, exon: tuple[int, int], strand: str, label: int | None,
    path: Path, line: int,
) -> Variant:  # fmt: skip
    if strand not in ("+", "-"):
        raise InputError(f"the strand must be + or -, found {strand!r}", path=path, line=line)
    if not 0 <= exon[0] < exon[1]:
        raise InputError(f"an exon from {exon[0]:,} to {exon[1]:,}", path=path, line=line)
    return Variant(name, contig, place, ref.upper(), alt.upper(), exon, strand, label, line)


def _whole(text: str, path: Path, line: int) -> int:
    try:
        return whole_number(text, "a place")
    except ValueError as error:
        raise InputError(str(error), path=path, line=line) from None


def _apart(position: int, start: int, end: int) -> int:
    """Nucleotides between a place and an interval; 0 inside, 1 beside it."""
    return max(0, start - position, position - end + 1)
