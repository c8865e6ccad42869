"""Windows around the sites of one contig, for every format that has a FASTA."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from simcsp.config import DataConfig
from simcsp.datasets.windows import WindowTable, window_table
from simcsp.sequence.alphabet import Tokens
from simcsp.sequence.sites import Site, cut_windows, is_canonical, unread_share
from simcsp.tally import Tally


def site_windows(
    contig: Tokens, sites: list[Site], group_of: Callable[[Site], str], species: str, data: DataConfig, tally: Tally
) -> WindowTable:
    """Cut a window around each site; those that cannot be used are dropped.

    Args:
        contig: ``(length,)`` forward strand.
        sites: all on this contig.
        group_of: the group of a site.
        species: name of the species.
        data: length of the windows and the share of N they may have.
        tally: counts the sites, and those dropped: too near the end of the contig, too much N, or no GT (donor) or
            AG (acceptor).
    """
    positions = np.array([site.position for site in sites], dtype=np.int64)
    reverse = np.array([site.strand == "-" for site in sites], dtype=bool)
    tokens, inside = cut_windows(contig, positions, reverse, data.window)
    rows = np.flatnonzero(inside)
    site_type = np.array([sites[row].site_type for row in rows], dtype=np.uint8)
    unread = unread_share(tokens) > data.max_unread
    odd = ~unread & ~is_canonical(tokens, site_type)
    tally.read += len(sites)
    tally.drop(f"window of {data.window} nt reaches beyond the contig", np.count_nonzero(~inside))
    tally.drop(f"more than {data.max_unread:.0%} N", np.count_nonzero(unread))
    tally.drop("no GT (donor) or AG (acceptor)", np.count_nonzero(odd))
    good = ~unread & ~odd
    kept = [sites[row] for row in rows[good]]
    return window_table(
        tokens[good],
        label=np.array([site.label for site in kept], dtype=np.uint8),
        site_type=site_type[good],
        species=species,
        group=[group_of(site) for site in kept],
        origin=[f"{site.contig}:{site.position}-{site.position + 2}:{site.strand}" for site in kept],
    )


def named_by_stretch(sites: list[Site], apart: int) -> list[Site]:
    """Give sites the name of their stretch as their gene; stretches are ``apart`` nt or more from each other.

    Args:
        sites: all on one contig, by position.
        apart: with the length of a window, no two windows of different stretches overlap.
    """
    if not sites:
        return []
    positions: NDArray[np.int64] = np.array([site.position for site in sites])
    breaks = np.flatnonzero(np.diff(positions) >= apart) + 1
    bounds = [0, *breaks.tolist(), len(sites)]
    grouped = []
    for first, last in pairwise(bounds):
        name = f"{sites[first].contig}:{positions[first]}-{positions[last - 1] + 2}"
        grouped += [site._replace(gene=name) for site in sites[first:last]]
    return grouped
