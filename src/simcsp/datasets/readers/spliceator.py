"""Windows from the files of Spliceator (Scalzitti et al. 2021, BMC Bioinformatics 22:561).

Fields are separated by semicolons and never quoted. Training tables of 600 nt may begin with a line
``ID_uniprot;…``; positives are ``ID;sequence`` and negatives ``ID;position;sequence;type``. Benchmarks of 400 nt have
no header and are ``name;tag;sequence``. In all of them the sequence is the second field, unless that is shorter than
100 letters; then it is the third.

Two thirds of the negatives of GS_1 are taken from exons and introns (types Exon and Intron) without regard to GT and
AG; only those with the dinucleotide at the site become decoys, and the others are dropped and counted.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from simcsp.config import DataConfig, WindowSource
from simcsp.datasets.readers.centred import read_pair
from simcsp.datasets.readers.records import note, split_fields
from simcsp.datasets.windows import WindowTable
from simcsp.errors import InputError
from simcsp.sequence.files import text_lines
from simcsp.tally import Tally

_HEADER = "ID_uniprot"
_LEAST_LETTERS = 100
_X_TO_N = bytes.maketrans(b"Xx", b"NN")
_KINDS = {"exon": "exon", "intron": "intron", "fp": "false positive"}


def read(
    source: WindowSource,
    data: DataConfig,
    cache: Path,  # noqa: ARG001
    rng: np.random.Generator,  # noqa: ARG001
) -> tuple[WindowTable, list[Tally]]:
    """Read positives and negatives of one site type, training tables or benchmarks.

    Raises:
        InputError: if a line is no record of Spliceator, or as :func:`simcsp.datasets.readers.centred.read_pair`.
    """
    return read_pair(source, data, _records)


def _records(path: Path, tally: Tally) -> Iterator[tuple[int, bytes]]:
    kinds: Counter[str] = Counter()
    for number, line in text_lines(path):
        if not line.strip() or line.startswith(_HEADER):
            continue
        fields = split_fields(line, ";", path=path, number=number)
        at = 2 if len(fields) > 2 and len(fields[1]) < _LEAST_LETTERS else 1
        if len(fields[at]) < _LEAST_LETTERS:
            raise InputError(
                f"neither the second nor the third field is a sequence of {_LEAST_LETTERS} nt or more",
                path=path,
                line=number,
            )
        kind = _KINDS.get(fields[3].lower()) if len(fields) > 3 else None
        if kind:
            kinds[kind] += 1
        yield number, _known_letters(fields[at], tally)
    if kinds:
        note(tally, ", ".join(f"{count:,} {kind}" for kind, count in sorted(kinds.items())))


def _known_letters(sequence: str, tally: Tally) -> bytes:
    """X, which the authors' own cleaning expects in the tables, is no nucleotide code; it is read as N."""
    letters = sequence.encode()
    unknown = letters.count(b"X") + letters.count(b"x")
    if unknown:
        tally.changed["letters X read as N"] += unknown
    return letters.translate(_X_TO_N)
