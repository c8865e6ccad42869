"""Windows from a FASTA and its annotation: annotated splice sites, and decoys as configured."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from simcsp.config import DataConfig, WindowSource
from simcsp.datasets.genome_annotation import AnnotatedGenome, Contig
from simcsp.datasets.readers.decoys import draw_decoys
from simcsp.datasets.readers.site_windows import site_windows
from simcsp.datasets.windows import WindowTable, concatenate
from simcsp.errors import InputError
from simcsp.sequence.sites import Site, splice_sites
from simcsp.tally import Tally


def read(
    source: WindowSource, data: DataConfig, cache: Path, rng: np.random.Generator
) -> tuple[WindowTable, list[Tally]]:
    """Read one annotated genome.

    Splice sites are the distinct intron ends with GT (donor) or AG (acceptor). Decoys are other GT and AG, by default
    of the same locus and strand, so that neither the dinucleotide nor the composition of the gene gives a label away.

    Raises:
        InputError: if the FASTA is not the assembly asked for, the annotation does not belong to it or has none of
            the tags, or no site is left.
    """
    if source.fasta is None or source.annotation is None:
        raise ValueError("a genome source has a FASTA and an annotation")
    annotated = AnnotatedGenome(
        data.root / source.fasta,
        data.root / source.annotation,
        cache,
        tags=source.tags,
        assembly=source.assembly,
        ignore_missing_contigs=source.ignore_missing_contigs,
        apart=data.window,
    )
    rate = annotated.check_assembly(data.min_gt_ag)
    tally = Tally("sites and decoys", source.species)
    drawn: Counter[str] = Counter()
    tables = []
    for contig in annotated.contigs():
        real = splice_sites(contig.introns)
        decoys = draw_decoys(contig, real, source.decoys, data.window, rng, drawn)
        tables.append(site_windows(contig.tokens, real + decoys, _group_of(contig), source.species, data, tally))
    annotated.genome.close()
    regions = ", ".join(f"{count:,} {region}" for region, count in sorted(drawn.items()))
    tally.source += f" ({rate:.1%} of introns GT–AG; decoys: {regions})"
    table = concatenate(tables)
    if not len(table.label):
        raise InputError("no site is left to learn from", path=annotated.annotation, hint=f"Dropped {tally.reasons}")
    return table, [*annotated.tallies, tally]


def _group_of(contig: Contig) -> Callable[[Site], str]:
    """Group of a site's gene; an intergenic decoy has none, and its stretch is its group."""
    return lambda site: contig.group_of.get(site.gene, site.gene)
