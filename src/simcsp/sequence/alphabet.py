"""Nucleotides as token ids.

The ids are those of the published SpliceBERT vocabulary (Chen et al. 2024), so its weights load unchanged:
``[PAD] [UNK] [CLS] [SEP] [MASK] N A C G T`` = 0 … 9. Encoding is a table look-up and never goes through a
text tokenizer, which turns un-spaced DNA into one ``[UNK]``.

Forms used by every function here: *sequence*, ``bytes`` of nucleotide letters; *tokens*, a ``uint8`` array.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[np.uint8]

VOCABULARY = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "N", "A", "C", "G", "T")
PAD, UNK, CLS, SEP, MASK, N, A, C, G, T = range(len(VOCABULARY))
FIRST_NUCLEOTIDE = A  # ids A … T are the ones that are masked and predicted

_AMBIGUOUS = b"RYSWKMBDHV"  # IUPAC codes for more than one nucleotide, besides N


def _encoding_table() -> bytes:
    table = bytearray([UNK] * 256)
    for letters, token in ((b"A", A), (b"C", C), (b"G", G), (b"TU", T), (b"N" + _AMBIGUOUS, N)):
        for letter in letters + letters.lower():
            table[letter] = token
    return bytes(table)


_ENCODE = _encoding_table()
_DECODE = bytes([ord("?")] * N) + b"NACGT" + bytes([ord("?")] * (256 - len(VOCABULARY)))
_COMPLEMENT = np.arange(256, dtype=np.uint8)
_COMPLEMENT[[A, C, G, T]] = [T, G, C, A]


class Encoded(NamedTuple):
    """Tokens of a sequence, and what had to be changed or could not be read.

    Attributes:
        tokens: ``(length,)`` ids 5 … 9, and 1 where a letter is no nucleotide.
        ambiguous: letters of the IUPAC code other than A, C, G, T, U and N, read as N.
        unknown: letters that are no nucleotide code at all; any is an error to the callers here.
    """

    tokens: Tokens
    ambiguous: int
    unknown: int


def encode(sequence: bytes) -> Encoded:
    """Encode nucleotide letters of either case; U is read as T.

    >>> encode(b"acGUN").tokens.tolist()
    [6, 7, 8, 9, 5]
    """
    ids = sequence.translate(_ENCODE)
    written_n = sequence.count(b"N") + sequence.count(b"n")
    return Encoded(np.frombuffer(ids, dtype=np.uint8), ids.count(N) - written_n, ids.count(UNK))


def decode(tokens: Tokens) -> str:
    """Letters of nucleotide tokens; special tokens become ``?``.

    >>> decode(np.array([6, 7, 8, 9, 5], dtype=np.uint8))
    'ACGTN'
    """
    return tokens.tobytes().translate(_DECODE).decode("ascii")


def reverse_complement(tokens: Tokens) -> Tokens:
    """The other strand, read 5'→3', over the last axis; N and special tokens stay what they are.

    >>> decode(reverse_complement(encode(b"AACGN").tokens))
    'NCGTT'
    """
    return _COMPLEMENT[tokens[..., ::-1]]


def with_special_tokens(windows: Tokens) -> Tokens:
    """Put ``[CLS]`` before and ``[SEP]`` after each window: ``(batch, length)`` → ``(batch, length + 2)``.

    Raises:
        ValueError: if a window holds anything but nucleotides and N, for instance an ``[UNK]``.
    """
    if windows.size and not N <= windows.min() <= windows.max() <= T:
        raise ValueError("a window holds a token that is neither a nucleotide nor N")
    framed = np.empty((windows.shape[0], windows.shape[1] + 2), dtype=np.uint8)
    framed[:, 0] = CLS
    framed[:, 1:-1] = windows
    framed[:, -1] = SEP
    return framed
