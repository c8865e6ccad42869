"""What the variants of a VCF do to splice sites: the VCF again with scores, and a table of sites gained and lost."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from simcsp.console import progress, say
from simcsp.errors import InputError
from simcsp.prediction.genes import Genes
from simcsp.prediction.growing import GrowingFiles
from simcsp.prediction.haplotypes import (
    ChangedSites,
    Difference,
    best_by_place,
    changed_sites,
    delta_scores,
    differences,
)
from simcsp.prediction.reference_check import is_mismatched, is_unread, survey
from simcsp.prediction.refused import HEAD, REFUSED, Refusal, finish_records, refused_rows, write_records
from simcsp.prediction.scorer import Probabilities, Scorer
from simcsp.sequence.fasta import Genome
from simcsp.sequence.sites import SITE_NAMES
from simcsp.sequence.vcf import Header, Record, change, read_records, why_unreadable
from simcsp.tally import Tally

VARIANTS, CHANGED = "variants.vcf", "changed_sites.tsv"
INFO = "SimCSP"
_FORMAT = "ALLELE|SYMBOL|DS_AG|DS_AL|DS_DG|DS_DL|DP_AG|DP_AL|DP_DG|DP_DL|STRAND"
_AT_ONCE = 64  # records


class Alleles(NamedTuple):
    """A record with the changed sites of each alternative allele; None where the allele cannot be scored."""

    record: Record
    contig: str
    sites: list[tuple[ChangedSites, ChangedSites] | None]


class VariantOptions(NamedTuple):
    """What is scored and written.

    Attributes:
        introns: kinds of :data:`simcsp.sequence.candidates.INTRONS`.
        least_change: sites that change by less are left out of the table.
    """

    introns: tuple[str, ...] = ("GT-AG",)
    least_change: float = 0.1


def score_variants(
    genome: Genome,
    path: Path,
    header: Header,
    contigs: dict[str, str],
    genes: Genes,
    scorer: Scorer,
    options: VariantOptions,
    folder: Path,
) -> None:
    """Write the VCF with a ``SimCSP`` field in INFO to a claimed folder, or go on doing so.

    Args:
        genome: the reference.
        path: of the VCF.
        header: of it.
        contigs: name in the VCF → contig of the FASTA.
        genes: whose strands are looked at; both where none is known.
        scorer: gives probabilities.
        options: what is scored and written.
        folder: to write to.

    Raises:
        InputError: as :func:`survey`, or if the VCF has the field already.
    """
    seen = survey(path, genome, contigs)
    tally, written = Tally("records", path.name), Tally("records", "written")
    output = GrowingFiles(folder, _heads(header, path), (tally, written))
    records = read_records(path)
    done = len(list(islice(records, output.done * _AT_ONCE)))
    with progress(None, "predict", unit="record", start=done, total=seen.records) as bar:
        parts = iter(lambda: list(islice(records, _AT_ONCE)), [])
        write_records(
            output, parts, lambda part: _texts(part, genome, contigs, genes, scorer, options, tally), VARIANTS, bar
        )
    if seen.unsorted:
        say(f"predict: records are not sorted from line {seen.unsorted} on; {VARIANTS} keeps their order, for tabix")
        say("    sort it first: bcftools sort")
    finish_records(output, {"first unsorted line": seen.unsorted})


def _heads(header: Header, path: Path) -> dict[str, str]:
    if any(line.startswith(f"##INFO=<ID={INFO},") for line in header.lines):
        raise InputError(f"INFO has a field {INFO} already", path=path, hint=f"bcftools annotate -x INFO/{INFO}")
    described = (
        f'##INFO=<ID={INFO},Number=.,Type=String,Description="Delta scores and positions of splice sites, acceptor and '
        f'donor gain and loss; one entry per allele and gene or strand. Format: {_FORMAT}">'
    )
    lines = [*header.lines[:-1], described, header.lines[-1]]
    changed = "line\tcontig\tposition\tref\talt\tsite\tstrand\tplace\tbefore\tafter\tdelta\tchange\n"
    return {VARIANTS: "".join(f"{line}\n" for line in lines), CHANGED: changed, REFUSED: HEAD}


def _texts(
    part: list[Record],
    genome: Genome,
    contigs: dict[str, str],
    genes: Genes,
    scorer: Scorer,
    options: VariantOptions,
    tally: Tally,
) -> dict[str, str]:
    refused: list[Refusal] = []
    good: list[Alleles] = []
    for record in part:
        if reason := _why_refused(record, genome, contigs):
            refused.append(Refusal(record.line, ":".join(record.columns[:2]), reason))
            continue
        good.append(_alleles(record, contigs[record.contig], genome, scorer, options))
        for alt in record.alts:
            if reason := why_unreadable(record.ref, alt):
                tally.changed[f"alleles beside others left without scores: {reason}"] += 1
    texts = {VARIANTS: "", CHANGED: "", REFUSED: refused_rows(refused, tally)}
    probabilities = iter(_score(good, scorer))
    for alleles in good:
        scored = [None if pair is None else _by_place(pair, probabilities) for pair in alleles.sites]
        texts[VARIANTS] += _vcf_row(alleles, scored, genes)
        texts[CHANGED] += "".join(_changed_rows(alleles, scored, options.least_change))
    return texts


ByPlace = tuple[dict[tuple[int, bool, int], float], dict[tuple[int, bool, int], float]]


def _why_refused(record: Record, genome: Genome, contigs: dict[str, str]) -> str:
    if record.contig not in contigs:
        return "contig not in the FASTA"
    contig = contigs[record.contig]
    if record.position < 0 or record.position + len(record.ref) > genome.lengths[contig]:
        return "position outside the contig"
    if not record.alts:
        return "no alternative allele"
    if is_mismatched(record, genome, contig):
        return "REF is not the base of the FASTA"
    if is_unread(record, genome, contig):
        return "the FASTA has N in the place of REF"
    reasons = [why_unreadable(record.ref, alt) for alt in record.alts]
    return reasons[0] if all(reasons) else ""


def _alleles(record: Record, contig: str, genome: Genome, scorer: Scorer, options: VariantOptions) -> Alleles:
    sites = [
        None
        if why_unreadable(record.ref, alt)
        else changed_sites(
            genome,
            contig,
            change(record.position, record.ref, alt),
            scorer.window,
            scorer.max_unread,
            options.introns,
        )
        for alt in record.alts
    ]
    return Alleles(record, contig, sites)


def _score(good: Iterable[Alleles], scorer: Scorer) -> list[float]:
    """Probabilities of all windows in one go, in their order."""
    windows = [side.windows for alleles in good for pair in alleles.sites if pair is not None for side in pair]
    return scorer(np.concatenate(windows)).tolist() if windows else []


def _by_place(pair: tuple[ChangedSites, ChangedSites], probabilities: Iterator[float]) -> ByPlace:
    before, after = (best_by_place(side.places, _spread(side, probabilities)) for side in pair)
    return before, after


def _spread(side: ChangedSites, probabilities: Iterator[float]) -> Probabilities:
    """Probabilities of all sites of a haplotype, NaN where there is none."""
    values = np.full(len(side.places), np.nan)
    values[side.scorable] = list(islice(probabilities, int(side.scorable.sum())))
    return values


def _vcf_row(alleles: Alleles, scored: list[ByPlace | None], genes: Genes) -> str:
    record = alleles.record
    entries = []
    for alt, pair in zip(record.alts, scored, strict=True):
        for symbol, strand in genes.at(alleles.contig, record.position, record.position + len(record.ref)):
            found = [] if pair is None else differences(*pair, strand == "-")
            values = "|".join("." * 8) if pair is None else delta_scores(found, record.position)
            entries.append(f"{alt}|{symbol}|{values}|{strand}")
    before = record.columns[7]
    info = f"{INFO}={','.join(entries)}"
    columns = [*record.columns[:7], info if before in (".", "") else f"{before};{info}", *record.columns[8:]]
    return "\t".join(columns) + "\n"


def _changed_rows(alleles: Alleles, scored: list[ByPlace | None], least: float) -> Iterable[str]:
    record = alleles.record
    for alt, pair in zip(record.alts, scored, strict=True):
        if pair is None:
            continue
        for strand in ("+", "-"):
            for one in differences(*pair, strand == "-"):
                if abs(one.delta) >= least:
                    yield _changed_row(record, alt, strand, one)


def _changed_row(record: Record, alt: str, strand: str, one: Difference) -> str:
    what = "gained" if one.delta > 0 else "lost"
    return (
        f"{record.line}\t{record.contig}\t{record.position + 1}\t{record.ref}\t{alt}\t{SITE_NAMES[one.site_type]}\t"
        f"{strand}\t{one.place + 1}\t{one.before:.4f}\t{one.after:.4f}\t{one.delta:.4f}\t{what}\n"
    )
