"""Records of a VCF, as far as sequence goes (VCF 4.3, github.com/samtools/hts-specs).

Positions count from 1 in the file and from 0 here.
"""

import re
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from simcsp.errors import InputError
from simcsp.sequence.files import text_lines
from simcsp.sequence.transcripts import whole_number

_CONTIG = re.compile(r"##contig=<(?:.*,)?ID=([^,>]+)(?:.*?,length=(\d+))?")
_COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
_LETTERS = frozenset("ACGT")


class Header(NamedTuple):
    """What stands before the records.

    Attributes:
        lines: all of them, the one with the names of the columns last.
        contigs: nt by name, of the contigs whose length is stated.
    """

    lines: list[str]
    contigs: dict[str, int]


class Record(NamedTuple):
    """One line.

    Attributes:
        line: 1-based number in the file.
        contig: as the file calls it.
        position: 0-based place of the first letter of ``ref``; -1 for a telomere.
        ref: reference allele, upper case.
        alts: alternative alleles as written, but for case; empty if there is none.
        columns: all of the line.
    """

    line: int
    contig: str
    position: int
    ref: str
    alts: tuple[str, ...]
    columns: tuple[str, ...]


class Change(NamedTuple):
    """What an allele replaces, without the bases that both alleles have in common.

    Attributes:
        start: 0-based place before which nothing changes.
        ref: bases that go; empty for an insertion.
        alt: bases that come; empty for a deletion.
    """

    start: int
    ref: str
    alt: str

    @property
    def end(self) -> int:
        """First place behind the bases that go."""
        return self.start + len(self.ref)


def read_header(path: Path) -> Header:
    """Header of a plain or gzip VCF.

    Raises:
        InputError: if it does not begin with ``##fileformat=VCF`` and end with the names of the columns.
    """
    lines = [line for _, line in takewhile(lambda numbered: numbered[1].startswith("#"), text_lines(path))]
    if not lines or not lines[0].startswith("##fileformat=VCF"):
        hint = "Its first line should be ##fileformat=VCFv4.3 or alike; convert BCF by bcftools view"
        raise InputError("this is no VCF", path=path, line=1, hint=hint)
    if not lines[-1].startswith(_COLUMNS):
        hint = "They are separated by tabs"
        raise InputError(
            "the names of the columns (#CHROM POS ID …) are missing", path=path, line=len(lines), hint=hint
        )
    found = (_CONTIG.match(line) for line in lines)
    return Header(lines, {match[1]: int(match[2]) for match in found if match and match[2]})


def read_records(path: Path, columns: int = 8) -> Iterator[Record]:
    """Records of a plain or gzip VCF in the order of the file; of files like one, only ``columns`` are asked for.

    Raises:
        InputError: if a line has too few columns, or its position is no number.
    """
    for number, line in text_lines(path):
        if line.startswith("#") or not line.strip():
            continue
        found = tuple(line.split("\t"))
        if len(found) < columns:
            problem = f"expected at least {columns} tab-separated columns, found {len(found)}"
            raise InputError(problem, path=path, line=number)
        contig, position, _, ref, alt = found[:5]
        try:
            place = whole_number(position, "POS") - 1
        except ValueError as error:
            raise InputError(str(error), path=path, line=number) from None
        alts = () if alt == "." else tuple(alt.upper().split(","))
        yield Record(number, contig, place, ref.upper(), alts, found)


def why_unreadable(ref: str, alt: str) -> str:
    """Why an allele cannot be put into the sequence; empty if it can."""
    if alt.startswith(("<", ".")) or alt.endswith(".") or "[" in alt or "]" in alt:
        return "symbolic allele"
    if alt == "*":
        return "allele * (deleted by another record)"
    if not _LETTERS.issuperset(ref) or not _LETTERS.issuperset(alt) or not ref or not alt:
        return "allele with N or another letter that is not A, C, G, T"
    return "alternative allele equals the reference" if alt == ref else ""


def why_no_substitution(ref: str, alt: str) -> str:
    """Why an allele is not one base in the place of another; empty if it is."""
    reason = why_unreadable(ref, alt)
    return reason or ("" if len(ref) == len(alt) == 1 else "not a substitution of one base by another")


def change(position: int, ref: str, alt: str) -> Change:
    """Trim the bases that both alleles have in common, at the end first.

    >>> change(10, "CTT", "CT")
    Change(start=11, ref='T', alt='')
    >>> change(10, "A", "AGT")
    Change(start=11, ref='', alt='GT')
    """
    while ref and alt and ref[-1] == alt[-1]:
        ref, alt = ref[:-1], alt[:-1]
    while ref and alt and ref[0] == alt[0]:
        position, ref, alt = position + 1, ref[1:], alt[1:]
    return Change(position, ref, alt)
