"""A simulated genome in memory, and how it becomes FASTA and GTF.

In memory all is in the direction of transcription: one long array of loci, each a gene with its surroundings read
5'→3' along the gene. Only writing turns the loci of the reverse strand round and joins them to contigs.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simcsp.sequence.alphabet import Tokens, decode, reverse_complement
from simcsp.storage import whole_file

FASTA_WIDTH = 60  # nt per line

Roles = NDArray[np.uint8]
Positions = NDArray[np.int64]


class Locus(NamedTuple):
    """A gene and its surroundings: ``[start, end)`` and ``exons`` ``(n, 2)`` are places in a genome's arrays."""

    gene: str
    contig: str
    strand: str
    start: int
    end: int
    exons: Positions


class Genome(NamedTuple):
    """All loci of one species end to end, those of one contig next to each other.

    Attributes:
        tokens: ``(length,)`` nucleotides.
        roles: ``(length,)`` what each position is: a number of `simcsp.sequence.simulate`.
        loci: the loci in order.
    """

    tokens: Tokens
    roles: Roles
    loci: tuple[Locus, ...]


class SimulatedSpecies(NamedTuple):
    """One written species."""

    name: str
    fasta: Path
    gtf: Path


def write_species(name: str, genome: Genome, folder: Path) -> SimulatedSpecies:
    """Write ``<name>.fa`` and ``<name>.gtf`` into ``folder``, each complete or not at all."""
    species = SimulatedSpecies(name, folder / f"{name}.fa", folder / f"{name}.gtf")
    _write_atomically(species.fasta, _fasta_lines(genome))
    _write_atomically(species.gtf, _gtf_lines(name, genome))
    return species


def _fasta_lines(genome: Genome) -> Iterator[str]:
    pieces: dict[str, list[Tokens]] = {}
    for locus in genome.loci:
        piece = genome.tokens[locus.start : locus.end]
        pieces.setdefault(locus.contig, []).append(piece if locus.strand == "+" else reverse_complement(piece))
    for contig, tokens in pieces.items():
        letters = decode(np.concatenate(tokens))
        yield f">{contig}"
        yield from (letters[at : at + FASTA_WIDTH] for at in range(0, len(letters), FASTA_WIDTH))


def _gtf_lines(name: str, genome: Genome) -> Iterator[str]:
    """Rows of gene, transcript and exons; 1-based and closed, exons in the direction of transcription."""
    yield f"#!genome-build simulated {name}"
    origins: dict[str, int] = {}
    for locus in genome.loci:
        origin = origins.setdefault(locus.contig, locus.start)
        exons = locus.exons if locus.strand == "+" else locus.start + locus.end - locus.exons[:, ::-1]
        exons = exons - origin
        gene = f'gene_id "{locus.gene}";'
        transcript = f'{gene} transcript_id "{locus.gene}.1";'
        whole = exons.min(), exons.max()
        yield _gtf_row(locus, "gene", *whole, gene)
        yield _gtf_row(locus, "transcript", *whole, transcript)
        for number, (start, end) in enumerate(exons, 1):
            yield _gtf_row(locus, "exon", start, end, f'{transcript} exon_number "{number}";')


def _gtf_row(locus: Locus, feature: str, start: int, end: int, attributes: str) -> str:
    return f"{locus.contig}\tsimulated\t{feature}\t{start + 1}\t{end}\t.\t{locus.strand}\t.\t{attributes}"


def _write_atomically(path: Path, lines: Iterator[str]) -> None:
    with whole_file(path) as partial, partial.open("w", encoding="ascii", newline="\n") as file:
        file.writelines(f"{line}\n" for line in lines)
