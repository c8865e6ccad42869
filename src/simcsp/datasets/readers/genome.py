"""Windows from a FASTA and a GTF or GFF3: annotated splice sites, and decoys from the same loci."""

from bisect import bisect_left
from collections.abc import Callable
from pathlib import Path

import numpy as np

from simcsp.config import DataConfig, WindowSource
from simcsp.datasets.genome_annotation import AnnotatedGenome, Contig
from simcsp.datasets.readers.site_windows import site_windows
from simcsp.datasets.windows import WindowTable, concatenate
from simcsp.errors import InputError
from simcsp.sequence.sites import Site, sample_decoys, splice_sites
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
        tables.append(site_windows(contig.tokens, sites, _group_of(contig), source.species, data, tally))
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


def _group_of(contig: Contig) -> Callable[[Site], str]:
    return lambda site: contig.group_of[site.gene]


def _position(site: Site) -> int:
    return site.position
