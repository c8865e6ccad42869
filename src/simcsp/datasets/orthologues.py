"""Windows of the same splice sites in several species, from a table of aligned sites and the genomes.

The table is tab-separated, plain or gzip; its first line, with or without ``#``, names the columns. Read are ``type``
(``D`` donor, ``A`` acceptor), where the site is in the reference (``<reference>_chrom``, ``<reference>_pos0``,
``<reference>_strand``), and where in another species (``species``, ``seqname``, ``pos0_in_record``, ``strand``); other
columns are passed over. A position is 0-based on the forward strand: the intron's base next to the exon, its first for
a donor and its last for an acceptor in the direction of transcription.
"""

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from simcsp.config import DataConfig, OrthologueSource
from simcsp.datasets.readers.site_windows import site_windows
from simcsp.datasets.windows import WindowTable, concatenate
from simcsp.errors import InputError
from simcsp.sequence.assembly import match_contigs
from simcsp.sequence.fasta import Genome, nucleotides
from simcsp.sequence.files import text_lines
from simcsp.sequence.sites import ACCEPTOR, DONOR, Site
from simcsp.tally import Tally

_TYPES = {"D": DONOR, "A": ACCEPTOR}
_Sites = dict[str, dict[str, Site]]  # contig → name of the site → site


class _Column(NamedTuple):
    """Numbers of the columns that place a site in one genome."""

    contig: int
    position: int
    strand: int


def read_orthologues(source: OrthologueSource, data: DataConfig, cache: Path) -> tuple[WindowTable, list[Tally]]:
    """Windows of all species; those of one site have one group, named after the reference and the place there.

    Raises:
        InputError: if the table is malformed or names no species that has a genome, or a genome is not that of the
            table.
    """
    path = data.root / source.table
    fastas = {source.species: source.fasta, **{fasta.name.partition(".")[0]: fasta for fasta in source.others}}
    tally = Tally("rows", source.table.name)
    sites = _read_table(path, source.species, set(fastas), tally)
    tallies, tables = [tally], []
    for species, fasta in fastas.items():
        if species not in sites:
            raise InputError(
                f"no site of {species}", path=path, hint="A genome's file is named after its species in the table"
            )
        table, seen = _windows_of(species, sites[species], data.root / fasta, path, data, cache)
        tables.append(table)
        tallies.append(seen)
    return concatenate(tables), tallies


def whole_sites(table: WindowTable, kept: WindowTable, tally: Tally) -> WindowTable:
    """Leave out sites of which some species were left out: their sequence says too much of those.

    Args:
        table: all windows.
        kept: those that are left.
        tally: counts what goes.
    """
    before, after = (dict(zip(*np.unique(one.group, return_counts=True), strict=True)) for one in (table, kept))
    whole = np.array([before[site] == after[site] for site in kept.group], dtype=bool)
    tally.drop("of a site that was left out in another species", (~whole).sum())
    return kept.take(whole)


def _read_table(path: Path, reference: str, wanted: set[str], tally: Tally) -> dict[str, _Sites]:
    """Sites by species."""
    lines = text_lines(path)
    header = next(lines, (0, ""))[1].removeprefix("#").split("\t")
    in_reference = [f"{reference}_{name}" for name in ("chrom", "pos0", "strand")]
    missing = {"type", *in_reference, "species", "seqname", "pos0_in_record", "strand"} - set(header)
    if missing:
        raise InputError(f"the table has no column {', '.join(sorted(missing))}", path=path, line=1)
    place = {name: number for number, name in enumerate(header)}
    ours = _Column(*(place[name] for name in in_reference))
    theirs = _Column(*(place[name] for name in ("seqname", "pos0_in_record", "strand")))
    sites: dict[str, _Sites] = defaultdict(lambda: defaultdict(dict))
    for number, line in lines:
        row = line.split("\t")
        if len(row) != len(header):
            raise InputError(f"expected {len(header)} columns, found {len(row)}", path=path, line=number)
        tally.read += 1
        if row[place["species"]] not in wanted:
            tally.drop(f"no genome of {row[place['species']]}", 1)
            continue
        name = ":".join([reference, row[place["type"]], *(row[column] for column in ours)])
        for species, columns in ((reference, ours), (row[place["species"]], theirs)):
            site = _site(row, columns, row[place["type"]], name, path, number)
            sites[species][site.contig][name] = site
    return sites


def _site(row: list[str], column: _Column, kind: str, name: str, path: Path, line: int) -> Site:
    contig, position, strand = (row[number] for number in column)
    if kind not in _TYPES or strand not in ("+", "-") or not position.isdecimal():
        raise InputError(
            f"expected a type D or A, a whole number and a strand + or -, found {kind}, {position} and {strand}",
            path=path,
            line=line,
        )
    # The dinucleotide reaches on into the intron, which lies ahead of a donor and behind an acceptor.
    goes_left = (_TYPES[kind] == DONOR) == (strand == "-")
    return Site(contig, int(position) - goes_left, strand, _TYPES[kind], 1, name)


def _windows_of(
    species: str, sites: _Sites, fasta: Path, path: Path, data: DataConfig, cache: Path
) -> tuple[WindowTable, Tally]:
    genome, tally = Genome(fasta, cache), Tally("orthologous sites", species)
    contigs = Tally("contigs", fasta.name)
    contig_of = match_contigs(
        dict.fromkeys(sites), genome.lengths, declared={}, fasta=fasta, path=path, ignore_missing=False, tally=contigs
    )
    tables = []
    for name, here in sites.items():
        contig = contig_of[name]
        letters = genome.fetch(contig, 0, genome.lengths[contig])
        tokens = nucleotides(letters, contigs, path=fasta, contig=contig)
        placed = [site._replace(contig=contig) for site in here.values()]
        tables.append(site_windows(tokens, placed, _name, species, data, tally))
    genome.close()
    table = concatenate(tables)
    if len(table.label) < data.min_gt_ag * tally.read:
        raise InputError(
            f"only {len(table.label):,} of {tally.read:,} sites have a window with GT or AG in {fasta}",
            path=path,
            hint=f"Give the genome that the table was made of. Dropped {tally.reasons}",
        )
    return table, tally


def _name(site: Site) -> str:
    return site.gene
