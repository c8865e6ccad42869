"""Records of a window file: read, checked and encoded, whatever the file calls them."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simcsp.config import DataConfig
from simcsp.errors import InputError
from simcsp.sequence.alphabet import N, Tokens
from simcsp.sequence.fasta import nucleotides
from simcsp.tally import Tally

PADDING = 2  # nt that a record may lack at one end because its site is not exactly at its centre
_DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab"}


class Sequences(NamedTuple):
    """Records of one file, encoded.

    Attributes:
        path: the file.
        configured: the file as the configuration names it.
        tokens: all records end to end, with a few N before and behind.
        start: ``(n,)`` where each record begins in ``tokens``.
        length: ``(n,)`` in nt.
        line: ``(n,)`` 1-based line that each record begins on.
        label: ``(n,)`` its label in the file.
    """

    path: Path
    configured: Path
    tokens: Tokens
    start: NDArray[np.int64]
    length: NDArray[np.int64]
    line: NDArray[np.int64]
    label: NDArray[np.uint8]


def encode_records(
    configured: Path, records: Iterable[tuple[int, bytes, int]], data: DataConfig, tally: Tally
) -> Sequences:
    """Encode the records of a file.

    Args:
        configured: the file, relative to `data.root`.
        records: line, letters and label of each.
        data: no record may be shorter than its `window`.
        tally: ambiguous letters are counted there.

    Raises:
        InputError: if there is no record, or one is no DNA or too short.
    """
    path = data.root / configured
    margin = np.full(PADDING, N, dtype=np.uint8)
    tokens, lines, labels = [margin], [], []
    for line, letters, label in records:
        if b" " in letters or b"\t" in letters:
            raise InputError(
                "a space inside the sequence", path=path, line=line, hint="Write the letters next to each other"
            )
        encoded = nucleotides(letters, tally, path=path, line=line)
        if len(encoded) < data.window:
            raise InputError(
                f"a sequence of {len(encoded)} nt is shorter than the window of {data.window} nt",
                path=path,
                line=line,
                hint="Set data.window to at most the length of the shortest sequence",
            )
        tokens.append(encoded)
        lines.append(line)
        labels.append(label)
    if not lines:
        raise InputError("the file has no record", path=path)
    tally.read += len(lines)
    ends = np.cumsum([len(record) for record in tokens])
    return Sequences(
        path,
        configured,
        np.concatenate([*tokens, margin]),
        start=ends[:-1],
        length=np.diff(ends),
        line=np.array(lines),
        label=np.array(labels, dtype=np.uint8),
    )


def split_fields(line: str, delimiter: str, *, path: Path, number: int) -> list[str]:
    """Fields of a line, without blanks and quotation marks around them.

    Raises:
        InputError: if the delimiter is not in the line; it names another one that is.
    """
    if delimiter not in line:
        others = [name for letter, name in _DELIMITERS.items() if letter in line]
        found = f"here it is {others[0]}" if others else "there is none"
        raise InputError(
            f"fields must be separated by {_DELIMITERS[delimiter]}, {found}",
            path=path,
            line=number,
            hint="Check the format of this source",
        )
    return [field.strip().strip('"') for field in line.split(delimiter)]


def class_number(label: str, classes: int, *, path: Path, line: int) -> int:
    """A label of a file as a number below ``classes``.

    Raises:
        InputError: if it is none.
    """
    if label not in {str(number) for number in range(classes)}:
        known = ", ".join(str(number) for number in range(classes))
        raise InputError(f"the label {label[:20]!r} is none of {known}", path=path, line=line)
    return int(label)


def note(tally: Tally, words: str) -> None:
    """Add words to what a tally says of its source: ``name (words; words)``."""
    begun = f"{tally.source[:-1]}; " if tally.source.endswith(")") else f"{tally.source} ("
    tally.source = f"{begun}{words})"
