"""A genome piece by piece: candidates, their windows and what a scorer says of them, in memory that does not grow."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simcsp.prediction.scorer import Probabilities, Scorer
from simcsp.sequence.alphabet import Tokens, encode
from simcsp.sequence.candidates import Candidates, find_candidates
from simcsp.sequence.fasta import Genome, nucleotides
from simcsp.sequence.sites import central_dinucleotides, cut_windows, unread_share
from simcsp.tally import Tally

PIECE = 1 << 17  # nt; also what a killed prediction repeats at most


class Piece(NamedTuple):
    """A stretch of a contig, 0-based half-open."""

    contig: str
    start: int
    end: int


class ScoredSites(NamedTuple):
    """Sites of one contig with their probabilities.

    Attributes:
        contig: name.
        sites: ``n`` of them, positions on the contig, rising.
        dinucleotide: ``(n, 2)`` tokens, read on the strand of the site.
        probability: ``(n,)``.
    """

    contig: str
    sites: Candidates
    dinucleotide: Tokens
    probability: Probabilities

    def take(self, rows: NDArray[np.bool_]) -> "ScoredSites":
        """The chosen ones."""
        return ScoredSites(self.contig, self.sites.take(rows), self.dinucleotide[rows], self.probability[rows])


def pieces_of(lengths: dict[str, int], size: int) -> list[Piece]:
    """Pieces of all contigs, in the order of ``LC_ALL=C sort -k1,1 -k2,2n``."""
    names = sorted(lengths, key=str.encode)
    return [
        Piece(name, start, min(start + size, lengths[name]))
        for name in names
        for start in range(0, lengths[name], size)
    ]


def score_piece(genome: Genome, piece: Piece, scorer: Scorer, introns: Sequence[str], tally: Tally) -> ScoredSites:
    """Score every candidate whose dinucleotide begins in a piece.

    Args:
        genome: holds the contig.
        piece: of it.
        scorer: gives the probabilities.
        introns: kinds of :data:`simcsp.sequence.candidates.INTRONS`.
        tally: of candidates; counts those without a whole window, or with too much N in it, and changed letters.
    """
    reach = scorer.window // 2
    first, last = max(0, piece.start - reach), min(genome.lengths[piece.contig], piece.end + reach + 1)
    tokens = _tokens(genome, piece, first, last, tally)
    inside = tokens[piece.start - first : piece.end - first + 1]  # one more, for a dinucleotide over the border
    found = find_candidates(inside, introns)
    found = found.take(found.position < piece.end - piece.start)
    windows = cut_windows(tokens, found.position + (piece.start - first), found.reverse, scorer.window)
    kept = windows.inside.copy()
    read = unread_share(windows.tokens) <= scorer.max_unread
    kept[windows.inside] = read
    tally.read += len(kept)
    tally.drop(f"window of {scorer.window} nt reaches beyond the contig", np.count_nonzero(~windows.inside))
    tally.drop(f"more than {scorer.max_unread:.0%} N in the window", np.count_nonzero(~read))
    sites = found.take(kept)
    sites = sites._replace(position=sites.position + piece.start)
    chosen = windows.tokens[read]
    return ScoredSites(piece.contig, sites, central_dinucleotides(chosen), scorer(chosen))


def _tokens(genome: Genome, piece: Piece, first: int, last: int, tally: Tally) -> Tokens:
    """The piece with what its windows need on either side; changed letters are counted in the piece alone."""
    ends = ((first, piece.start), (piece.start, piece.end), (piece.end, last))
    before, letters, behind = (genome.fetch(piece.contig, start, end) for start, end in ends)
    own = nucleotides(letters, tally, path=genome.path, contig=piece.contig)
    return np.concatenate([encode(before).tokens, own, encode(behind).tokens])
