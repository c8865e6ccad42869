"""Labelled windows: one table, whatever format they came from."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from datasets import Dataset, load_from_disk
from numpy.typing import NDArray

from simcsp.errors import InputError
from simcsp.sequence.alphabet import Tokens
from simcsp.tally import Tally

TRANSFER = "transfer"  # folder of windows of other species, beside those of the folds
Strings = NDArray[np.str_]


class WindowTable(NamedTuple):
    """Windows of one length, ``n`` rows.

    Attributes:
        tokens: ``(n, length)`` nucleotide tokens; the site's dinucleotide at the two central positions.
        label: ``(n,)`` 1 splice site, 0 decoy.
        site_type: ``(n,)`` 0 donor, 1 acceptor (:mod:`simcsp.sequence.sites`).
        species: ``(n,)``.
        group: ``(n,)`` windows of one group (gene, locus, homology cluster) stay together in a split.
        origin: ``(n,)`` where each came from: ``contig:start-end:strand`` or ``file:record``.
        part: ``(n,)`` part of the split (:mod:`simcsp.datasets.splits`), -1 before it is made.
    """

    tokens: Tokens
    label: NDArray[np.uint8]
    site_type: NDArray[np.uint8]
    species: Strings
    group: Strings
    origin: Strings
    part: NDArray[np.int8]

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> "WindowTable":
        """The chosen rows."""
        return WindowTable._make(column[rows] for column in self)

    def __str__(self) -> str:
        positive = int(self.label.sum())
        return f"{len(self.label):,} windows of {self.tokens.shape[1]} nt, {positive:,} splice sites"


def window_table(
    tokens: Tokens,
    *,
    label: NDArray[np.uint8],
    site_type: NDArray[np.uint8],
    species: str,
    group: list[str],
    origin: list[str],
) -> WindowTable:
    """Put the columns of one source together; the part of the split is not known yet."""
    rows = len(tokens)
    columns = (
        label.astype(np.uint8),
        site_type.astype(np.uint8),
        np.full(rows, species),
        np.array(group, dtype=str),
    )
    return WindowTable(tokens, *columns, np.array(origin, dtype=str), np.full(rows, -1, dtype=np.int8))


def concatenate(tables: list[WindowTable]) -> WindowTable:
    """One table below the other."""
    return WindowTable._make(np.concatenate(columns) for columns in zip(*tables, strict=True))


def drop_duplicates(table: WindowTable, tally: Tally) -> WindowTable:
    """Keep the first of identical windows; a decoy identical to a splice site is no decoy and goes."""
    order = np.argsort(table.label == 0, kind="stable")  # splice sites first, otherwise as read
    _, first, inverse = np.unique(table.tokens[order], axis=0, return_index=True, return_inverse=True)
    kept = np.zeros(len(order), dtype=bool)
    kept[order[first]] = True
    representative = order[first][inverse.ravel()]
    same_label = np.empty(len(order), dtype=bool)
    same_label[order] = table.label[representative] == table.label[order]
    tally.read += len(order)
    tally.drop("identical to an earlier window", np.count_nonzero(~kept & same_label))
    tally.drop("decoy identical to a splice site", np.count_nonzero(~kept & ~same_label))
    return table.take(kept)


def save_windows(table: WindowTable, folder: Path) -> None:
    """Write the table as Arrow through ``datasets``."""
    columns = {name: pa.array(column.ravel()) for name, column in table._asdict().items()}
    columns["tokens"] = pa.FixedSizeListArray.from_arrays(columns["tokens"], table.tokens.shape[1])
    Dataset.from_dict(columns).save_to_disk(str(folder))


def load_windows(folder: Path) -> WindowTable:
    """Read a table written by :func:`save_windows`.

    Raises:
        InputError: if there is none.
    """
    if not (folder / "dataset_info.json").is_file():
        raise InputError("no prepared windows here", path=folder, hint="Run src/prepare.py first")
    arrow = load_from_disk(str(folder)).data.table
    columns = {name: arrow.column(name).combine_chunks() for name in WindowTable._fields}
    length = columns["tokens"].type.list_size
    tokens = columns.pop("tokens").flatten().to_numpy().reshape(-1, length)
    arrays = {
        name: np.array(column.to_pylist(), dtype=str) if str(column.type).endswith("string") else column.to_numpy()
        for name, column in columns.items()
    }
    return WindowTable(tokens, **arrays)
