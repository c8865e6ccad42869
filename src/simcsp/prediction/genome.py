"""Every candidate splice site of a genome, scored on both strands."""

import time
from dataclasses import dataclass
from pathlib import Path

from simcsp.console import progress, say
from simcsp.errors import InputError
from simcsp.prediction.bigwig import write_bigwigs
from simcsp.prediction.classifier import Ensemble
from simcsp.prediction.growing import GrowingFiles
from simcsp.prediction.pieces import PIECE, ScoredSites, pieces_of, score_piece
from simcsp.prediction.tracks import TRACKS, bed_rows, bedgraph_rows, gff_rows, splice_score_rows
from simcsp.sequence.fasta import Genome
from simcsp.tally import Tally

SITES, CALLED, SPLICE_SCORES = "sites.bed", "called.gff3", "splice_scores.tsv"


@dataclass(frozen=True, kw_only=True)
class GenomeOptions:
    """What is scored and written.

    Attributes:
        introns: kinds of :data:`simcsp.sequence.candidates.INTRONS`.
        site_fraction: of splice sites among all candidates of a genome; about 0.001 in human (Yang et al. 2025).
        threshold: of called sites; None takes that of the best validation F1 at ``site_fraction``.
        least: sites of a lower probability are left out of every file.
        bigwig: write bigWig beside bedGraph.
    """

    introns: tuple[str, ...] = ("GT-AG",)
    site_fraction: float = 0.001
    threshold: float | None = None
    least: float = 0.0
    bigwig: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.site_fraction < 1:
            raise InputError(f"--site-fraction must lie between 0 and 1, found {self.site_fraction}")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise InputError(f"--threshold is a probability, 0 to 1, found {self.threshold}")
        if not 0 <= self.least <= 1:
            raise InputError(f"--least is a probability, 0 to 1, found {self.least}")


def score_genome(genome: Genome, ensemble: Ensemble, options: GenomeOptions, folder: Path) -> None:
    """Write sites, tracks, called sites and splice scores of a genome to a claimed folder, or go on doing so.

    Raises:
        InputError: if a letter is no nucleotide code, or no contig is as long as a window.
    """
    if max(genome.lengths.values()) < ensemble.window:
        raise InputError(f"no contig is as long as a window of {ensemble.window} nt", path=genome.path)
    expected = ensemble.threshold(options.site_fraction)
    threshold = expected.probability if options.threshold is None else options.threshold
    contigs = Tally("contigs", genome.path.name, read=len(genome.lengths))
    contigs.drop(f"shorter than a window of {ensemble.window} nt", sum(
        length < ensemble.window for length in genome.lengths.values()
    ))  # fmt: skip
    candidates, called = Tally("candidates", genome.path.name), Tally("sites", "called")
    output = GrowingFiles(folder, _heads(genome, threshold), (candidates, called))
    pieces = pieces_of(genome.lengths, PIECE)
    done, total = sum(piece.end - piece.start for piece in pieces[: output.done]), sum(genome.lengths.values())
    begun = time.perf_counter()
    with progress(None, "predict", unit="nt", start=done, total=total, scale=True) as bar:
        for piece in pieces[output.done :]:
            scored = score_piece(genome, piece, ensemble, options.introns, candidates)
            kept = scored.take(scored.probability >= options.least)
            candidates.drop(f"probability below {options.least}", len(scored.probability) - len(kept.probability))
            called.read += int((kept.probability >= threshold).sum())
            output.append(_texts(kept, ensemble.share, options.site_fraction, threshold))
            bar.update(piece.end - piece.start)
    rate = (total - done) / (time.perf_counter() - begun)
    if options.bigwig:
        write_bigwigs({name: output.path[name] for name in TRACKS}, genome.lengths, folder)
    summary = {"contigs": contigs.as_dict(), "candidates": candidates.as_dict(), "called": called.read}
    output.finish({**summary, "threshold": threshold, "nt_per_second": rate})
    say(f"{contigs}\n{candidates}")
    say(f"predict: {called.read:,} sites called at probability {threshold:.4f}; {rate:,.0f} nt/s")
    if candidates.read and not called.read:
        option = "--least" if options.least > threshold else "--threshold"
        lower = f"a lower {option} (column 5 of {SITES} is 1000 × probability) and another --output"
        say(f"predict: for sites to be called, choose {lower}")
    if options.threshold is None:
        say(
            f"predict: expected there, if {options.site_fraction:g} of the candidates are sites: precision "
            f"{expected.precision:.2f}, recall {expected.recall:.2f}, F1 {expected.f1:.2f}"
        )


def _heads(genome: Genome, threshold: float) -> dict[str, str]:
    regions = "".join(
        f"##sequence-region {name} 1 {genome.lengths[name]}\n" for name in sorted(genome.lengths, key=str.encode)
    )
    gff = f"##gff-version 3\n{regions}# sites of probability {threshold:.4f} and more\n"
    return {SITES: "", CALLED: gff, SPLICE_SCORES: "", **dict.fromkeys(TRACKS, "")}


def _texts(scored: ScoredSites, share: float, site_fraction: float, threshold: float) -> dict[str, str]:
    return {
        SITES: bed_rows(scored),
        CALLED: gff_rows(scored, threshold),
        SPLICE_SCORES: splice_score_rows(scored, share, site_fraction),
        **{name: bedgraph_rows(scored, site_type, reverse) for name, (site_type, reverse) in TRACKS.items()},
    }
