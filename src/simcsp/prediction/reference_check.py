"""Whether a VCF belongs to a FASTA: contigs, reference bases, order of the records."""

from pathlib import Path
from typing import NamedTuple

from simcsp.errors import InputError
from simcsp.sequence.assembly import resolve_contigs
from simcsp.sequence.fasta import Genome
from simcsp.sequence.vcf import Header, Record, read_records

_BASES = frozenset("ACGT")
_MISMATCHED = 0.01  # share of records above which the FASTA is taken for another assembly


class Survey(NamedTuple):
    """What a first reading of a VCF finds.

    Attributes:
        records: their number.
        mismatched: those whose REF is not what the FASTA has there.
        first: line of the first of them.
        unsorted: line of the first record that lies before the one above it, 0 if none does.
    """

    records: int
    mismatched: int
    first: int
    unsorted: int


def contigs_of(path: Path, header: Header, genome: Genome) -> dict[str, str]:
    """Names in a VCF → contigs of the FASTA; names without a contig are left out.

    Raises:
        InputError: if a contig is of another length than the VCF states, or no name has a contig.
    """
    names = dict.fromkeys(record.contig for record in read_records(path))
    contigs, missing = resolve_contigs(names, genome.lengths, header.contigs, path)
    if missing and not contigs:
        problem = f"none of its contigs ({', '.join(missing[:3])}) is in {genome.path}"
        raise InputError(problem, path=path, hint="Give a matching pair")
    return contigs


def survey(path: Path, genome: Genome, contigs: dict[str, str]) -> Survey:
    """Read all records, and compare REF with the FASTA.

    Raises:
        InputError: if there is no record, or more than 1 % of them have another REF than the FASTA.
    """
    records = mismatched = first = unsorted = 0
    seen: set[str] = set()
    last = ("", -2)
    for record in read_records(path):
        records += 1
        here = (record.contig, record.position)
        if not unsorted and (here[0] in seen if here[0] != last[0] else here[1] < last[1]):
            unsorted = record.line
        seen.add(last[0])
        last = here
        if record.contig in contigs and is_mismatched(record, genome, contigs[record.contig]):
            mismatched += 1
            first = first or record.line
    if not records:
        raise InputError("no record found", path=path)
    if mismatched > _MISMATCHED * records:
        raise InputError(
            f"REF is not the base of {genome.path} in {mismatched:,} of {records:,} records, here for the first time",
            path=path, line=first, hint="The VCF is of another assembly, or not normalised; give a matching FASTA",
        )  # fmt: skip
    return Survey(records, mismatched, first, unsorted)


def is_mismatched(record: Record, genome: Genome, contig: str) -> bool:
    """Whether REF differs from the bases of the FASTA in its place.

    A place outside the contig is another matter, and so is one where the FASTA has N: that tells no assembly.
    """
    there = zip(_reference(record, genome, contig), record.ref, strict=False)
    return any(base in _BASES and base != letter for base, letter in there)


def is_unread(record: Record, genome: Genome, contig: str) -> bool:
    """Whether the FASTA has N, or another letter that is no base, in the place of REF."""
    return not set(_reference(record, genome, contig)) <= _BASES


def _reference(record: Record, genome: Genome, contig: str) -> str:
    """What the FASTA has in the place of REF, in upper case; nothing outside the contig."""
    start, end = record.position, record.position + len(record.ref)
    inside = start >= 0 and end <= genome.lengths[contig]
    return genome.fetch(contig, start, end).decode("latin-1").upper() if inside else ""
