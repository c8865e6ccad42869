"""Parts of a window table with what is alike kept together, and the folds made of them.

A table is cut into ``2 k + 1`` parts of whole groups. The last one, the *selection* part, is for choices made
during pre-training (which checkpoint has the best SCCS and NMI) and for hyper-parameters; it is in no fold. Fold
``i`` tests on parts ``2 i`` and ``2 i + 1``, validates on the next one, and trains on the others: 70/10/20 for
k = 5, the proportions of Chen et al. (2024), with groups kept together where theirs were split. With
``split.pretraining`` the table is cut into that many parts more, which only pre-training with labels reads. What a
group is, :mod:`simcsp.datasets.kept_together` says.
"""

import hashlib
import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from simcsp.config import SplitConfig
from simcsp.datasets.kept_together import Names, kept_together
from simcsp.datasets.windows import WindowTable
from simcsp.errors import InputError

Rows = NDArray[np.intp]

_LEAST_WINDOWS = 20  # in a part: below, SCCS and AUROC are chance, or undefined
_LARGEST_GROUP = 0.5  # of all windows: a larger one leaves no balance to speak of
_KINDS = {  # of groups, in the words of an error
    "group": "groups", "chromosome": "chromosomes", "species": "species", "cluster": "clusters", "label": "windows",
}  # fmt: skip


class Fold(NamedTuple):
    """Row numbers of one fold."""

    train: Rows
    validation: Rows
    test: Rows


def assign_parts(table: WindowTable, split: SplitConfig) -> WindowTable:
    """Give every window a part; windows of one group get the same one.

    Parts are balanced over the four strata label × site type as far as whole groups allow; those of the published
    split (``split.by`` is ``label``) over labels alone.

    Returns:
        The table with its parts, and with ``group`` naming what was kept together.

    Raises:
        InputError: if groups cannot be told, if there are fewer of them or of the windows than parts need, if one of
            them holds most of the windows, or if a part would lack one of the two labels.
    """
    parts = 2 * split.folds + 1 + split.pretraining
    table = table._replace(group=kept_together(table, split))
    _require_enough(table, split, parts)
    if split.by == "label":
        assigned = _stratified(table.label, parts, split.seed)
    else:
        assigned = _balanced(2 * table.label + table.site_type, table.group, parts, split.seed)
    for part in range(parts):
        if np.unique(table.label[assigned == part]).size < 2:
            raise InputError(
                f"part {part} of the split has windows of one label only",
                hint="Give more genes, fewer split.folds, or another split.by",
            )
    return table._replace(part=assigned)


def require_usable_parts(table: WindowTable, split: SplitConfig) -> None:
    """Refuse parts on which scores would be chance, or undefined.

    Raises:
        InputError: if a part has very few windows, or lacks a kind that the table has.
    """
    kinds = 2 * table.label + table.site_type
    wanted = np.unique(kinds).size
    for part in range(2 * split.folds + 1):
        held = kinds[table.part == part]
        if held.size < _LEAST_WINDOWS or np.unique(held).size < wanted:
            raise InputError(
                f"part {part} of the split has {held.size} windows of {np.unique(held).size} of the {wanted} kinds "
                f"(donors, acceptors, decoys of each); at least {_LEAST_WINDOWS} and every kind are needed",
                hint="Give more genes, or fewer split.folds",
            )


def pretraining_rows(table: WindowTable, split: SplitConfig) -> Rows:
    """Rows of the parts that pre-training may see the labels of."""
    return np.flatnonzero(table.part > 2 * split.folds)


def _require_enough(table: WindowTable, split: SplitConfig, parts: int) -> None:
    """Refuse groups that no split can balance."""
    names, sizes = np.unique(table.group, return_counts=True)
    if names.size < parts:
        raise InputError(
            f"{names.size} {_KINDS[split.by]} of windows cannot fill {parts} parts ({split.folds} folds of 2, and 1 "
            f"for choices{f', and {split.pretraining} for pre-training' if split.pretraining else ''})",
            hint="Give more genes, fewer split.folds, or another split.by",
        )
    largest = int(np.argmax(sizes))
    if sizes[largest] > _LARGEST_GROUP * len(table.group):
        raise InputError(
            f"{sizes[largest]:,} of {len(table.group):,} windows are in one of the {_KINDS[split.by]} "
            f"({names[largest]}), so parts cannot be balanced",
            hint="Set split.by to something finer; if these are clusters, a larger split.shared keeps less together",
        )


