"""Windows from a FASTA and a GTF or GFF3: annotated splice sites, and decoys from the same loci."""

from bisect import bisect_left
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simcsp.config import DataConfig, WindowSource
from simcsp.datasets.genome_annotation import AnnotatedGenome, Contig
from simcsp.datasets.windows import WindowTable, concatenate, window_table
from simcsp.errors import InputError
from simcsp.sequence.sites import Site, cut_windows, is_canonical, sample_decoys, splice_sites, unread_share
from simcsp.tally import Tally


def read(
    source: WindowSource, data: DataConfig, cache: Path, rng: np.random.Generator
) -> tuple[WindowTable, list[Tally]]:
    """Read one annotated genome.

    Splice sites are the distinct intron ends with GT (donor) or AG (acceptor). Decoys are drawn from the other
    GT and AG of the same locus and strand, so that neither the dinucleotide nor the composition of the gene
    gives a label away.

    Raises:
        InputError: if the annotation does not belong to the FASTA, or no site is left.
    """
    if source.fasta is None or source.annotation is None:
        raise ValueError("a genome source has a FASTA and an annotation")
    annotated = AnnotatedGenome(
        data.root / source.fasta,
        data.root / source.annotation,
        cache,
        ignore_missing_contigs=source.ignore_missing_contigs,
        apart=data.window,
    )
    rate = annotated.check_assembly(data.min_gt_ag)
    tally = Tally("sites and decoys", f"{source.species} ({rate:.1%} of introns GT–AG)")
    tables = []
    for contig in annotated.contigs():
        sites = _sites_and_decoys(contig, source.decoys.ratio, rng)
        tables.append(_windows(contig, sites, source.species, data, tally))
    annotated.genome.close()
    table = concatenate(tables)
    if not len(table.label):
        raise InputError("no site is left to learn from", path=annotated.annotation, hint=f"Dropped {tally.reasons}")
    return table, [*annotated.tallies, tally]


def _sites_and_decoys(contig: Contig, ratio: float, rng: np.random.Generator) -> list[Site]:
    real = splice_sites(contig.introns)
    chosen = list(real)
    for strand in "+-":
        sites = sorted((site for site in real if site.strand == strand), key=_position)
        for locus in contig.loci:
            if locus.strand == strand:
                first, last = (bisect_left(sites, end, key=_position) for end in locus.span)
                chosen += sample_decoys(contig.tokens, locus.span, strand, sites[first:last], rng, ratio)
    return chosen


def _position(site: Site) -> int:
    return site.position


def _windows(contig: Contig, sites: list[Site], species: str, data: DataConfig, tally: Tally) -> WindowTable:
    positions = np.array([site.position for site in sites], dtype=np.int64)
    reverse = np.array([site.strand == "-" for site in sites], dtype=bool)
    tokens, inside = cut_windows(contig.tokens, positions, reverse, data.window)
    rows = np.flatnonzero(inside)
    site_type = np.array([sites[row].site_type for row in rows], dtype=np.uint8)
    unread = unread_share(tokens) > data.max_unread
    odd = ~unread & ~is_canonical(tokens, site_type)
    tally.read += len(sites)
    _count(tally, f"window of {data.window} nt reaches beyond the contig", ~inside)
    _count(tally, f"more than {data.max_unread:.0%} N", unread)
    _count(tally, "no GT (donor) or AG (acceptor)", odd)
    good = ~unread & ~odd
    kept = [sites[row] for row in rows[good]]
    return window_table(
        tokens[good],
        label=np.array([site.label for site in kept], dtype=np.uint8),
        site_type=site_type[good],
        species=species,
        group=[contig.group_of[site.gene] for site in kept],
        origin=[f"{site.contig}:{site.position}-{site.position + 2}:{site.strand}" for site in kept],
    )


def _count(tally: Tally, reason: str, rows: NDArray[np.bool_]) -> None:
    if rows.any():
        tally.dropped[reason] += int(rows.sum())
