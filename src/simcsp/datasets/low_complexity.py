"""Stretches of a sequence that are worth learning from: no gaps, few N, no microsatellites."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from simcsp.config import ChunkConfig
from simcsp.sequence.alphabet import FIRST_NUCLEOTIDE, N, Tokens
from simcsp.tally import Tally

_LONGEST_N_RUN = 10  # nt; longer runs are gaps of the assembly, and regions end there
_KINDS = 64  # trinucleotides
_BLOCK = 2048  # chunks counted at a time


def kept_stretches(tokens: Tokens, chunks: ChunkConfig, tally: Tally) -> Iterator[tuple[int, int]]:
    """Yield ``[start, end)`` of what is kept; what is not is counted in nucleotides, by reason.

    Every stretch between gaps is cut into chunks, the rest at its end being a chunk of its own. Chunks are kept or left
    out as a whole, and neighbouring ones that are kept are one stretch.

    Args:
        tokens: ``(length,)`` nucleotides.
        chunks: how long they are, and what is left out.
        tally: of nucleotides.
    """
    gaps = 0
    position = 0
    for start, end in _between_gaps(tokens):
        gaps += start - position
        position = end
        yield from _kept_chunks(tokens[start:end], start, chunks, tally)
    tally.drop(f"in runs of more than {_LONGEST_N_RUN} N", gaps + tokens.size - position)


def trinucleotide_entropy(chunks: Tokens) -> NDArray[np.float64]:
    """Shannon entropy in bits of the overlapping trinucleotides of each chunk: ``(n, length)`` → ``(n,)``.

    The measure of DUST's successors (Morgulis et al. 2006, J Comput Biol 13:1028) in its simplest form: 0 for a
    homopolymer, 1 for a dinucleotide repeat, near 6 for random sequence. N counts as A.

    >>> trinucleotide_entropy(np.array([[6, 7, 6, 7, 6, 7, 6, 7]], dtype=np.uint8)).tolist()
    [1.0]
    """
    bases = np.maximum(chunks, FIRST_NUCLEOTIDE) - np.uint8(FIRST_NUCLEOTIDE)
    kinds = (bases[:, :-2] * np.uint8(16) + bases[:, 1:-1] * np.uint8(4) + bases[:, 2:]).astype(np.int32)
    rows, width = kinds.shape
    kinds += np.arange(rows, dtype=np.int32)[:, None] * _KINDS
    counts = np.bincount(kinds.ravel(), minlength=rows * _KINDS).reshape(rows, _KINDS)
    shares = counts / width
    return np.asarray(-(shares * np.log2(shares, out=np.zeros_like(shares), where=counts > 0)).sum(axis=1)) + 0.0


def _between_gaps(tokens: Tokens) -> Iterator[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(tokens == N, prepend=False, append=False))
    runs: NDArray[np.intp] = edges.reshape(-1, 2)
    position = 0
    for start, end in runs[runs[:, 1] - runs[:, 0] > _LONGEST_N_RUN]:
        if start > position:
            yield position, int(start)
        position = int(end)
    if tokens.size > position:
        yield position, tokens.size


def _kept_chunks(tokens: Tokens, start: int, chunks: ChunkConfig, tally: Tally) -> Iterator[tuple[int, int]]:
    whole = tokens.size // chunks.length
    parts = [tokens[: whole * chunks.length].reshape(whole, chunks.length), tokens[None, whole * chunks.length :]]
    unread, simple = (np.concatenate(judged) for judged in zip(*(_judge(part, chunks) for part in parts), strict=True))
    edges = np.append(np.arange(len(unread)) * chunks.length, tokens.size)
    for reason, out in ((f"in chunks of more than {chunks.max_n:.0%} N", unread), ("of low complexity", simple)):
        tally.drop(reason, np.diff(edges)[out].sum())
    changes = np.flatnonzero(np.diff(~(unread | simple), prepend=False, append=False))
    for first, last in changes.reshape(-1, 2):
        yield start + int(edges[first]), start + int(edges[last])


def _judge(chunks: Tokens, settings: ChunkConfig) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which chunks ``(n, length)`` have too many N, and which of the others are of low complexity."""
    rows, length = chunks.shape
    if not length:
        return np.empty(0, dtype=bool), np.empty(0, dtype=bool)
    unread = (chunks == N).mean(axis=1) > settings.max_n
    if length < 4 or not settings.min_entropy:
        return unread, np.zeros(rows, dtype=bool)
    # A short chunk cannot hold all trinucleotides: what is asked of it is the same share of what it could have.
    least = settings.min_entropy * min(1.0, np.log2(length - 2) / np.log2(_KINDS))
    entropy = [trinucleotide_entropy(chunks[first : first + _BLOCK]) for first in range(0, rows, _BLOCK)]
    return unread, ~unread & (np.concatenate([np.empty(0), *entropy]) < least)
