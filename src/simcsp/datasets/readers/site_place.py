"""Where in the records of a window file the site is, and what that says of each record.

A window file holds sequences that are centred on a site, but not all published files mean the same by it: the
dinucleotide starts at 300 of 602 nt in one, at 200 (GT) or 198 (AG) of 400 in another. Its place is therefore looked
for in the splice sites of the file, and the decoys are cut at the place found there. Places are given as a *shift*:
in a record of ``L`` nt the dinucleotide starts at ``L // 2 - 1 + shift``, so at shift 0 it is at the two central
positions and files of mixed lengths have one shift.
"""

import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simcsp.datasets.readers.records import Sequences, note
from simcsp.errors import InputError
from simcsp.sequence.alphabet import decode
from simcsp.sequence.sites import ACCEPTOR, CONSENSUS, DONOR, SITE_NAMES
from simcsp.tally import Tally

Rows = NDArray[np.intp]

PAIRS = tuple(decode(np.array(CONSENSUS[site_type], dtype=np.uint8)) for site_type in (DONOR, ACCEPTOR))

_REACH = 4  # nt around the centre where the site is looked for; in GUE it is at +1 (GT) and -1 (AG)
_LEAST_SITES = 0.5  # published splice sites have 98.7 to 100 % GT or AG at one place
LEAST_DECOYS = 0.1  # of Spliceator's negatives about a third are false positives; elsewhere 4 to 9 % is usual
_CLEARLY = 0.1  # another order of classes must fit better by this much: decoys may well be all GT or AG
_NO_SITE = len(SITE_NAMES)


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
        hint = f"They look like {SITE_NAMES[1 - site_type]} windows: {in_words(sequences, 1 - site_type, other)}"
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
            hint=f"Centre both alike; the decoys have {in_words(sequences, site_type, most)} at best"
            if most.share >= least
            else f"Decoys are sequences with {PAIRS[site_type]} at the centre that are no {SITE_NAMES[site_type]}s",
        )
    return there


def all_of_one_type(sequences: Sequences, site_type: int, shift: int) -> Chosen:
    """Choose all records, with one site type and place."""
    rows = np.arange(len(sequences.label))
    return Chosen(
        rows, np.full(len(rows), site_type, dtype=np.uint8), sequences.label, np.full(len(rows), shift, dtype=np.int64)
    )


def by_label(sequences: Sequences, site_type: int, tally: Tally) -> Chosen:
    """Choose all records: label 1 is a splice site, 0 a decoy.

    Raises:
        InputError: if a label does not occur, or as :func:`find_site` and :func:`check_decoys`.
    """
    sites, decoys = (_labelled(sequences, label, name) for label, name in ((1, "splice site"), (0, "decoy")))
    place = find_site(sequences, sites, site_type)
    note(tally, in_words(sequences, site_type, place))
    note(tally, f"{check_decoys(sequences, decoys, site_type, place).share:.1%} of decoys")
    return all_of_one_type(sequences, site_type, place.shift)


def by_class(sequences: Sequences, classes: tuple[str, ...], tally: Tally) -> Chosen:
    """Choose splice sites, and what is a decoy among the records that are neither.

    Args:
        sequences: with labels that number the classes.
        classes: what the labels mean.
        tally: counts the records that are neither and have no dinucleotide at the place of a site.

    Raises:
        InputError: if a site type does not occur, or the dinucleotides contradict the classes.
    """
    rows_of = [_labelled(sequences, classes.index(name), name) for name in SITE_NAMES]
    _check_order(sequences, classes)
    site_type = np.full(len(sequences.label), _NO_SITE, dtype=np.uint8)
    shift = np.zeros(len(SITE_NAMES), dtype=np.int64)
    neither = np.ones(len(sequences.label), dtype=bool)
    for one, rows in enumerate(rows_of):
        place = locate(sequences, rows, one)
        note(tally, in_words(sequences, one, place))
        site_type[rows], shift[one], neither[rows] = one, place.shift, False
    for one in (ACCEPTOR, DONOR):
        free = np.flatnonzero(neither & (site_type == _NO_SITE))
        site_type[free[_has_pair(sequences, free, one, int(shift[one]))]] = one
    tally.drop("neither GT nor AG at the site", np.count_nonzero(site_type == _NO_SITE))
    rows = np.flatnonzero(site_type != _NO_SITE)
    return Chosen(rows, site_type[rows], (~neither[rows]).astype(np.uint8), shift[site_type[rows]])


def in_words(sequences: Sequences, site_type: int, place: Place) -> str:
    """A place as ``GT at offset 300 of 602, 100.0%``."""
    length = int(sequences.length[0])
    if (sequences.length == length).all():
        where = f"at offset {length // 2 - 1 + place.shift} of {length}"
    elif place.shift:
        where = f"{abs(place.shift)} nt {'behind' if place.shift > 0 else 'before'} the centre"
    else:
        where = "at the centre"
    return f"{PAIRS[site_type]} {where}, {place.share:.1%}"


def _has_pair(sequences: Sequences, rows: Rows, site_type: int, shift: int) -> NDArray[np.bool_]:
    at = sequences.start[rows] + sequences.length[rows] // 2 - 1 + shift
    first, second = CONSENSUS[site_type]
    return np.asarray((sequences.tokens[at] == first) & (sequences.tokens[at + 1] == second))


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
