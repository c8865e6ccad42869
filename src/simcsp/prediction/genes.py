"""Genes at a place: which strands a variant is looked at on, and what the gene is called."""

import re
from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from simcsp.sequence.transcripts import Transcript

BOTH_STRANDS = ((".", "+"), (".", "-"))


class Genes:
    """Spans of genes by contig, 0-based half-open; without any, every place has both strands.

    Args:
        transcripts: of all genes.
    """

    def __init__(self, transcripts: Iterable[Transcript] = ()) -> None:
        spans: dict[tuple[str, str, str], tuple[int, int]] = {}
        for one in transcripts:
            key = (one.contig, one.gene, one.strand)
            start, end = spans.get(key, one.span)
            spans[key] = min(start, one.span[0]), max(end, one.span[1])
        self._of: dict[str, list[tuple[str, str]]] = defaultdict(list)
        bounds: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for (contig, gene, strand), span in spans.items():
            self._of[contig].append((re.sub(r"[|,;=\s]", "_", gene), strand))  # separators of INFO
            bounds[contig].append(span)
        self._bounds: dict[str, NDArray[np.int64]] = {contig: np.array(rows) for contig, rows in bounds.items()}

    def at(self, contig: str, start: int, end: int) -> list[tuple[str, str]]:
        """Symbol and strand of every gene that overlaps ``[start, end)``; ``.`` on both strands if none does."""
        if contig not in self._bounds:
            return list(BOTH_STRANDS)
        spans = self._bounds[contig]
        rows = np.flatnonzero((spans[:, 0] < end) & (spans[:, 1] > start))
        return [self._of[contig][row] for row in rows] or list(BOTH_STRANDS)
