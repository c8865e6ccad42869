"""Variants of a VCF with the exon that each is judged by, and windows around either."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simcsp.datasets.variants import Variant
from simcsp.errors import InputError
from simcsp.sequence.alphabet import N, Tokens, encode, reverse_complement
from simcsp.sequence.annotation import Transcript
from simcsp.sequence.fasta import Genome
from simcsp.sequence.vcf import read_records, why_no_substitution
from simcsp.tally import Tally

_MOST_MISMATCHES = 0.01  # share of reference bases that are not the FASTA's; more means another assembly
_FEW = 10  # variants of which any number may mismatch

Ints = NDArray[np.int64]


class VariantWindows(NamedTuple):
    """Windows on the strand of the exon; places count from 0 in the window, -1 where a site is not in it.

    Attributes:
        variants: ``n`` of them.
        windows: ``(n, L)`` reference nucleotides.
        place: ``(n,)`` of the variant.
        alternative: ``(n,)`` token.
        donor: ``(n,)`` first nucleotide of the donor.
        acceptor: ``(n,)`` first nucleotide of the acceptor.
    """

    variants: list[Variant]
    windows: Tokens
    place: Ints
    alternative: Tokens
    donor: Ints
    acceptor: Ints


def read_vcf_variants(
    path: Path, transcripts: Iterable[Transcript], contig_of: Mapping[str, str], farthest: int, tally: Tally
) -> list[Variant]:
    """Substitutions of a VCF, each with the nearest internal exon of an annotation; one row for each allele.

    Args:
        path: plain or gzip.
        transcripts: on contigs of the FASTA.
        contig_of: name in the VCF → contig of the FASTA; what has none is left out.
        farthest: most nucleotides from the exon.
        tally: counts alleles and those that are left out.

    Raises:
        InputError: on a malformed record.
    """
    exons = _internal_exons(transcripts)
    found = []
    for record in read_records(path):
        for alt in record.alts or (".",):
            tally.read += 1
            if reason := why_no_substitution(record.ref, alt):
                tally.drop(reason, 1)
            elif record.contig not in contig_of:
                tally.drop("contig not in the FASTA", 1)
            elif (nearest := _nearest(exons.get(contig_of[record.contig]), record.position, farthest)) is None:
                tally.drop(f"no internal exon within {farthest} nt", 1)
            else:
                name, (start, end, strand) = record.columns[2], nearest
                found.append(Variant(name, record.contig, record.position, record.ref, alt, (start, end), strand, None,
                                     record.line))  # fmt: skip
    return found


def cut_variants(
    variants: list[Variant], contig_of: dict[str, str], genome: Genome, path: Path, length: int, tally: Tally
) -> VariantWindows:
    """Cut a window for each variant: centred on the exon, as published, or on the variant if the exon does not fit.

    Args:
        variants: in any order.
        contig_of: name in the variants' file → contig of the FASTA.
        genome: the FASTA.
        path: file of the variants, for errors.
        length: of a window in nt.
        tally: counts those that cannot be cut.

    Raises:
        InputError: if more than 1 % of the reference bases are not the FASTA's, or no variant is left.
    """
    kept: list[Variant] = []
    rows: list[tuple[Tokens, int, int, int, int]] = []
    wrong = read = 0
    for variant in variants:
        contig = contig_of.get(variant.contig)
        if contig is None:
            tally.drop("contig not in the FASTA", 1)
            continue
        left = _left(variant, length)
        if left < 0 or left + length > genome.lengths[contig]:
            tally.drop("window reaches beyond the contig", 1)
            continue
        tokens = encode(genome.fetch(contig, left, left + length)).tokens
        found = tokens[variant.position - left]
        read += 1
        if found == N:
            tally.drop("reference is N in the FASTA", 1)
        elif found != encode(variant.ref.encode()).tokens[0]:
            wrong += 1
            tally.drop("reference base is not the FASTA's", 1)
        else:
            kept.append(variant)
            rows.append(_row(variant, tokens, left))
    if wrong > max(_MOST_MISMATCHES * read, 0 if read > _FEW else read):
        raise InputError(
            f"the reference base of {wrong:,} of {read:,} variants is not that of {genome.path}", path=path,
            hint="Give the FASTA of the assembly that the variants are on",
        )  # fmt: skip
    if not rows:
        raise InputError("no variant can be scored", path=path, hint=f"Dropped {tally.reasons}")
    windows, *numbers = zip(*rows, strict=True)
    place, alternative, donor, acceptor = (np.array(column, dtype=np.int64) for column in numbers)
    return VariantWindows(kept, np.stack(windows), place, alternative.astype(np.uint8), donor, acceptor)


def _left(variant: Variant, length: int) -> int:
    """Start of the window on the forward strand."""
    start, end = variant.exon
    left = (start + end) // 2 - length // 2
    fits = left <= start - 2 and end + 2 <= left + length and left <= variant.position < left + length
    return left if fits else variant.position - length // 2


def _row(variant: Variant, tokens: Tokens, left: int) -> tuple[Tokens, int, int, int, int]:
    """Window, place, alternative, donor and acceptor on the strand of the exon."""
    length, (start, end) = len(tokens), variant.exon
    place, before, behind = variant.position - left, start - 2 - left, end - left
    alternative = encode(variant.alt.encode()).tokens
    donor, acceptor = behind, before
    if variant.strand == "-":
        tokens, alternative = reverse_complement(tokens), reverse_complement(alternative)
        place, donor, acceptor = length - 1 - place, length - 2 - before, length - 2 - behind
    donor, acceptor = (site if 0 <= site <= length - 2 else -1 for site in (donor, acceptor))
    return tokens, place, int(alternative[0]), donor, acceptor


def _internal_exons(transcripts: Iterable[Transcript]) -> dict[str, list[tuple[int, int, str]]]:
    """Exons with an intron on either side, by contig."""
    found: dict[str, set[tuple[int, int, str]]] = defaultdict(set)
    for one in transcripts:
        found[one.contig] |= {(start, end, one.strand) for start, end in one.exons[1:-1] if start < end}
    return {contig: sorted(exons) for contig, exons in found.items()}


def _nearest(exons: list[tuple[int, int, str]] | None, position: int, farthest: int) -> tuple[int, int, str] | None:
    def apart(exon: tuple[int, int, str]) -> int:
        return max(0, exon[0] - position, position - exon[1] + 1)

    near = _within(exons or [], position, farthest)
    best = min(near, key=apart, default=None)
    return best if best is not None and apart(best) <= farthest else None


def _within(exons: list[tuple[int, int, str]], position: int, farthest: int) -> Iterator[tuple[int, int, str]]:
    return (exon for exon in exons if exon[0] - farthest <= position < exon[1] + farthest)
