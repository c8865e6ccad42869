"""Decoys of an annotated contig, in the regions and at the distances that a configuration asks for."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from simcsp.config import DecoyConfig
from simcsp.datasets.genome_annotation import Contig
from simcsp.datasets.readers.site_windows import named_by_stretch
from simcsp.sequence.alphabet import Tokens
from simcsp.sequence.annotation import Interval, introns_of
from simcsp.sequence.decoys import (
    Distance,
    Positions,
    decoy_positions,
    draw_positions,
    gaps_between,
    lie_inside,
    merged,
)
from simcsp.sequence.sites import ACCEPTOR, DONOR, Site, splice_sites

_INTERGENIC = "intergenic"
_MISSING = "fewer than asked for"

_Kind = tuple[str, int]  # strand, site type
_KINDS: tuple[_Kind, ...] = tuple((strand, site_type) for strand in "+-" for site_type in (DONOR, ACCEPTOR))


class _Annotated(NamedTuple):
    """What decoys of a contig keep away from, and what they are counted by.

    Attributes:
        contig: with its tokens.
        real: splice sites by kind and position.
        taken: kind → ``(n,)`` rising positions of splice sites and of intron ends of transcripts without the tag.
        distance: that decoys keep from those.
    """

    contig: Contig
    real: dict[_Kind, list[Site]]
    taken: dict[_Kind, Positions]
    distance: Distance

    def free(self, span: Interval, kind: _Kind) -> Positions:
        return decoy_positions(self.contig.tokens, span, *kind, self.taken[kind], self.distance)


def draw_decoys(
    contig: Contig, real: list[Site], wanted: DecoyConfig, apart: int, rng: np.random.Generator, drawn: Counter[str]
) -> list[Site]:
    """Draw the decoys of one contig.

    With `intergenic` among them, each region gets the same share of the ratio; exons and introns are drawn from
    together, locus by locus, so that a locus has as many decoys as `ratio` asks for wherever its GT and AG lie.

    Args:
        contig: with its annotation.
        real: its splice sites.
        wanted: ratio, regions and distances.
        apart: nt between an intergenic decoy and the next transcript of either strand; with the length of a window,
            no intergenic window reaches into a gene's.
        rng: source of chance.
        drawn: counts decoys by region, and those asked for that there are not.
    """
    untagged, _ = introns_of(contig.untagged, "transcripts without the tag")
    known = [*real, *splice_sites(untagged)]
    annotated = _Annotated(
        contig,
        {kind: sorted((site for site in real if _kind(site) == kind), key=_position) for kind in _KINDS},
        {kind: np.unique([site.position for site in known if _kind(site) == kind]).astype(np.int64) for kind in _KINDS},
        Distance(wanted.nearest, wanted.farthest),
    )
    inside = tuple(region for region in wanted.regions if region != _INTERGENIC)
    share = wanted.ratio / len(wanted.regions)
    decoys: list[Site] = []
    if inside:
        ratio = share * len(inside) if len(inside) < len(wanted.regions) else wanted.ratio
        decoys += _of_loci(annotated, inside, ratio, rng, drawn)
    if len(inside) < len(wanted.regions):
        decoys += _between_loci(annotated, share, apart, rng, drawn)
    return decoys


def draw_beside(
    contig: Tokens, sites: list[Site], listed: list[Site], wanted: DecoyConfig, rng: np.random.Generator
) -> list[Site]:
    """Draw decoys of a contig of which no more is known than some sites: anywhere on their strand, as far as asked for.

    Args:
        contig: ``(length,)`` forward strand.
        sites: splice sites, all on this contig; decoys are `ratio` times as many, if there are as many.
        listed: what decoys keep away from, the sites among them.
        wanted: ratio and distances.
        rng: source of chance.
    """
    decoys: list[Site] = []
    for kind in _KINDS:
        real = [site for site in sites if _kind(site) == kind]
        if not real:
            continue
        taken = np.unique([site.position for site in listed if _kind(site) == kind]).astype(np.int64)
        distance = Distance(wanted.nearest, wanted.farthest)
        free = decoy_positions(contig, (0, contig.size), *kind, taken, distance)
        chosen = draw_positions(free, min(round(wanted.ratio * len(real)), free.size), rng)
        decoys += [Site(real[0].contig, place, *kind, 0, "") for place in chosen.tolist()]
    return decoys


def _of_loci(
    annotated: _Annotated, regions: tuple[str, ...], ratio: float, rng: np.random.Generator, drawn: Counter[str]
) -> Iterator[Site]:
    """Decoys in exons or introns of every locus; what is not wholly in an exon of its strand is in an intron."""
    contig = annotated.contig
    exons = {
        strand: merged(exon for one in contig.transcripts if one.strand == strand for exon in one.exons)
        for strand in "+-"
    }
    for locus in contig.loci:
        for site_type in (DONOR, ACCEPTOR):
            kind = locus.strand, site_type
            sites = annotated.real[kind]
            first, last = (bisect_left(sites, end, key=_position) for end in locus.span)
            if first == last:
                continue
            free = annotated.free(locus.span, kind)
            region = np.where(lie_inside(free, exons[locus.strand]), "exon", "intron")
            free = free[np.isin(region, regions)]
            chosen = draw_positions(free, _number(ratio * (last - first), free, drawn), rng)
            exonic = int(lie_inside(chosen, exons[locus.strand]).sum())
            drawn.update({name: n for name, n in (("exon", exonic), ("intron", chosen.size - exonic)) if n})
            gene = sites[first].gene
            yield from (Site(contig.name, place, locus.strand, site_type, 0, gene) for place in chosen.tolist())


def _between_loci(
    annotated: _Annotated, ratio: float, apart: int, rng: np.random.Generator, drawn: Counter[str]
) -> list[Site]:
    """Decoys between all transcripts, on either strand; each is named after its stretch."""
    contig = annotated.contig
    whole = (0, contig.tokens.size)
    gaps = gaps_between((one.span for one in (*contig.transcripts, *contig.untagged)), apart, contig.tokens.size)
    decoys: list[Site] = []
    for site_type in (DONOR, ACCEPTOR):
        free = {strand: annotated.free(whole, (strand, site_type)) for strand in "+-"}
        places = [
            (position, strand)
            for strand, positions in free.items()
            for position in positions[lie_inside(positions, gaps)].tolist()
        ]
        asked = ratio * sum(len(annotated.real[strand, site_type]) for strand in "+-")
        rows = np.arange(len(places))
        chosen = [places[row] for row in draw_positions(rows, _number(asked, rows, drawn), rng)]
        drawn.update({_INTERGENIC: len(chosen)} if chosen else {})
        decoys += [Site(contig.name, position, strand, site_type, 0, "") for position, strand in chosen]
    return named_by_stretch(sorted(decoys, key=_position), apart)


def _number(asked: float, free: Positions, drawn: Counter[str]) -> int:
    """Decoys that can be drawn of those asked for; what is missing is counted."""
    wanted = round(asked)
    if wanted > free.size:
        drawn[_MISSING] += wanted - free.size
    return min(wanted, free.size)


def _kind(site: Site) -> _Kind:
    return site.strand, site.site_type


def _position(site: Site) -> int:
    return site.position
