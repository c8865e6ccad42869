"""What the readers of window files share: records become windows that are centred on their site.

Which records they are and where their site is, :mod:`simcsp.datasets.readers.records` and
:mod:`simcsp.datasets.readers.site_place` say.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simcsp.config import DataConfig, WindowSource
from simcsp.datasets.readers.groups import Groups, group_of, groups_of, origin_of
from simcsp.datasets.readers.records import PADDING, Sequences, encode_records, note
from simcsp.datasets.readers.site_place import (
    LEAST_DECOYS,
    PAIRS,
    Chosen,
    Place,
    all_of_one_type,
    by_class,
    by_label,
    check_decoys,
    find_site,
    in_words,
)
from simcsp.datasets.windows import WindowTable, concatenate, window_table
from simcsp.errors import InputError
from simcsp.sequence.alphabet import N, Tokens
from simcsp.sequence.sites import SITE_NAMES, cut_windows, is_canonical, unread_share
from simcsp.tally import Tally


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
    groups = groups_of(source, data, source.positives, source.negatives)
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
        note(tally, in_words(sequences, site_type, place))
        chosen = all_of_one_type(sequences, site_type, place.shift)
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
    groups = groups_of(source, data, source.sequences)
    tally = Tally("windows", str(source.sequences))
    sequences = encode_records(source.sequences, records(data.root / source.sequences), data, tally)
    if source.site is None:
        chosen = by_class(sequences, source.classes, tally)
    else:
        chosen = by_label(sequences, SITE_NAMES.index(source.site), tally)
    return _windows(sequences, chosen, source, data, groups, tally), [tally]


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
    if (lacking > PADDING).any():
        row = int(np.argmax(lacking > PADDING))
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
    for place in range(PADDING):  # where a window begins in the record before its own, or ends in the one behind
        tokens[before > place, place] = N
        tokens[behind > place, window - 1 - place] = N
    return Centred(tokens, lacking > 0)


def _windows(
    sequences: Sequences, chosen: Chosen, source: WindowSource, data: DataConfig, groups: Groups | None, tally: Tally
) -> WindowTable:
    tokens, padded = centred_windows(sequences, chosen, data.window)
    unread = unread_share(tokens) > data.max_unread
    odd = ~unread & ~is_canonical(tokens, chosen.site_type)
    if source.any_decoy:
        odd &= chosen.label == 1
    tally.drop(f"more than {data.max_unread:.0%} N", np.count_nonzero(unread))
    tally.drop("no GT (donor) or AG (acceptor)", np.count_nonzero(odd))
    kept = np.flatnonzero(~unread & ~odd)
    if not kept.size:
        raise InputError("no window is left to learn from", path=sequences.path, hint=f"Dropped {tally.reasons}")
    if padded[kept].any():
        tally.changed["padded with N at one end"] += int(padded[kept].sum())
    records = chosen.rows[kept].tolist()
    origin = origin_of(sequences.configured)
    if groups is None:
        tally.changed["without a group: the source has no table of groups"] += len(records)
    return window_table(
        tokens[kept],
        label=chosen.label[kept],
        site_type=chosen.site_type[kept],
        species=source.species,
        group=group_of(sequences.path, records, groups),
        origin=[f"{origin}:{record}" for record in records],
    )
