"""Scores of the sites that a BED file names."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from simcsp.console import progress
from simcsp.datasets.readers.sites import LABELS
from simcsp.errors import InputError
from simcsp.prediction.growing import GrowingFiles
from simcsp.prediction.refused import HEAD, REFUSED, Refusal, finish_records, refused_rows, write_records
from simcsp.prediction.scorer import Scorer
from simcsp.sequence.alphabet import Tokens, decode, encode, reverse_complement
from simcsp.sequence.assembly import resolve_contigs
from simcsp.sequence.bed import BedRow, read_bed6
from simcsp.sequence.candidates import INTRONS
from simcsp.sequence.fasta import Genome
from simcsp.sequence.sites import ACCEPTOR, DONOR, SITE_NAMES, central_dinucleotides, unread_share
from simcsp.tally import Tally

SITES_BED, SITES_TABLE = "sites.bed", "sites.tsv"
_AT_ONCE = 1024  # sites between two looks at the progress
_TYPES = {letters.decode(): site_type for ends in INTRONS.values() for site_type, letters in ends}
_BY_NAME = {name: site_type for name, (site_type, _) in LABELS.items()}


class Placed(NamedTuple):
    """A site with its window, or the reason why it has none; its contig is called as the FASTA does."""

    site: BedRow
    site_type: int = DONOR
    window: Tokens = np.empty(0, dtype=np.uint8)
    reason: str = ""


def score_sites(genome: Genome, bed: Path, scorer: Scorer, threshold: float, folder: Path) -> None:
    """Write the scores of given sites, sorted by place, to a claimed folder, or go on doing so.

    ``sites.bed`` is BED6 with 1000 times the probability as its score; ``sites.tsv`` has the probability. A site that
    cannot be scored is a row of ``refused.tsv``.

    Raises:
        InputError: if a row is no BED6, or no contig of it is in the FASTA.
    """
    tally, written = Tally("records", bed.name), Tally("records", "written")
    sites, lost = _read_bed(bed, genome)
    head = "contig\tstart\tend\tname\tstrand\tsite\tdinucleotide\tprobability\tcalled\n"
    output = GrowingFiles(folder, {SITES_BED: "", SITES_TABLE: head, REFUSED: HEAD}, (tally, written))
    if not output.done:
        tally.read += len(lost)
        output.append({REFUSED: refused_rows(lost, tally)})
    start = (output.done - 1) * _AT_ONCE
    with progress(None, "predict", unit="site", start=min(start, len(sites)), total=len(sites)) as bar:
        parts = (sites[first : first + _AT_ONCE] for first in range(start, len(sites), _AT_ONCE))
        write_records(output, parts, lambda part: _texts(part, genome, scorer, threshold, tally), SITES_BED, bar)
    finish_records(output, {"threshold": threshold})


def _read_bed(bed: Path, genome: Genome) -> tuple[list[BedRow], list[Refusal]]:
    """Sites by place, and rows of contigs that the FASTA lacks."""
    rows = list(read_bed6(bed, "score", further_columns=True, any_strand=True))
    if not rows:
        raise InputError("no site found", path=bed, hint="Give a BED file with a site on each line")
    contigs, missing = resolve_contigs((row.contig for row in rows), genome.lengths, path=bed)
    if not contigs:
        hint = "The two files have no contig in common; give a matching pair"
        raise InputError(f"none of its contigs is in {genome.path}", path=bed, hint=hint)
    absent = set(missing)
    lost = [Refusal(row.line, _as_text(row), "contig not in the FASTA") for row in rows if row.contig in absent]
    found = [row._replace(contig=contigs[row.contig]) for row in rows if row.contig not in absent]
    return sorted(found, key=lambda row: (row.contig.encode(), row.start, row.end, row.strand, row.line)), lost


def _texts(part: Sequence[BedRow], genome: Genome, scorer: Scorer, threshold: float, tally: Tally) -> dict[str, str]:
    placed = [_place(site, genome, scorer) for site in part]
    good = [one for one in placed if not one.reason]
    refused = [Refusal(one.site.line, _as_text(one.site), one.reason) for one in placed if one.reason]
    texts = {SITES_BED: "", SITES_TABLE: "", REFUSED: refused_rows(refused, tally)}
    if not good:
        return texts
    for one, probability in zip(good, scorer(np.stack([one.window for one in good])).tolist(), strict=True):
        (contig, start, end, name, _, strand, _), half = one.site, scorer.window // 2
        texts[SITES_BED] += f"{contig}\t{start}\t{end}\t{name}\t{round(1000 * probability)}\t{strand}\n"
        texts[SITES_TABLE] += (
            f"{contig}\t{start}\t{end}\t{name}\t{strand}\t{SITE_NAMES[one.site_type]}\t"
            f"{decode(one.window[half - 1 : half + 1])}\t{probability:.6g}\t{int(probability >= threshold)}\n"
        )
    return texts


def _place(site: BedRow, genome: Genome, scorer: Scorer) -> Placed:
    """Cut the window of a site.

    An interval of two nucleotides is the dinucleotide; one of a single nucleotide is the intron's base next to the
    exon. What the site is, its name says as in the formats of training data, and its dinucleotide where it does not.
    """
    if site.strand not in ("+", "-"):
        return Placed(site, reason="no strand")
    if site.end - site.start not in (1, 2):
        return Placed(site, reason="interval is neither one nucleotide nor two")
    named = _BY_NAME.get("".join(site.name.rpartition("|")[2].split()))
    windows = {kind: _window(site, kind, genome, scorer.window) for kind in (DONOR, ACCEPTOR)}
    fitting = [kind for kind in windows if kind == named] or _fitting(windows)
    if len(fitting) != 1:
        return Placed(site, reason="neither its name nor its dinucleotide says whether it is a donor or an acceptor")
    window = windows[fitting[0]]
    if not window.size:
        return Placed(site, reason=f"window of {scorer.window} nt reaches beyond the contig")
    if unread_share(window[None])[0] > scorer.max_unread:
        return Placed(site, reason=f"more than {scorer.max_unread:.0%} N in the window")
    return Placed(site, fitting[0], window)


def _window(site: BedRow, site_type: int, genome: Genome, length: int) -> Tokens:
    """The window of a site if it is of a type; empty if it reaches beyond the contig."""
    reverse = site.strand == "-"
    goes_left = site.end - site.start == 1 and (site_type == DONOR) == reverse
    first = site.start - goes_left + 1 - length // 2
    if first < 0 or first + length > genome.lengths[site.contig]:
        return np.empty(0, dtype=np.uint8)
    window = encode(genome.fetch(site.contig, first, first + length)).tokens
    return reverse_complement(window) if reverse else window


def _fitting(windows: dict[int, Tokens]) -> list[int]:
    """The types whose dinucleotide is in the middle, GT and AG before the rarer; any where a window is missing."""
    if not all(window.size for window in windows.values()):
        return [next(iter(windows))]
    pairs = {kind: decode(central_dinucleotides(window[None])) for kind, window in windows.items()}
    usual = [kind for kind, pair in pairs.items() if pair == ("GT", "AG")[kind]]
    return usual or [kind for kind, pair in pairs.items() if _TYPES.get(pair) == kind]


def _as_text(site: BedRow) -> str:
    return f"{site.contig}:{site.start}-{site.end}:{site.strand}"
