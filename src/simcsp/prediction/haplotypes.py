"""Sites whose windows a variant changes, before and after it, and what is gained and lost.

A site's place is that of the exon's base next to the intron, as in SpliceAI, in coordinates of the reference.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simcsp.sequence.alphabet import Tokens, encode
from simcsp.sequence.candidates import Candidates, find_candidates, nearest_exon_base
from simcsp.sequence.fasta import Genome
from simcsp.sequence.sites import ACCEPTOR, DONOR, cut_windows, unread_share
from simcsp.sequence.vcf import Change

Place = tuple[int, bool, int]  # site type, reverse strand, place


class ChangedSites(NamedTuple):
    """Sites of one haplotype whose windows hold the change, ``n`` in all.

    Attributes:
        places: ``n`` of them; several of an insertion may have the same.
        scorable: ``(n,)`` false where the window leaves the contig or has too much N.
        windows: ``(scorable, length)`` tokens.
    """

    places: list[Place]
    scorable: NDArray[np.bool_]
    windows: Tokens


class Difference(NamedTuple):
    """A site before and after a variant; ``place`` is 0-based."""

    site_type: int
    reverse: bool
    place: int
    before: float
    after: float

    @property
    def delta(self) -> float:
        """What the variant adds to the probability."""
        return self.after - self.before


def changed_sites(
    genome: Genome, contig: str, change: Change, window: int, max_unread: float, introns: tuple[str, ...]
) -> tuple[ChangedSites, ChangedSites]:
    """Sites of the reference and of the haplotype with the variant.

    Only windows that hold a changed base, or span the place of a deletion or insertion, are in it: all others are the
    same in both haplotypes.
    """
    first, last = max(0, change.start - window), min(genome.lengths[contig], change.end + window)
    left, right = (
        encode(genome.fetch(contig, start, end)).tokens for start, end in ((first, change.start), (change.end, last))
    )
    haplotypes = (np.concatenate([left, encode(allele.encode()).tokens, right]) for allele in (change.ref, change.alt))
    before, after = (
        _sites(tokens, len(left), len(tokens) - len(right), window, max_unread, introns) for tokens in haplotypes
    )
    return (
        ChangedSites(_places(before[0], first, change, change.ref), *before[1:]),
        ChangedSites(_places(after[0], first, change, change.alt), *after[1:]),
    )


def differences(
    before: Mapping[Place, float],
    after: Mapping[Place, float],
    strand_reverse: bool,  # noqa: FBT001
) -> list[Difference]:
    """Sites of one strand that have a probability on both sides; a site that is not there has 0.

    NaN marks a site that could not be scored; nothing is said of its place.
    """
    found = []
    for place in sorted(before.keys() | after.keys()):
        site_type, reverse, base = place
        values = before.get(place, 0.0), after.get(place, 0.0)
        if reverse == strand_reverse and not np.isnan(values).any():
            found.append(Difference(site_type, reverse, base, *values))
    return found


def best_by_place(places: list[Place], probabilities: NDArray[np.float64]) -> dict[Place, float]:
    """The highest probability of each place; NaN if one of its sites has none."""
    best: dict[Place, float] = {}
    for place, probability in zip(places, probabilities.tolist(), strict=True):
        best[place] = float(np.maximum(best.get(place, 0.0), probability))  # keeps NaN
    return best


def delta_scores(found: list[Difference], position: int) -> str:
    """``DS_AG|DS_AL|DS_DG|DS_DL|DP_AG|DP_AL|DP_DG|DP_DL``: the largest gain and loss of either type and its place.

    Args:
        found: sites of one strand.
        position: 0-based position of the record; places are stated relative to it, positive downstream on the forward
            strand.
    """
    scores, places = [], []
    for site_type in (ACCEPTOR, DONOR):
        for sign in (1, -1):
            best = max(
                (one for one in found if one.site_type == site_type), key=lambda one: sign * one.delta, default=None
            )
            moved = best is not None and sign * best.delta > 0
            scores.append(f"{abs(best.delta):.4f}" if best is not None and moved else "0.0000")
            places.append(str(best.place - position) if best is not None and moved else "0")
    return "|".join(scores + places)


def _sites(
    tokens: Tokens, start: int, end: int, window: int, max_unread: float, introns: tuple[str, ...]
) -> tuple[Candidates, NDArray[np.bool_], Tokens]:
    """Candidates of a stretch whose windows hold the change ``[start, end)`` of it or span its place."""
    found = find_candidates(tokens, introns)
    first = found.position + 1 - window // 2
    found = found.take((first < end) & (first + window > start))
    windows = cut_windows(tokens, found.position, found.reverse, window)
    scorable, read = windows.inside.copy(), unread_share(windows.tokens) <= max_unread
    scorable[windows.inside] = read
    return found, scorable, windows.tokens[read]


def _places(sites: Candidates, first: int, change: Change, allele: str) -> list[Place]:
    """Places on the reference; bases that only the variant has stand at the last base that they replace or follow."""
    bases = nearest_exon_base(sites) + first
    behind = bases >= change.start + len(allele)
    inside = (bases >= change.start) & ~behind
    stand_in = np.minimum(bases, change.end - 1)
    moved = np.where(behind, bases - len(allele) + len(change.ref), np.where(inside, stand_in, bases))
    return list(zip(sites.site_type.tolist(), sites.reverse.tolist(), moved.tolist(), strict=True))
