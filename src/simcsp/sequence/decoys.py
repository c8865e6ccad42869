"""Decoys: GT and AG that are no annotated splice site.

Positions are those of sites (:mod:`simcsp.sequence.sites`): 0-based starts of the dinucleotide on the forward strand.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simcsp.sequence.alphabet import Tokens, reverse_complement
from simcsp.sequence.sites import CONSENSUS
from simcsp.sequence.transcripts import Interval

Positions = NDArray[np.int64]


class Distance(NamedTuple):
    """How far in nt a decoy is from the next annotated site of its type and strand.

    Attributes:
        nearest: at least.
        farthest: at most; 0 sets no limit.
    """

    nearest: int = 1
    farthest: int = 0


def decoy_positions(
    contig: Tokens, span: Interval, strand: str, site_type: int, annotated: Positions, distance: Distance
) -> Positions:
    """Every place inside ``span`` where a decoy may be, rising.

    Args:
        contig: ``(length,)`` forward strand.
        span: stretch of the contig; the dinucleotide lies inside.
        strand: that the dinucleotide is read on.
        site_type: GT (donor) or AG (acceptor).
        annotated: ``(n,)`` rising, sites of this type and strand anywhere on the contig.
        distance: to the next of them; without any, none is within reach of a farthest distance.
    """
    found = dinucleotide_positions(contig, span, strand, site_type)
    if not annotated.size:
        return found[:0] if distance.farthest else found
    behind = np.searchsorted(annotated, found)
    before = annotated[np.maximum(behind - 1, 0)]
    after = annotated[np.minimum(behind, annotated.size - 1)]
    apart = np.minimum(np.abs(found - before), np.abs(after - found))
    within = (apart >= distance.nearest) & ((distance.farthest == 0) | (apart <= distance.farthest))
    allowed: Positions = found[within]
    return allowed


def dinucleotide_positions(contig: Tokens, span: Interval, strand: str, site_type: int) -> Positions:
    """Starts of every GT (donor) or AG (acceptor) of one strand that lies inside ``span``."""
    first, second = CONSENSUS[site_type]
    if strand == "-":
        first, second = (int(token) for token in reverse_complement(np.array([first, second], dtype=np.uint8)))
    piece = contig[span[0] : span[1]]
    return np.flatnonzero((piece[:-1] == first) & (piece[1:] == second)) + span[0]


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """What the intervals cover together, rising and disjoint; empty ones cover nothing.

    >>> merged([(30, 40), (0, 10), (5, 12), (12, 14), (20, 20)])
    [(0, 14), (30, 40)]
    """
    covered: list[Interval] = []
    for start, end in sorted(intervals):
        if start == end:
            continue
        if covered and start <= covered[-1][1]:
            covered[-1] = covered[-1][0], max(covered[-1][1], end)
        else:
            covered.append((start, end))
    return covered


def gaps_between(spans: Iterable[Interval], apart: int, length: int) -> list[Interval]:
    """Stretches of a contig of ``length`` nt that are ``apart`` nt or more from every span.

    >>> gaps_between([(30, 40), (60, 65)], 5, 100)
    [(0, 25), (45, 55), (70, 100)]
    """
    widened = merged((max(start - apart, 0), min(end + apart, length)) for start, end in spans)
    edges = [0, *(edge for span in widened for edge in span), length]
    return [(start, end) for start, end in zip(edges[::2], edges[1::2], strict=True) if start < end]


def lie_inside(positions: Positions, intervals: list[Interval]) -> NDArray[np.bool_]:
    """Whether both nucleotides lie in one of the intervals, which are rising and disjoint: ``(n,)`` → ``(n,)``."""
    if not intervals:
        return np.zeros(positions.shape, dtype=bool)
    starts, ends = np.array(intervals, dtype=np.int64).T
    holder = np.searchsorted(starts, positions, side="right") - 1
    return np.asarray((holder >= 0) & (positions + 2 <= ends[holder]))


def draw_positions(free: Positions, wanted: int, rng: np.random.Generator) -> Positions:
    """Draw ``wanted`` of the places, each at most once: ``(n,)`` → ``(wanted,)``, rising."""
    return np.sort(rng.choice(free, size=wanted, replace=False))
