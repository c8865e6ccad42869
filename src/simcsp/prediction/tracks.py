"""Scored sites as text: BED6, bedGraph, GFF3 and the splice scores of minimap2 and miniprot.

BED and bedGraph count from 0 and leave the end out; GFF3 counts from 1 and includes it. Rows come in the order of the
sites, which is that of ``LC_ALL=C sort -k1,1 -k2,2n``.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from simcsp.metrics.calibration import at_share
from simcsp.prediction.pieces import ScoredSites
from simcsp.sequence.alphabet import decode
from simcsp.sequence.candidates import first_intron_base
from simcsp.sequence.sites import ACCEPTOR, DONOR, SITE_NAMES

TRACKS = {
    f"{SITE_NAMES[site_type]}.{name}.bedgraph": (site_type, reverse)
    for site_type in (DONOR, ACCEPTOR)
    for name, reverse in (("plus", False), ("minus", True))
}
"""bedGraph by site type and strand: what shares a file must not overlap."""

# Sequence Ontology SO:0000163 and SO:0000164.
_GFF_TYPES = ("five_prime_cis_splice_site", "three_prime_cis_splice_site")
_LOWEST, _HIGHEST = -7, 13  # of a splice score, those of minisplice; both aligners cut higher ones off


def bed_rows(scored: ScoredSites) -> str:
    """BED6: the dinucleotide; the name is ``GT|donor`` or the like, the score 1000 times the probability."""
    return "".join(
        f"{scored.contig}\t{position}\t{position + 2}\t{pair}|{name}\t{round(1000 * probability)}\t{strand}\n"
        for position, strand, name, pair, probability in _rows(scored)
    )


def bedgraph_rows(scored: ScoredSites, site_type: int, reverse: bool) -> str:  # noqa: FBT001
    """Probabilities of one type and strand, each at the intron's base next to the exon."""
    chosen = (scored.sites.site_type == site_type) & (scored.sites.reverse == reverse)
    bases = first_intron_base(scored.sites)[chosen].tolist()
    return "".join(
        f"{scored.contig}\t{base}\t{base + 1}\t{probability:.4g}\n"
        for base, probability in zip(bases, scored.probability[chosen].tolist(), strict=True)
    )


def gff_rows(scored: ScoredSites, threshold: float) -> str:
    """GFF3 of the sites at or above a threshold of probability."""
    return "".join(
        f"{scored.contig}\tSimCSP\t{_GFF_TYPES[name == SITE_NAMES[ACCEPTOR]]}\t{position + 1}\t{position + 2}"
        f"\t{probability:.4f}\t{strand}\t.\tID={name}:{scored.contig}:{position + 1}:{strand};dinucleotide={pair}\n"
        for position, strand, name, pair, probability in _rows(scored.take(scored.probability >= threshold))
    )


def splice_score_rows(scored: ScoredSites, share: float, site_fraction: float) -> str:
    """Rows that ``minimap2 --spsc`` and ``miniprot --spsc`` read: contig, offset, strand, D or A, score.

    The format of minisplice (Yang, Huang & Li 2025, arXiv 2506.12986; ``predict.c`` of github.com/lh3/minisplice): the
    offset is that of the boundary between exon and intron, counted in bases from the start of the forward strand, so
    it is the 0-based start of the intron where that is its left end, and its end, left out, where it is the right one.
    The score is 2 log2 of the site's probability over the fraction of sites among all candidates of the genome,
    rounded, within -7 and 13.

    Args:
        scored: sites.
        share: of splice sites where the probabilities are calibrated.
        site_fraction: of splice sites among the candidates of the genome.
    """
    scores = splice_scores(scored.probability, share, site_fraction).tolist()
    offsets = splice_boundaries(scored).tolist()
    return "".join(
        f"{scored.contig}\t{offset}\t{strand}\t{name[0].upper()}\t{score}\n"
        for (_, strand, name, _, _), offset, score in zip(_rows(scored), offsets, scores, strict=True)
    )


def splice_scores(probability: NDArray[np.float64], share: float, site_fraction: float) -> NDArray[np.int64]:
    """Rounded 2 log2 of the probability in the genome over ``site_fraction``: ``(n,)`` → ``(n,)``."""
    odds = np.maximum(at_share(probability, share, site_fraction) / site_fraction, 2.0**_LOWEST)
    return np.clip(np.round(2 * np.log2(odds)), _LOWEST, _HIGHEST).astype(np.int64)


def splice_boundaries(scored: ScoredSites) -> NDArray[np.int64]:
    """Bases of the forward strand before the boundary of exon and intron: ``(n,)``."""
    intron_right = (scored.sites.site_type == DONOR) != scored.sites.reverse
    return np.where(intron_right, scored.sites.position, scored.sites.position + 2)


def _rows(scored: ScoredSites) -> Iterator[tuple[int, str, str, str, float]]:
    """Position, strand, name of the site type, dinucleotide, probability."""
    letters = decode(scored.dinucleotide)
    columns = (scored.sites.position, scored.sites.reverse, scored.sites.site_type, scored.probability)
    for row, (position, reverse, site_type, probability) in enumerate(
        zip(*(column.tolist() for column in columns), strict=True)
    ):
        yield position, "-" if reverse else "+", SITE_NAMES[site_type], letters[2 * row : 2 * row + 2], probability
