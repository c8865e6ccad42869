"""Windows from a FASTA and a BED of sites whose names say what each is, as SpliceBERT's evaluation files do.

Six tab-separated columns, 0-based half-open: contig, start, end, name, anything, strand. The name is, or ends behind
its last ``|`` in, one of :data:`LABELS`. An interval of two nucleotides is the site's dinucleotide, one of a single
nucleotide the intron's base next to the exon: its first for a donor, its last for an acceptor, in the direction of
transcription. Files: github.com/chenkenbio/SpliceBERT, ``hg19.ss-motif.for_umap.bed.gz`` (``GT(donor)``,
``GT(non-donor)``, …) and ``K562.SSE.hg38.for_visualization.bed.gz`` (``donor(SSE < 0.2)``, …), where SSE is the
share of transcripts that use the site: sites hardly used are label 0 there, like decoys.

With ``min_score`` the fifth column is a score, as splice-site finders write it, and names are ``donor`` and
``acceptor``: sites of that score or more are splice sites, the others neither sites nor decoys, and decoys are drawn
from all other GT and AG.
"""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from simcsp.config import DataConfig, WindowSource
from simcsp.datasets.readers.decoys import draw_beside
from simcsp.datasets.readers.site_windows import named_by_stretch, site_windows
from simcsp.datasets.windows import WindowTable, concatenate
from simcsp.errors import InputError
from simcsp.sequence.alphabet import N, Tokens, encode, reverse_complement
from simcsp.sequence.assembly import explain_mismatch, match_contigs, require_assembly
from simcsp.sequence.bed import BedRow, read_bed6
from simcsp.sequence.fasta import Genome, nucleotides
from simcsp.sequence.sites import ACCEPTOR, DONOR, Site, is_canonical
from simcsp.tally import Tally

# Type and label by name, without blanks.
LABELS: dict[str, tuple[int, int]] = {
    "donor": (DONOR, 1),
    "acceptor": (ACCEPTOR, 1),
    "non-donor": (DONOR, 0),
    "non-acceptor": (ACCEPTOR, 0),
    "GT(donor)": (DONOR, 1),
    "AG(acceptor)": (ACCEPTOR, 1),
    "GT(non-donor)": (DONOR, 0),
    "AG(non-acceptor)": (ACCEPTOR, 0),
    "donor(SSE>0.8)": (DONOR, 1),
    "acceptor(SSE>0.8)": (ACCEPTOR, 1),
    "donor(SSE<0.2)": (DONOR, 0),
    "acceptor(SSE<0.2)": (ACCEPTOR, 0),
}

_BED = "BED counts from 0 and leaves the end out; give the dinucleotide, or the intron's base next to the exon"
_OFF_BY_ONE_MEANS = {
    "before": "The coordinates look 1-based; BED counts from 0 and leaves the end out",
    "behind": "The coordinates look one too low; BED counts from 0 and leaves the end out",
    "before and behind": "The bases look like the exons'; an interval of 1 nt is the intron's base next to the exon",
}
_OFF_BY_ONE = 0.25  # share of rows whose GT or AG is one base beside them; elsewhere in a genome it is about 0.06