def _stratified(label: NDArray[np.uint8], parts: int, seed: int) -> NDArray[np.int8]:
    """Part of every row, stratified by label and nothing else."""
    rarest = int(np.bincount(label, minlength=2).min())
    if rarest < parts:
        raise InputError(f"{rarest} windows of one label cannot fill {parts} parts", hint="Give fewer split.folds")
    assigned = np.empty(len(label), dtype=np.int8)
    splitter = StratifiedKFold(n_splits=parts, shuffle=True, random_state=seed)
    for part, (_, rows) in enumerate(splitter.split(np.zeros(len(label)), label)):
        assigned[rows] = part
    return assigned


def _balanced(strata: NDArray[np.uint8], group: Names, parts: int, seed: int) -> NDArray[np.int8]:
    """Part of every row: whole groups, each stratum spread as evenly as they allow."""
    assigned = np.full(len(strata), -1, dtype=np.int8)
    splitter = StratifiedGroupKFold(n_splits=parts, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A stratum of fewer windows than parts is met with an error by the caller where it matters.
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        try:
            for part, (_, rows) in enumerate(splitter.split(np.zeros(len(strata)), strata, group)):
                assigned[rows] = part
        except ValueError as error:  # every stratum has fewer windows than there are parts
            raise InputError(
                f"{len(strata)} windows are too few for {parts} parts", hint="Give more genes, or fewer split.folds"
            ) from error
    return assigned


def selection_rows(table: WindowTable, split: SplitConfig) -> Rows:
    """Rows of the part that choices are made on."""
    return np.flatnonzero(table.part == 2 * split.folds)


class FoldParts(NamedTuple):
    """Numbers of the parts that a fold is made of."""

    train: frozenset[int]
    validation: frozenset[int]
    test: frozenset[int]


def fold_parts(folds: int, fold: int) -> FoldParts:
    """Parts of fold ``0 <= fold < folds``."""
    test = frozenset({2 * fold, 2 * fold + 1})
    validation = frozenset({(2 * fold + 2) % (2 * folds)})
    return FoldParts(frozenset(range(2 * folds)) - test - validation, validation, test)


def test_to_train(folds: int, sizes: list[int]) -> float:
    """Test windows per window that a fold may train on, mean over folds, for the corrected resampled t test.

    Folds that draw a few labels have no larger ratio. Nadeau & Bengio (2003, section 3) allow for the test windows that
    two splits share, a share n2 / (n1 + n2) where training takes all that testing leaves; with few labels most windows
    are left by both, and n1 stands for all of them.

    Args:
        folds: of the split.
        sizes: windows per part.
    """
    ratios = []
    for fold in range(folds):
        parts = fold_parts(folds, fold)
        ratios.append(sum(sizes[part] for part in parts.test) / sum(sizes[part] for part in parts.train))
    return sum(ratios) / len(ratios)


def fold_rows(table: WindowTable, split: SplitConfig, fold: int) -> Fold:
    """Rows of fold ``0 <= fold < split.folds``."""
    return Fold(*(np.flatnonzero(np.isin(table.part, sorted(parts))) for parts in fold_parts(split.folds, fold)))


def split_record(table: WindowTable, split: SplitConfig) -> dict[str, Any]:
    """What the manifest says of the split: sizes, a hash of the assignment, and how much leaks.

    Leaks counted are groups in more than one part and identical windows in more than one part; both are zero
    by construction, and counted from the finished table all the same.
    """
    parts = range(2 * split.folds + 1)
    names, sizes = np.unique(table.group, return_counts=True)
    return {
        "by": split.by,
        "folds": split.folds,
        "seed": split.seed,
        "groups": int(names.size),
        "largest group": {"name": str(names[sizes.argmax()]), "windows": int(sizes.max())},
        "windows per part": [int((table.part == part).sum()) for part in parts],
        "splice sites per part": [int(table.label[table.part == part].sum()) for part in parts],
        "hash": hashlib.sha256(table.part.tobytes()).hexdigest(),
        "groups in several parts": _in_several_parts(table.group, table.part),
        "identical windows in several parts": _in_several_parts(
            np.array([row.tobytes() for row in table.tokens]), table.part
        ),
    }


def _in_several_parts(keys: NDArray[Any], part: NDArray[np.int8]) -> int:
    _, codes = np.unique(keys, return_inverse=True)
    pairs = np.unique(np.stack([codes.ravel(), part.astype(np.int64)], axis=1), axis=0)
    return int(np.count_nonzero(np.bincount(pairs[:, 0]) > 1))
