"""What the readers of window files share: where the site is, how windows are cut, which group a record is in.

A window file holds sequences that are centred on a site, but not all published files mean the same by it: the
dinucleotide starts at 300 of 602 nt in one, at 200 (GT) or 198 (AG) of 400 in another. Its place is therefore looked
for in the splice sites of the file, and the decoys are cut at the place found there. Places are given as a *shift*:
in a record of ``L`` nt the dinucleotide starts at ``L // 2 - 1 + shift``, so at shift 0 it is at the two central
positions and files of mixed lengths have one shift.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simcsp.config import DataConfig, WindowSource
from simcsp.datasets.windows import WindowTable, concatenate, window_table
from simcsp.errors import InputError
from simcsp.sequence.alphabet import N, Tokens, decode
from simcsp.sequence.fasta import nucleotides
from simcsp.sequence.files import text_lines
from simcsp.sequence.sites import ACCEPTOR, CONSENSUS, DONOR, SITE_NAMES, cut_windows, is_canonical, unread_share
from simcsp.tally import Tally

Rows = NDArray[np.intp]
Groups = Mapping[tuple[str, int], str]

PAIRS = tuple(decode(np.array(CONSENSUS[site_type], dtype=np.uint8)) for site_type in (DONOR, ACCEPTOR))

_REACH = 4  # nt around the centre where the site is looked for; in GUE it is at +1 (GT) and -1 (AG)
_LEAST_SITES = 0.5  # published splice sites have 98.7 to 100 % GT or AG at one place
LEAST_DECOYS = 0.1  # of Spliceator's negatives about a third are false positives; elsewhere 4 to 9 % is usual
_CLEARLY = 0.1  # another order of classes must fit better by this much: decoys may well be all GT or AG
_NO_SITE = len(SITE_NAMES)
_PADDING = 2  # nt that a record may lack at one end because its site is not exactly at its centre
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


class Place(NamedTuple):
    """Where a dinucleotide is: ``shift`` nt behind the centre, in ``share`` of the records."""

    shift: int
    share: float


class Chosen(NamedTuple):
    """Records that become windows.

    Attributes:
        rows: ``(m,)`` their numbers in the file, rising.
        site_type: ``(m,)`` 0 donor, 1 acceptor.
        label: ``(m,)`` 1 splice site, 0 decoy.
        shift: ``(m,)`` where the dinucleotide is.
    """

    rows: Rows
    site_type: NDArray[np.uint8]
    label: NDArray[np.uint8]
    shift: NDArray[np.int64]


class Centred(NamedTuple):
    """Windows ``(m, window)``, and which of them ``(m,)`` are padded with N at one end."""

    tokens: Tokens
    padded: NDArray[np.bool_]


def read_pair(
    source: WindowSource, data: DataConfig, records: Callable[[Path, Tally], Iterable[tuple[int, bytes]]]
) -> tuple[WindowTable, list[Tally]]:
    """Read positives and negatives of one site type.

    Args:
        source: with `site`, `positives` and `negatives`.
        data: `root`, `window` and `max_unread` are read.
        records: gives the line and letters of every record of a file, and may write to the tally of that file.

    Raises:
        InputError: if a record is no DNA or shorter than the window, a file is empty, or the dinucleotide is not
            where the site must be.
    """
    if source.site is None or source.positives is None or source.negatives is None:
        raise ValueError("this source has a site type, positives and negatives")
    groups = _groups(source, data, source.positives, source.negatives)
    site_type = SITE_NAMES.index(source.site)
    tables, tallies = [], []
    place = Place(0, 0.0)
    for label, configured in ((1, source.positives), (0, source.negatives)):
        tally = Tally("windows", str(configured))
        labelled = ((line, letters, label) for line, letters in records(data.root / configured, tally))
        sequences = encode_records(configured, labelled, data, tally)
        rows = np.arange(len(sequences.label))
        if label:
            place = find_site(sequences, rows, site_type)
        else:
            place = check_decoys(sequences, rows, site_type, place, least=0.0 if source.any_decoy else LEAST_DECOYS)
        note(tally, _words(sequences, site_type, place))
        chosen = _all_of_one_type(sequences, site_type, place.shift)
        tables.append(_windows(sequences, chosen, source, data, groups, tally))
        tallies.append(tally)
    return concatenate(tables), tallies


def read_labelled(
    source: WindowSource, data: DataConfig, records: Callable[[Path], Iterable[tuple[int, bytes, int]]]
) -> tuple[WindowTable, list[Tally]]:
    """Read one file whose records carry labels.

    With `source.site` the labels are 1 for that site and 0 for its decoys. Otherwise `source.classes` says what they
    are. A record of the class "neither" with AG where the acceptors have it is an acceptor decoy, else one with GT
    where the donors have it a donor decoy, and the others are dropped.

    Args:
        source: with `sequences`.
        data: `root`, `window` and `max_unread` are read.
        records: gives line, letters and label of every record of a file.

    Raises:
        InputError: if a record is no DNA or shorter than the window, the file is empty, or the dinucleotides and
            the labels do not fit together.
    """
    if source.sequences is None:
        raise ValueError("this source has sequences")
    groups = _groups(source, data, source.sequences)
    tally = Tally("windows", str(source.sequences))
    sequences = encode_records(source.sequences, records(data.root / source.sequences), data, tally)
    if source.site is None:
        chosen = _by_class(sequences, source.classes, tally)
    else:
        chosen = _by_label(sequences, SITE_NAMES.index(source.site), tally)
    return _windows(sequences, chosen, source, data, groups, tally), [tally]


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
    margin = np.full(_PADDING, N, dtype=np.uint8)
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


def locate(sequences: Sequences, rows: Rows, site_type: int) -> Place:
    """Where near the centre of these records the dinucleotide of ``site_type`` is most often.

    Of equal places the nearest to the centre is taken.
    """
    shifts = sorted(range(-_REACH, _REACH + 1), key=abs)
    shares = [float(_has_pair(sequences, rows, site_type, shift).mean()) for shift in shifts]
    best = int(np.argmax(shares))
    return Place(shifts[best], shares[best])


def find_site(sequences: Sequences, rows: Rows, site_type: int) -> Place:
    """Where these splice sites have their dinucleotide.

    Raises:
        InputError: if fewer than half have it at one place, or if more have that of the other site type: half of all
            donors have AG two nt before their GT.
    """
    place, other = locate(sequences, rows, site_type), locate(sequences, rows, 1 - site_type)
    if _LEAST_SITES <= place.share >= other.share:
        return place
    if other.share >= _LEAST_SITES:
        hint = f"They look like {SITE_NAMES[1 - site_type]} windows: {_words(sequences, 1 - site_type, other)}"
    else:
        hint = f"Check that these are {SITE_NAMES[site_type]} windows with the dinucleotide at the centre"
    raise InputError(
        f"only {place.share:.1%} of the windows have {PAIRS[site_type]} at one place within {_REACH} nt of the centre",
        path=sequences.path,
        hint=hint,
    )


def check_decoys(sequences: Sequences, rows: Rows, site_type: int, place: Place, least: float = LEAST_DECOYS) -> Place:
    """The place of the splice sites, with the share of these decoys that have the dinucleotide there.

    Raises:
        InputError: if that is below ``least``, by default little more than chance.
    """
    there = Place(place.shift, float(_has_pair(sequences, rows, site_type, place.shift).mean()))
    if there.share < least:
        most = locate(sequences, rows, site_type)
        raise InputError(
            f"only {there.share:.1%} of the decoys have {PAIRS[site_type]} where the splice sites have it",
            path=sequences.path,
            hint=f"Centre both alike; the decoys have {_words(sequences, site_type, most)} at best"
            if most.share >= least
            else f"Decoys are sequences with {PAIRS[site_type]} at the centre that are no {SITE_NAMES[site_type]}s",
        )
    return there


def centred_windows(sequences: Sequences, chosen: Chosen, window: int) -> Centred:
    """Cut windows with the dinucleotide at the two central positions.

    A record that lacks one or two nt at one end, because its site is not exactly at its centre, is padded with N.

    Args:
        sequences: of one file.
        chosen: records and where their site is.
        window: length in nt, even.

    Raises:
        InputError: if a record lacks more.
    """
    first = sequences.length[chosen.rows] // 2 + chosen.shift - window // 2
    before, behind = np.maximum(-first, 0), np.maximum(first + window - sequences.length[chosen.rows], 0)
    lacking = np.maximum(before, behind)
    if (lacking > _PADDING).any():
        row = int(np.argmax(lacking > _PADDING))
        record = chosen.rows[row]
        raise InputError(
            f"a sequence of {sequences.length[record]} nt lacks {lacking[row]} nt for a window of {window} nt "
            f"around its {PAIRS[chosen.site_type[row]]}",
            path=sequences.path,
            line=int(sequences.line[record]),
            hint=f"Set data.window to at most {window - 2 * int(lacking.max())}",
        )
    sites = sequences.start[chosen.rows] + first + window // 2 - 1
    tokens = cut_windows(sequences.tokens, sites, np.zeros(len(sites), dtype=bool), window).tokens
    for place in range(_PADDING):  # where a window begins in the record before its own, or ends in the one behind
        tokens[before > place, place] = N
        tokens[behind > place, window - 1 - place] = N
    return Centred(tokens, lacking > 0)


def note(tally: Tally, words: str) -> None:
    """Add words to what a tally says of its source: ``name (words; words)``."""
    begun = f"{tally.source[:-1]}; " if tally.source.endswith(")") else f"{tally.source} ("
    tally.source = f"{begun}{words})"


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


def read_groups(path: Path) -> Groups:
    """Read a table of ``file`` (stem), ``index0`` (record) and ``cluster``, tab-separated.

    Raises:
        InputError: if it is no such table, or lists a record twice.
    """
    lines = _filled_lines(path)
    _, header = next(lines, (1, ""))
    if header.split("\t") != ["file", "index0", "cluster"]:
        raise InputError("the header must be file, index0, cluster (tab-separated)", path=path, line=1)
    groups: dict[tuple[str, int], str] = {}
    for number, line in lines:
        row = line.split("\t")
        if len(row) != 3 or not (row[1].isascii() and row[1].isdigit()) or not row[2]:
            raise InputError("expected a file stem, a 0-based record number and a cluster", path=path, line=number)
        record = row[0], int(row[1])
        if record in groups:
            raise InputError(f"record {record[1]} of {record[0]} is listed twice", path=path, line=number)
        groups[record] = row[2]
    return groups


def _filled_lines(path: Path) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in text_lines(path) if line.strip())


def _groups(source: WindowSource, data: DataConfig, *files: Path) -> Groups | None:
    """The table of groups of a source, which knows files by their bare stem."""
    names = {_origin(file) if source.groups is None else _stem(file) for file in files}
    if len(names) < len(files):
        raise InputError(
            f"positives and negatives are both called {names.pop()}, so their records cannot be told apart",
            path=data.root / files[0],
            hint="Give two files with different names",
        )
    return None if source.groups is None else read_groups(data.root / source.groups)


def _origin(file: Path) -> str:
    """A file as the configuration names it, without its suffix: the same stem may occur in several folders."""
    return file.with_name(_stem(file)).as_posix()


def _stem(file: Path) -> str:
    return file.name.removesuffix(".gz").rsplit(".", 1)[0]


def _has_pair(sequences: Sequences, rows: Rows, site_type: int, shift: int) -> NDArray[np.bool_]:
    at = sequences.start[rows] + sequences.length[rows] // 2 - 1 + shift
    first, second = CONSENSUS[site_type]
    return np.asarray((sequences.tokens[at] == first) & (sequences.tokens[at + 1] == second))


def _words(sequences: Sequences, site_type: int, place: Place) -> str:
    """A place as ``GT at offset 300 of 602, 100.0%``."""
    length = int(sequences.length[0])
    if (sequences.length == length).all():
        where = f"at offset {length // 2 - 1 + place.shift} of {length}"
    elif place.shift:
        where = f"{abs(place.shift)} nt {'behind' if place.shift > 0 else 'before'} the centre"
    else:
        where = "at the centre"
    return f"{PAIRS[site_type]} {where}, {place.share:.1%}"


def _all_of_one_type(sequences: Sequences, site_type: int, shift: int) -> Chosen:
    rows = np.arange(len(sequences.label))
    return Chosen(
        rows, np.full(len(rows), site_type, dtype=np.uint8), sequences.label, np.full(len(rows), shift, dtype=np.int64)
    )


def _by_label(sequences: Sequences, site_type: int, tally: Tally) -> Chosen:
    """All records: 1 is a splice site and 0 a decoy."""
    sites, decoys = (_labelled(sequences, label, name) for label, name in ((1, "splice site"), (0, "decoy")))
    place = find_site(sequences, sites, site_type)
    note(tally, _words(sequences, site_type, place))
    note(tally, f"{check_decoys(sequences, decoys, site_type, place).share:.1%} of decoys")
    return _all_of_one_type(sequences, site_type, place.shift)


def _by_class(sequences: Sequences, classes: tuple[str, ...], tally: Tally) -> Chosen:
    """Splice sites, and what is a decoy among the records that are neither."""
    rows_of = [_labelled(sequences, classes.index(name), name) for name in SITE_NAMES]
    _check_order(sequences, classes)
    site_type = np.full(len(sequences.label), _NO_SITE, dtype=np.uint8)
    shift = np.zeros(len(SITE_NAMES), dtype=np.int64)
    neither = np.ones(len(sequences.label), dtype=bool)
    for one, rows in enumerate(rows_of):
        place = locate(sequences, rows, one)
        note(tally, _words(sequences, one, place))
        site_type[rows], shift[one], neither[rows] = one, place.shift, False
    for one in (ACCEPTOR, DONOR):
        free = np.flatnonzero(neither & (site_type == _NO_SITE))
        site_type[free[_has_pair(sequences, free, one, int(shift[one]))]] = one
    _count(tally, "neither GT nor AG at the site", site_type == _NO_SITE)
    rows = np.flatnonzero(site_type != _NO_SITE)
    return Chosen(rows, site_type[rows], (~neither[rows]).astype(np.uint8), shift[site_type[rows]])


def _labelled(sequences: Sequences, label: int, name: str) -> Rows:
    rows = np.flatnonzero(sequences.label == label)
    if not rows.size:
        raise InputError(f"no record has the label {label} ({name})", path=sequences.path)
    return rows


def _check_order(sequences: Sequences, classes: tuple[str, ...]) -> None:
    """Refuse classes that the dinucleotides contradict, and say in which order they would fit."""
    shares = np.zeros((len(classes), len(SITE_NAMES)))
    for label in np.unique(sequences.label):
        rows = np.flatnonzero(sequences.label == label)
        shares[label] = [locate(sequences, rows, site_type).share for site_type in (DONOR, ACCEPTOR)]

    def share(order: tuple[str, ...]) -> float:
        return sum(float(shares[order.index(name), site_type]) for site_type, name in enumerate(SITE_NAMES))

    def fits(order: tuple[str, ...]) -> bool:
        rows = [shares[order.index(name)] for name in SITE_NAMES]
        return all(_LEAST_SITES <= row[site_type] == row.max() for site_type, row in enumerate(rows))

    best = max(itertools.permutations(classes), key=share)
    if fits(classes) and share(best) - share(classes) < _CLEARLY:
        return
    evidence = "; ".join(
        f"label {label} has GT in {row[DONOR]:.1%}, AG in {row[ACCEPTOR]:.1%}" for label, row in enumerate(shares)
    )
    raise InputError(
        f"the dinucleotides contradict classes [{', '.join(classes)}]: at one place near the centre, {evidence}",
        path=sequences.path,
        hint=f"Set classes to [{', '.join(best)}]"
        if fits(best)
        else "Check that every splice site has its dinucleotide at the centre",
    )


def _windows(
    sequences: Sequences, chosen: Chosen, source: WindowSource, data: DataConfig, groups: Groups | None, tally: Tally
) -> WindowTable:
    tokens, padded = centred_windows(sequences, chosen, data.window)
    unread = unread_share(tokens) > data.max_unread
    odd = ~unread & ~is_canonical(tokens, chosen.site_type)
    if source.any_decoy:
        odd &= chosen.label == 1
    _count(tally, f"more than {data.max_unread:.0%} N", unread)
    _count(tally, "no GT (donor) or AG (acceptor)", odd)
    kept = np.flatnonzero(~unread & ~odd)
    if not kept.size:
        raise InputError("no window is left to learn from", path=sequences.path, hint=f"Dropped {tally.reasons}")
    if padded[kept].any():
        tally.changed["padded with N at one end"] += int(padded[kept].sum())
    records = chosen.rows[kept].tolist()
    origin = _origin(sequences.configured)
    if groups is None:
        tally.changed["without a group: the source has no table of groups"] += len(records)
    return window_table(
        tokens[kept],
        label=chosen.label[kept],
        site_type=chosen.site_type[kept],
        species=source.species,
        group=_group_of(sequences, records, groups),
        origin=[f"{origin}:{record}" for record in records],
    )


def _group_of(sequences: Sequences, records: list[int], groups: Groups | None) -> list[str]:
    """Group of each record; the empty string where none is known."""
    if groups is None:
        return [""] * len(records)
    stem = _stem(sequences.path)
    missing = next((record for record in records if (stem, record) not in groups), None)
    if missing is not None:
        raise InputError(
            f"record {missing} (0-based) of this file has no line in the table of groups", path=sequences.path
        )
    return [groups[stem, record] for record in records]


def _count(tally: Tally, reason: str, rows: NDArray[np.bool_]) -> None:
    if rows.any():
        tally.dropped[reason] += int(rows.sum())
