"""Splice sites and windows around them.

A *site* is a dinucleotide: the first two nucleotides of an intron (donor, mostly GT) or its last two (acceptor,
mostly AG), read on the strand of the gene. Its ``position`` is the 0-based start of the dinucleotide on the
forward strand of the contig. A *window* of even length L holds the dinucleotide at offsets L/2 - 1 and L/2 on
either strand.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simcsp.sequence.alphabet import A, G, N, T, Tokens, decode, reverse_complement
from simcsp.sequence.annotation import Intron

DONOR, ACCEPTOR = 0, 1
SITE_NAMES = ("donor", "acceptor")
CONSENSUS: dict[int, tuple[int, int]] = {DONOR: (G, T), ACCEPTOR: (A, G)}


class Site(NamedTuple):
    """One site; ``label`` is 1 for a splice site and 0 for a decoy."""

    contig: str
    position: int
    strand: str
    site_type: int
    label: int
    gene: str


def window_name(label: int, site_type: int) -> str:
    """What is in the middle of a window: ``donor``, ``acceptor``, ``decoy GT`` or ``decoy AG``."""
    return SITE_NAMES[site_type] if label else ("decoy GT", "decoy AG")[site_type]


class Windows(NamedTuple):
    """Windows cut from one contig.

    Attributes:
        tokens: ``(kept, length)``.
        inside: ``(sites,)`` true where the whole window lies on the contig; those rows are in ``tokens``.
    """

    tokens: Tokens
    inside: NDArray[np.bool_]


def splice_sites(introns: Iterable[Intron]) -> list[Site]:
    """Donor and acceptor of every intron, each site once, in order of first appearance."""
    sites: dict[tuple[str, int, str, int], Site] = {}
    for contig, start, end, strand, gene in introns:
        first, last = (DONOR, ACCEPTOR) if strand == "+" else (ACCEPTOR, DONOR)
        for position, site_type in ((start, first), (end - 2, last)):
            sites.setdefault((contig, position, strand, site_type), Site(contig, position, strand, site_type, 1, gene))
    return list(sites.values())


def cut_windows(contig: Tokens, positions: NDArray[np.int64], reverse: NDArray[np.bool_], length: int) -> Windows:
    """Cut windows of ``length`` centred on dinucleotides.

    Args:
        contig: tokens of the forward strand.
        positions: ``(sites,)`` starts of the dinucleotides on the forward strand.
        reverse: ``(sites,)`` true for sites on the reverse strand, whose windows are reverse-complemented.
        length: window length in nt, even.
    """
    if length % 2:
        raise ValueError(f"window length {length} is odd: the dinucleotide could not be central")
    starts = positions + 1 - length // 2
    inside = (starts >= 0) & (starts + length <= contig.size)
    if not inside.any():
        return Windows(np.empty((0, length), dtype=np.uint8), inside)
    tokens = np.lib.stride_tricks.sliding_window_view(contig, length)[starts[inside]]  # copies the rows
    turned = reverse[inside]
    tokens[turned] = reverse_complement(tokens[turned])
    return Windows(tokens, inside)


def central_dinucleotides(windows: Tokens) -> Tokens:
    """The two central tokens of each window: ``(n, length)`` → ``(n, 2)``."""
    middle = windows.shape[1] // 2
    return windows[:, middle - 1 : middle + 1]


def is_canonical(windows: Tokens, site_types: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether each window has GT (donor) or AG (acceptor) at its centre."""
    expected = np.array([CONSENSUS[DONOR], CONSENSUS[ACCEPTOR]], dtype=np.uint8)[site_types]
    return np.asarray((central_dinucleotides(windows) == expected).all(axis=1))


def intron_ends(contig: Tokens, introns: Iterable[Intron]) -> list[str]:
    """First and last dinucleotide of each intron on its own strand, as ``"GT-AG"``; all introns on one contig."""
    ends = []
    for _, start, end, strand, _ in introns:
        left, right = contig[start : start + 2], contig[end - 2 : end]
        if strand == "-":
            left, right = reverse_complement(right), reverse_complement(left)
        ends.append(f"{decode(left)}-{decode(right)}")
    return ends


def unread_share(windows: Tokens) -> NDArray[np.float64]:
    """Share of N in each window: ``(n, length)`` → ``(n,)``."""
    return np.asarray((windows == N).mean(axis=1), dtype=np.float64)
