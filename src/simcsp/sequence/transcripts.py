"""Transcripts and their introns, as every format of annotation gives them.

Coordinates are 0-based half-open on the forward strand of the contig.
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from simcsp.tally import Tally

SHORTEST_INTRON = 20  # nt; shorter gaps between exons mark frameshifts and alignment gaps, not introns
_DIGITS = 18  # fit into 64 bits

Interval = tuple[int, int]
Lines = Iterable[tuple[int, str]]  # with their 1-based numbers


class Transcript(NamedTuple):
    """One transcript; ``exons`` are sorted by position and do not overlap.

    Where a file gives no more than an intron, the transcript has two empty exons, one at either end of the intron:
    its span is the intron, and no exon is made up.
    """

    name: str
    gene: str
    contig: str
    strand: str
    exons: tuple[Interval, ...]

    @property
    def span(self) -> Interval:
        """From the first to the last exon: the pre-mRNA."""
        return self.exons[0][0], self.exons[-1][1]


class Intron(NamedTuple):
    """One intron, ``[start, end)`` on the forward strand of the contig."""

    contig: str
    start: int
    end: int
    strand: str
    gene: str


class Annotation(NamedTuple):
    """What an annotation file holds.

    Attributes:
        transcripts: in the order of their first rows.
        tally: of transcripts read, dropped and changed.
        contig_lengths: nt by name, of the contigs whose length the file states; only GFF3 does.
        untagged: transcripts that lack the tags asked for: theirs are no splice sites then, nor are they decoys.
    """

    transcripts: list[Transcript]
    tally: Tally
    contig_lengths: dict[str, int]
    untagged: list[Transcript]


def introns_of(transcripts: Iterable[Transcript], source: str) -> tuple[list[Intron], Tally]:
    """Distinct introns, in the order of the transcripts.

    An intron is the gap between neighbouring exons of a transcript; the same gap in several transcripts counts
    once, with the gene of the first.
    """
    tally = Tally("introns", source)
    seen: dict[tuple[str, int, int, str], Intron] = {}
    for transcript in transcripts:
        for (_, start), (end, _) in pairwise(transcript.exons):
            tally.read += 1
            key = (transcript.contig, start, end, transcript.strand)
            if end - start < SHORTEST_INTRON:
                tally.dropped[f"shorter than {SHORTEST_INTRON} nt"] += 1
            elif key in seen:
                tally.dropped["the same intron in another transcript, counted once"] += 1
            else:
                seen[key] = Intron(*key, gene=transcript.gene)
    return list(seen.values()), tally


def is_data(line: str) -> bool:
    """Whether a line is neither blank nor a comment nor one of those that tell a browser how to draw a track."""
    return not line.startswith(("#", "track ", "browser ")) and not line.isspace() and line != ""


def whole_number(text: str, what: str) -> int:
    """Read a number written in digits alone; ``int`` would also take ``+5``, `` 5``, ``1_000`` and other scripts.

    Args:
        text: of one column.
        what: its name, for the error.

    Raises:
        ValueError: says what was found instead.
    """
    if not (text.isdigit() and text.isascii()) or len(text) > _DIGITS:
        raise ValueError(f"{what} must be a whole number, found {text[:40]!r}")
    return int(text)