def read(
    source: WindowSource,
    data: DataConfig,
    cache: Path,
    rng: np.random.Generator,
) -> tuple[WindowTable, list[Tally]]:
    """Read the labelled sites of one species.

    Sites of a contig, on either strand, that are nearer to each other than a window are one group, so that no two
    windows of different groups overlap.

    Raises:
        InputError: if a row is malformed, the sites do not belong to the FASTA or are not 0-based, or none is left.
    """
    if source.fasta is None or source.sites is None:
        raise ValueError("a source of sites has a FASTA and a BED file")
    fasta, path = data.root / source.fasta, data.root / source.sites
    rows = _read_rows(path, source.min_score)
    genome = Genome(fasta, cache)
    require_assembly(genome.lengths, source.assembly, fasta)
    contigs, tally = Tally("contigs", fasta.name), Tally("sites", source.species)
    contig_of = match_contigs(
        dict.fromkeys(row.contig for row in rows),
        genome.lengths,
        declared={},
        fasta=fasta,
        path=path,
        ignore_missing=source.ignore_missing_contigs,
        tally=contigs,
    )
    _check_ends(rows, contig_of, genome, path)
    sites = _distinct_sites(rows, contig_of, tally)
    if not sites:
        raise InputError("no site is left to learn from", path=path, hint=f"Dropped {tally.reasons}")
    rate = _check_assembly(sites, genome, data.min_gt_ag, path)
    tally.source += f" ({rate:.1%} GT or AG)"
    listed = _sites_of(rows, contig_of)
    tables = []
    for contig, named in sites.items():
        tokens = nucleotides(genome.fetch(contig, 0, genome.lengths[contig]), contigs, path=fasta, contig=contig)
        contigs.read += 1
        drawn = [] if source.min_score is None else draw_beside(tokens, named, listed[contig], source.decoys, rng)
        here = sorted([*named, *drawn], key=lambda site: site.position)
        tables.append(site_windows(tokens, named_by_stretch(here, data.window), _group_of, source.species, data, tally))
    genome.close()
    table = concatenate(tables)
    if not len(table.label):
        raise InputError("no site is left to learn from", path=path, hint=f"Dropped {tally.reasons}")
    return table, [contigs, tally]


class _Row(NamedTuple):
    """One line of the BED; ``position`` is the start of the dinucleotide on the forward strand, ``end`` the row's.

    What is not ``sure`` has too low a score.
    """

    contig: str
    position: int
    end: int
    strand: str
    site_type: int
    label: int
    line: int
    sure: bool


def _read_rows(path: Path, min_score: float | None) -> list[_Row]:
    rows = [_labelled(row, path, min_score) for row in read_bed6(path, "score or a second name")]
    if not rows:
        raise InputError("no site found", path=path, hint="Give a BED file with a labelled site on each line")
    return rows


def _labelled(row: BedRow, path: Path, min_score: float | None) -> _Row:
    contig, start, end, name, score, strand, number = row
    label = name.rpartition("|")[2]
    if (meaning := LABELS.get("".join(label.split()))) is None:
        hint = f"The name ends, after its last |, in one of {', '.join(LABELS)}"
        raise InputError(f"unknown label {label!r}", path=path, line=number, hint=hint)
    if end - start not in (1, 2):
        raise InputError(
            f"an interval of {end - start:,} nt, where 1 or 2 are a site", path=path, line=number, hint=_BED
        )  # fmt: skip
    # Of a single base the dinucleotide reaches on into the intron, which lies ahead of a donor and behind an acceptor.
    goes_left = end - start == 1 and (meaning[0] == DONOR) == (strand == "-")
    sure = min_score is None or _score(score, path, number) >= min_score
    return _Row(contig, start - goes_left, end, strand, *meaning, number, sure)


def _score(text: str, path: Path, number: int) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(
            f"the score must be a number, found {text!r}", path=path, line=number,
            hint="Leave min_score out if the names alone say what is a splice site",
        ) from None  # fmt: skip


def _check_ends(rows: list[_Row], contig_of: dict[str, str], genome: Genome, path: Path) -> None:
    here = [row for row in rows if row.contig in contig_of]
    for row in here:
        contig = contig_of[row.contig]
        if row.end > genome.lengths[contig]:
            raise InputError(
                f"site ends at {row.end:,}, beyond {contig} ({genome.lengths[contig]:,} nt) of {genome.path}",
                path=path,
                line=row.line,
                hint=explain_mismatch(genome.lengths, _reach((contig_of[row.contig], row.end) for row in here)),
            )


