"""Windows from text files of sequences, one per record, positives and negatives apart.

A record is a line of letters, or a FASTA-like pair of a ``>`` line and one or more lines of letters. All windows
of a source are centred on the same kind of site: the dinucleotide is at the two central positions.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from simcsp.config import DataConfig, WindowSource
from simcsp.datasets.windows import WindowTable, concatenate, window_table
from simcsp.errors import InputError
from simcsp.sequence.alphabet import Tokens, encode
from simcsp.sequence.fasta import text_lines
from simcsp.sequence.sites import SITE_NAMES, is_canonical, unread_share
from simcsp.tally import Tally

_LEAST_CANONICAL = 0.5  # Spliceator and EnsembleSplice windows have 100 %; a file centred elsewhere about 6 %


def read(
    source: WindowSource,
    data: DataConfig,
    cache: Path,  # noqa: ARG001
    rng: np.random.Generator,  # noqa: ARG001
) -> tuple[WindowTable, list[Tally]]:
    """Read positives and negatives of one site type and cut them to the window at their centre.

    Raises:
        InputError: if a record is no DNA or shorter than the window, a file is empty, or too few splice sites
            have their dinucleotide at the centre.
    """
    if source.site is None or source.positives is None or source.negatives is None:
        raise ValueError("a text source has a site type, positives and negatives")
    groups = None if source.groups is None else _read_groups(data.root / source.groups)
    tables, tallies = [], []
    for label, path in ((1, data.root / source.positives), (0, data.root / source.negatives)):
        table, tally = _read_file(path, label, source, data, groups)
        tables.append(table)
        tallies.append(tally)
    return concatenate(tables), tallies


def read_sequences(path: Path) -> Iterator[tuple[int, bytes]]:
    """Records of a text file with the line each begins on; blank lines are passed over.

    Raises:
        InputError: if a header has no sequence or the file has no record.
    """
    header, start, letters = False, 0, bytearray()
    found = False
    for number, line in text_lines(path):
        stripped = line.strip()
        if stripped.startswith(">"):
            if header and not letters:
                raise InputError("a header without a sequence", path=path, line=start)
            if letters:
                yield start, bytes(letters)
            header, start, letters = True, number, bytearray()
        elif stripped:
            found = True
            if header:
                letters += stripped.encode("utf-8")
            else:
                yield number, stripped.encode("utf-8")
    if header and not letters:
        raise InputError("a header without a sequence", path=path, line=start)
    if letters:
        yield start, bytes(letters)
    if not found:
        raise InputError("the file is empty", path=path)


def _read_file(
    path: Path, label: int, source: WindowSource, data: DataConfig, groups: dict[tuple[str, int], str] | None
) -> tuple[WindowTable, Tally]:
    tally = Tally("windows", path.name)
    tokens = _encode_file(path, data.window, tally)
    site_type = np.full(len(tokens), SITE_NAMES.index(str(source.site)), dtype=np.uint8)
    canonical = is_canonical(tokens, site_type)
    if canonical.mean() < _LEAST_CANONICAL:
        raise InputError(
            f"only {canonical.mean():.1%} of the windows have {'AG' if site_type[0] else 'GT'} at their centre",
            path=path,
            hint=f"Check that these are {source.site} windows with the dinucleotide at the two central positions",
        )
    if groups is None:
        tally.changed["put into a group of its own: no table of groups is given"] += len(tokens)
    unread = unread_share(tokens) > data.max_unread
    odd = ~canonical & ~unread
    for reason, rows in ((f"more than {data.max_unread:.0%} N", unread), ("no GT (donor) or AG (acceptor)", odd)):
        if rows.any():
            tally.dropped[reason] += int(rows.sum())
    kept = np.flatnonzero(~unread & ~odd)
    if not kept.size:
        raise InputError("no window is left to learn from", path=path, hint=f"Dropped {tally.reasons}")
    stem = path.name.removesuffix(".gz").rsplit(".", 1)[0]
    return window_table(
        tokens[kept],
        label=np.full(len(kept), label, dtype=np.uint8),
        site_type=site_type[kept],
        species=source.species,
        group=[_group(stem, int(row), path, groups) for row in kept],
        origin=[f"{stem}:{row}" for row in kept],
    ), tally


def _encode_file(path: Path, window: int, tally: Tally) -> Tokens:
    rows = []
    for line, sequence in read_sequences(path):
        encoded = encode(sequence)
        if encoded.unknown:
            raise InputError(f"{encoded.unknown} letters are no nucleotide code", path=path, line=line)
        if len(sequence) < window:
            raise InputError(
                f"a sequence of {len(sequence)} nt is shorter than the window of {window} nt", path=path, line=line,
                hint="Set data.window to at most the length of the shortest sequence",
            )  # fmt: skip
        if encoded.ambiguous:
            tally.changed["ambiguous letters read as N"] += encoded.ambiguous
        margin = (len(sequence) - window) // 2
        rows.append(encoded.tokens[margin : margin + window])
    tally.read = len(rows)
    return np.stack(rows)


def _read_groups(path: Path) -> dict[tuple[str, int], str]:
    lines = text_lines(path)
    _, header = next(lines, (1, ""))
    if header.split("\t") != ["file", "index0", "cluster"]:
        raise InputError("the header must be file, index0, cluster (tab-separated)", path=path, line=1)
    groups = {}
    for number, row in enumerate(csv.reader((line for _, line in lines), delimiter="\t"), start=2):
        if len(row) != 3 or not row[1].isdigit():
            raise InputError("expected a file stem, a 0-based record number and a cluster", path=path, line=number)
        groups[row[0], int(row[1])] = row[2]
    return groups


def _group(stem: str, record: int, path: Path, groups: dict[tuple[str, int], str] | None) -> str:
    if groups is None:
        return f"{stem}:{record}"
    try:
        return groups[stem, record]
    except KeyError:
        raise InputError(
            f"record {record} (0-based) of this file has no line in the table of groups", path=path
        ) from None
