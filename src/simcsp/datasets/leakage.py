"""What leaks between the parts of a split, and what it is worth in F1.

A *counterpart* of a window is a window of another part that is the same, or nearly. A classifier that has it in
training may know the answer without knowing splice sites. Counting says how much there is to remember; the same
classifiers, cross-validated once over the folds of the set and once over random ones, say what it is worth to them.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.neighbors import KNeighborsClassifier

from simcsp.config import SplitConfig
from simcsp.console import progress
from simcsp.datasets.clusters import Stretches, holds_n, shared_stretches, words
from simcsp.datasets.kept_together import places
from simcsp.datasets.splits import Fold, Rows, fold_rows
from simcsp.datasets.windows import WindowTable
from simcsp.metrics.classification import classification_scores
from simcsp.metrics.significance import TTest, corrected_t_test
from simcsp.sequence.alphabet import Tokens, reverse_complement

Predictor = Callable[[WindowTable, Fold, Rows], NDArray[np.float64]]
"""Learns from ``fold.train`` and gives the probabilities of the rows asked for."""

_KMER = 8  # nt; unrelated windows of 400 nt have the same one at the same place once in 170 pairs
_CLASSIFIED = 25_000  # windows that are cross-validated at most: minutes

_HOW_TO_READ = f"""\
The memoriser gives every window the label of the training window of its site type that has the most {_KMER}-mers at the
same places. What it gains in random folds hints at what a model could gain by remembering. It is no bound: a model may
remember better. The interval also holds the chance by which folds differ: one around 0 does not show that nothing
leaks. Random folds have the same windows, sizes and labels; folds are paired by number alone and share training
windows, which the interval allows for (Nadeau & Bengio 2003)."""


class Leak(NamedTuple):
    """Windows with one kind of counterpart in another part.

    Attributes:
        kind: of counterpart.
        windows: that have one.
        of: windows of which it can be told.
        example: species and origin of one of them and of its counterpart, if there is any.
    """

    kind: str
    windows: int
    of: int
    example: tuple[str, str] | None


class Worth(NamedTuple):
    """What one classifier gains from folds that keep nothing together.

    Attributes:
        classifier: its name.
        kept: ``(k,)`` F1 in the folds of the set.
        random: ``(k,)`` F1 in random folds.
        difference: test of random minus kept.
    """

    classifier: str
    kept: list[float]
    random: list[float]
    difference: TTest


class Audit(NamedTuple):
    """Both, for one set.

    Attributes:
        by: what the split kept together.
        windows: of the set.
        in_folds: windows outside of the selection part.
        classified: of those, windows that were cross-validated.
        leaks: one for each kind of counterpart.
        worth: one for each classifier.
    """

    by: str
    windows: int
    in_folds: int
    classified: int
    leaks: list[Leak]
    worth: list[Worth]

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return {
            **self._asdict(),
            "leaks": [leak._asdict() for leak in self.leaks],
            "worth": [{**one._asdict(), "difference": one.difference._asdict()} for one in self.worth],
        }

    def __str__(self) -> str:
        classified = f"{self.classified:,} windows of the folds"
        if self.classified < self.in_folds:
            classified = f"{self.classified:,} of {self.in_folds:,} windows of the folds, whole groups drawn at random"
        return "\n".join(
            (
                f"{self.windows:,} windows, split by {self.by}",
                "",
                "| counterpart in another part | windows | share | example |",
                "|---|---|---|---|",
                *map(_leak_row, self.leaks),
                "",
                f"| F1, {classified} | folds of the set | random folds | random − set, 95 % interval |",
                "|---|---|---|---|",
                *map(_worth_row, self.worth),
                "",
                _HOW_TO_READ,
            )
        )


def audit(table: WindowTable, split: SplitConfig, predictors: Mapping[str, Predictor]) -> Audit:
    """Count what leaks between the parts of a table, and cross-validate the named classifiers."""
    in_folds = table.take(table.part != 2 * split.folds)
    classified = _whole_groups(in_folds, _CLASSIFIED, split.seed)
    leaks = count_leaks(table, split.shared)
    worth = [gain_of_random_folds(name, predict, classified, split) for name, predict in predictors.items()]
    return Audit(split.by, len(table.label), len(in_folds.label), len(classified.label), leaks, worth)


def count_leaks(table: WindowTable, shared: int) -> list[Leak]:
    """Count windows with a counterpart in another part, by kind; one window may have several.

    Kinds: the same window; its reverse complement; an identical stretch of ``shared`` nt (or of the window, if that is
    shorter) on either strand; overlapping coordinates, on either strand.
    """
    rows = np.arange(len(table.label))
    same, opposite = _window_keys(table.tokens)
    nt = min(shared, table.tokens.shape[1])
    stretches = shared_stretches(table.tokens, nt)
    return [
        _leak("identical", table, Stretches(rows, same), Stretches(rows, same)),
        _leak("reverse complement", table, Stretches(rows, same), Stretches(rows, opposite)),
        _leak(f"shares {nt} nt or more, either strand", table, stretches, stretches),
        _overlaps(table),
    ]


def gain_of_random_folds(name: str, predict: Predictor, table: WindowTable, split: SplitConfig) -> Worth:
    """Cross-validate a classifier over the folds of a table and over random ones, and compare F1."""
    folds = range(split.folds)
    kept, random = (
        [_f1(predict, one, fold_rows(one, split, fold)) for fold in progress(folds, f"leakage: {name}", unit="fold")]
        for one in (table, table._replace(part=random_parts(table, split.seed)))
    )
    sizes = [(len(fold.test), len(fold.train)) for fold in (fold_rows(table, split, number) for number in folds)]
    test, train = np.array(sizes).sum(axis=0)
    return Worth(name, kept, random, corrected_t_test(np.array(random) - np.array(kept), test / train))


def random_parts(table: WindowTable, seed: int) -> NDArray[np.int8]:
    """Deal the parts out anew: each keeps its number of windows of every label and site type, and nothing else."""
    rng = np.random.default_rng(seed)
    kinds = 2 * table.label + table.site_type
    part = table.part.copy()
    for kind in np.unique(kinds):
        rows = np.flatnonzero(kinds == kind)
        part[rows] = rng.permutation(part[rows])
    return part


def nearest_window(table: WindowTable, fold: Fold, asked: Rows) -> NDArray[np.float64]:
    """Label of the most similar window of ``fold.train`` of the same site type: a classifier that only remembers.

    Similar are windows with the same 8-mers at the same places (cosine; k-mers with N do not count). Places matter: an
    overlapping window is centred elsewhere, and a decoy beside a splice site has another label than that.
    """
    labels = np.full(len(asked), np.nan)
    for site_type in np.unique(table.site_type[asked]):
        train = fold.train[table.site_type[fold.train] == site_type]
        chosen = table.site_type[asked] == site_type
        model = KNeighborsClassifier(n_neighbors=1, algorithm="brute", metric="cosine")
        model.fit(_kmers(table.tokens[train]), table.label[train])
        labels[chosen] = model.predict(_kmers(table.tokens[asked[chosen]]))
    return labels


def _f1(predict: Predictor, table: WindowTable, fold: Fold) -> float:
    return classification_scores(table.label[fold.test], predict(table, fold, fold.test))["f1"]


def _whole_groups(table: WindowTable, most: int, seed: int) -> WindowTable:
    """All windows, or those of groups drawn until there are no more than ``most``."""
    if len(table.label) <= most:
        return table
    _, group, sizes = np.unique(table.group, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(sizes))
    return table.take(np.isin(group, order[np.cumsum(sizes[order]) <= most]))


def _kmers(tokens: Tokens) -> csr_array:
    """Which k-mer is at which place, ``(n, length)`` → sparse ``(n, places 4^k)`` of 0 and 1."""
    numbers = words(tokens, _KMER).astype(np.int64)
    rows, places_of_kmers = numbers.shape
    columns = numbers + np.arange(places_of_kmers) * 4**_KMER
    read = (~holds_n(tokens, _KMER)).astype(np.float32)
    starts = np.arange(0, numbers.size + 1, places_of_kmers)
    return csr_array((read.ravel(), columns.ravel(), starts), shape=(rows, places_of_kmers * 4**_KMER))


def _window_keys(tokens: Tokens) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """A number for each window and for its reverse complement; equal numbers are equal sequences."""
    both = np.concatenate([tokens, reverse_complement(tokens)])
    _, keys = np.unique(both, axis=0, return_inverse=True)
    same, opposite = keys.ravel().astype(np.uint64).reshape(2, -1)
    return same, opposite


def _leak(kind: str, table: WindowTable, held: Stretches, wanted: Stretches) -> Leak:
    """Windows that want a key which a window of another part holds."""
    keys, codes = np.unique(held.key, return_inverse=True)
    part = table.part[held.window]
    lowest, highest = np.full(keys.size, np.iinfo(np.int8).max), np.full(keys.size, -1)
    np.minimum.at(lowest, codes, part)
    np.maximum.at(highest, codes, part)
    asked = np.flatnonzero(np.isin(wanted.key, keys))
    place, own = np.searchsorted(keys, wanted.key[asked]), table.part[wanted.window[asked]]
    leaking = asked[(lowest[place] != own) | (highest[place] != own)]
    if not leaking.size:
        return Leak(kind, 0, len(table.label), None)
    row, key = wanted.window[leaking[0]], wanted.key[leaking[0]]
    partner = held.window[(held.key == key) & (part != table.part[row])][0]
    return Leak(kind, np.unique(wanted.window[leaking]).size, len(table.label), _named(table, row, partner))


def _overlaps(table: WindowTable) -> Leak:
    """Windows that overlap one of another part: the nearest such one before or after them is enough to look at."""
    known, contig, middle = places(table.origin)
    rows = np.flatnonzero(known)
    names = np.array([f"{species} {name}" for species, name in zip(table.species[rows], contig[rows], strict=True)])
    _, chromosome = np.unique(names, return_inverse=True)
    order = np.lexsort((middle[rows], chromosome))
    rows, chromosome, middle = rows[order], chromosome[order], middle[rows[order]]
    found = np.full(len(rows), -1)
    for other in _nearest_of_another_part(table.part[rows]):
        near = (chromosome[other] == chromosome) & (np.abs(middle[other] - middle) < table.tokens.shape[1])
        found = np.where(near & (other >= 0), other, found)
    leaking = np.flatnonzero(found >= 0)
    example = _named(table, rows[leaking[0]], rows[found[leaking[0]]]) if leaking.size else None
    return Leak("overlapping coordinates", leaking.size, len(rows), example)


def _nearest_of_another_part(part: NDArray[np.int8]) -> tuple[Rows, Rows]:
    """For each place of ``(n,)`` the last place before and the first after it with another part; -1 if there is none.

    >>> [places.tolist() for places in _nearest_of_another_part(np.array([1, 1, 2, 2, 1], dtype=np.int8))]
    [[-1, -1, 1, 1, 3], [2, 2, 4, 4, -1]]
    """
    starts = np.flatnonzero(np.diff(part, prepend=-1) != 0)
    run = np.searchsorted(starts, np.arange(part.size), side="right") - 1
    after = np.append(starts[1:], -1)
    return starts[run] - 1, after[run]


def _named(table: WindowTable, first: np.intp, second: np.intp) -> tuple[str, str]:
    one, other = (f"{table.species[row]} {table.origin[row]}" for row in (first, second))
    return one, other


def _leak_row(leak: Leak) -> str:
    if not leak.of:
        return f"| {leak.kind} | unknown | – | no window has coordinates |"
    example = " and ".join(leak.example) if leak.example else "–"
    return f"| {leak.kind} | {leak.windows:,} of {leak.of:,} | {leak.windows / leak.of:.1%} | {example} |"


def _worth_row(worth: Worth) -> str:
    low, high = worth.difference.interval
    return (
        f"| {worth.classifier} | {np.mean(worth.kept):.3f} | {np.mean(worth.random):.3f} "
        f"| {worth.difference.mean:+.3f} ({low:+.3f} to {high:+.3f}) |"
    )
