"""Dinucleotides that may be splice sites: every GT and AG of both strands, and the rarer pairs if asked for.

Positions are those of sites (:mod:`simcsp.sequence.sites`): 0-based starts of the dinucleotide on the forward strand.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simcsp.sequence.alphabet import FIRST_NUCLEOTIDE, T, Tokens, encode, reverse_complement
from simcsp.sequence.sites import ACCEPTOR, DONOR

INTRONS = {
    "GT-AG": ((DONOR, b"GT"), (ACCEPTOR, b"AG")),
    "GC-AG": ((DONOR, b"GC"), (ACCEPTOR, b"AG")),
    "AT-AC": ((DONOR, b"AT"), (ACCEPTOR, b"AC")),
}
"""Ends of introns by their name; the shares among human ones are about 99, 0.7 and 0.05 % (Burset et al. 2000)."""

_NONE = 255


class Candidates(NamedTuple):
    """Candidate sites in the order of files: by position, then the forward strand first.

    Attributes:
        position: ``(n,)`` rising.
        reverse: ``(n,)`` true on the reverse strand.
        site_type: ``(n,)`` 0 donor, 1 acceptor.
    """

    position: NDArray[np.int64]
    reverse: NDArray[np.bool_]
    site_type: NDArray[np.uint8]

    def take(self, rows: NDArray[np.bool_]) -> "Candidates":
        """The chosen ones."""
        return Candidates._make(column[rows] for column in self)


def find_candidates(contig: Tokens, introns: Iterable[str] = ("GT-AG",)) -> Candidates:
    """Every dinucleotide of ``contig`` that introns of some kinds begin or end with, on both strands.

    Args:
        contig: ``(length,)`` tokens of the forward strand; N is part of no candidate.
        introns: keys of :data:`INTRONS`.
    """
    tables = _site_types(introns)
    dinucleotides = _dinucleotides(contig)
    found = [np.flatnonzero(table[dinucleotides] != _NONE) for table in tables]
    position = np.concatenate(found)
    reverse = np.repeat([False, True], [len(rows) for rows in found])
    site_type = np.concatenate([table[dinucleotides[rows]] for table, rows in zip(tables, found, strict=True)])
    order = np.lexsort((reverse, position))
    return Candidates(position[order], reverse[order], site_type[order])


def first_intron_base(candidates: Candidates) -> NDArray[np.int64]:
    """The intron's base next to the exon: its first for a donor, its last for an acceptor; ``(n,)``, 0-based."""
    lies_right = (candidates.site_type == DONOR) == candidates.reverse
    bases: NDArray[np.int64] = candidates.position + lies_right
    return bases


def nearest_exon_base(candidates: Candidates) -> NDArray[np.int64]:
    """The exon's base next to the intron, where SpliceAI puts a site; ``(n,)``, 0-based, may lie off the contig."""
    exon_right = (candidates.site_type == DONOR) == candidates.reverse
    return np.where(exon_right, candidates.position + 2, candidates.position - 1)


def _dinucleotides(contig: Tokens) -> NDArray[np.uint8]:
    """``(length,)`` → ``(length - 1,)``: 4 first + second, 16 where one of them is no nucleotide."""
    codes = contig - np.uint8(FIRST_NUCLEOTIDE)  # anything below A wraps around and is large
    known = (contig[:-1] >= FIRST_NUCLEOTIDE) & (contig[1:] >= FIRST_NUCLEOTIDE) & (contig[:-1] <= T)
    return np.where(known, 4 * (codes[:-1] & 3) + (codes[1:] & 3), 16).astype(np.uint8)


def _site_types(introns: Iterable[str]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """For dinucleotides of the forward strand, the site type that each is on the forward and on the reverse strand."""
    forward, reverse = np.full((2, 17), _NONE, dtype=np.uint8)
    for kind in introns:
        for site_type, letters in INTRONS[kind]:
            tokens = encode(letters).tokens
            forward[_dinucleotides(tokens)[0]] = site_type
            reverse[_dinucleotides(reverse_complement(tokens))[0]] = site_type
    return forward, reverse