def _distinct_sites(rows: list[_Row], contig_of: dict[str, str], tally: Tally) -> dict[str, list[Site]]:
    """Sites by contig of the FASTA, by position; a site that is listed with both labels keeps label 1."""
    label_of: dict[tuple[str, int, str, int], int] = {}
    for row in rows:
        if row.contig not in contig_of:
            _drop(tally, "contig not in the FASTA")
            continue
        if not row.sure:
            _drop(tally, "score below the least")
            continue
        key = (contig_of[row.contig], row.position, row.strand, row.site_type)
        if key in label_of:
            contrary = label_of[key] != row.label
            _drop(tally, "label 0 where another row says label 1" if contrary else "same site as another row")
        label_of[key] = max(row.label, label_of.get(key, 0))
    sites = defaultdict(list)
    for (contig, position, strand, site_type), label in sorted(label_of.items()):
        sites[contig].append(Site(contig, position, strand, site_type, label, ""))
    return sites


def _sites_of(rows: list[_Row], contig_of: dict[str, str]) -> dict[str, list[Site]]:
    """All rows by contig of the FASTA, whatever their score."""
    listed = defaultdict(list)
    for row in (row for row in rows if row.contig in contig_of):
        contig = contig_of[row.contig]
        listed[contig].append(Site(contig, row.position, row.strand, row.site_type, row.label, ""))
    return listed


def _drop(tally: Tally, reason: str) -> None:
    tally.read += 1
    tally.dropped[reason] += 1


def _check_assembly(sites: dict[str, list[Site]], genome: Genome, least: float, path: Path) -> float:
    """Share of sites that are GT or AG, of those that are not N.

    Raises:
        InputError: if it is below ``least``, or if many are so one base beside the stated place.
    """
    flat = [site for here in sites.values() for site in here]
    site_types = np.array([site.site_type for site in flat], dtype=np.uint8)
    reverse = np.array([site.strand == "-" for site in flat])
    around = np.stack([_around(site, genome) for site in flat])
    around[reverse] = reverse_complement(around[reverse])
    readable = (around[:, 1:3] != N).all(axis=1)
    if not readable.any():
        raise InputError(f"all {len(flat):,} sites are N in {genome.path}", path=path, hint="Give a matching FASTA")
    upstream, stated, downstream = (is_canonical(around[:, first : first + 2], site_types) for first in range(3))
    rate = float(stated[readable].mean())
    beside = {"before": np.where(reverse, downstream, upstream), "behind": np.where(reverse, upstream, downstream)}
    shifted = {where: float((hits & ~stated)[readable].mean()) for where, hits in beside.items()}
    if max(shifted.values()) > _OFF_BY_ONE:
        raise _off_by_one(shifted, rate, path)
    if rate < least:
        raise InputError(
            f"only {rate:.1%} of {readable.sum():,} sites are GT (donor) or AG (acceptor) in {genome.path}",
            path=path,
            hint=explain_mismatch(genome.lengths, _reach((site.contig, site.position + 2) for site in flat)),
        )
    return rate


def _off_by_one(shifted: dict[str, float], rate: float, path: Path) -> InputError:
    much = [where for where, share in shifted.items() if share > _OFF_BY_ONE]
    places = " and ".join(f"one base {where} it for {shifted[where]:.1%}" for where in much)
    return InputError(
        f"GT or AG is at the stated place for {rate:.1%} of the sites, and on the forward strand {places}",
        path=path,
        hint=_OFF_BY_ONE_MEANS[" and ".join(much)],
    )


def _around(site: Site, genome: Genome) -> Tokens:
    """The dinucleotide and one base on either side, ``(4,)``, forward strand; N beyond the contig."""
    start, end = max(site.position - 1, 0), min(site.position + 3, genome.lengths[site.contig])
    letters = b"N" * (start - site.position + 1) + genome.fetch(site.contig, start, end)
    return encode(letters.ljust(4, b"N")).tokens


def _reach(ends: Iterable[tuple[str, int]]) -> dict[str, int]:
    reach: dict[str, int] = defaultdict(int)
    for contig, end in ends:
        reach[contig] = max(reach[contig], end)
    return reach


def _group_of(site: Site) -> str:
    return site.gene
