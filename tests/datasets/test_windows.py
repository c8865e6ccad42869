from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcsp.datasets.windows import (
    WindowTable,
    concatenate,
    drop_duplicates,
    load_windows,
    save_windows,
    window_table,
)
from simcsp.errors import InputError
from simcsp.sequence.alphabet import decode, encode
from simcsp.tally import Tally


def table_of(rows: list[tuple[str, int]], *, species: str = "human", site_type: int = 0) -> WindowTable:
    """One row for each (letters, label), numbered in ``origin``."""
    return window_table(
        np.stack([encode(letters.encode("ascii")).tokens for letters, _ in rows]),
        label=np.array([label for _, label in rows], dtype=np.uint8),
        site_type=np.full(len(rows), site_type, dtype=np.uint8),
        species=species,
        group=[f"gene-{number}" for number in range(len(rows))],
        origin=[f"{species}:{number}" for number in range(len(rows))],
    )


def assert_equal(left: WindowTable, right: WindowTable) -> None:
    for name, ours, theirs in zip(WindowTable._fields, left, right, strict=True):
        np.testing.assert_array_equal(ours, theirs, err_msg=name)
        assert ours.dtype.kind == theirs.dtype.kind, name
        if ours.dtype.kind != "U":
            assert ours.dtype == theirs.dtype, name


def test_a_new_table_has_no_parts_yet() -> None:
    table = table_of([("ACGT", 1), ("AGGT", 0)])
    assert table.part.tolist() == [-1, -1]
    assert [column.dtype for column in (table.tokens, table.label, table.site_type)] == [np.uint8] * 3
    assert str(table) == "2 windows of 4 nt, 1 splice sites"


@pytest.mark.parametrize("rows", [[2, 0], [True, False, True]])
def test_taking_rows_takes_them_from_every_column(rows: list[int]) -> None:
    table = table_of([("ACGT", 1), ("AGGT", 0), ("AAAA", 1)])
    taken = table.take(np.array(rows))
    order = [2, 0] if rows == [2, 0] else [0, 2]
    assert taken.origin.tolist() == [f"human:{row}" for row in order]
    assert taken.group.tolist() == [f"gene-{row}" for row in order]
    assert [decode(window) for window in taken.tokens] == [["ACGT", "AGGT", "AAAA"][row] for row in order]
    assert taken.label.tolist() == [1, 1]


def test_concatenation_keeps_order_and_long_names() -> None:
    upper, lower = table_of([("ACGT", 1)]), table_of([("AGGT", 0), ("TTTT", 1)], species="a-longer-name", site_type=1)
    both = concatenate([upper, lower])
    assert both.species.tolist() == ["human", "a-longer-name", "a-longer-name"]
    assert both.origin.tolist() == ["human:0", "a-longer-name:0", "a-longer-name:1"]
    assert both.site_type.tolist() == [0, 1, 1]
    assert_equal(both.take(np.array([0])), upper)
    assert_equal(both.take(np.array([1, 2])), lower)


def test_duplicates_of_the_worked_example_are_dropped_with_their_reasons() -> None:
    rows = [
        ("AAGTAA", 0),  # 0: decoy, later met as splice site 3: goes
        ("CCGTCC", 1),  # 1: stays
        ("TTGTTT", 0),  # 2: stays
        ("AAGTAA", 1),  # 3: stays, though read after 0
        ("CCGTCC", 1),  # 4: splice site again: goes
        ("TTGTTT", 0),  # 5: decoy again: goes
        ("CCGTCC", 0),  # 6: decoy identical to splice site 1: goes
        ("GGGTGG", 0),  # 7: stays
        ("AAGTAA", 0),  # 8: as 0: goes
    ]
    tally = Tally("windows", "all")
    kept = drop_duplicates(table_of(rows), tally)
    assert kept.origin.tolist() == ["human:1", "human:2", "human:3", "human:7"]
    assert kept.label.tolist() == [1, 0, 1, 0]
    assert (tally.read, tally.kept) == (9, 4)
    assert tally.dropped == {"identical to an earlier window": 2, "decoy identical to a splice site": 3}


def test_the_first_of_many_identical_windows_is_kept() -> None:
    rows = [(letters, label) for label in (0, 1) for letters in ("AAAA", "CCCC") for _ in range(200)]
    shuffled = np.random.default_rng(0).permutation(len(rows))
    table = table_of([rows[row] for row in shuffled])
    first = [min(np.flatnonzero((shuffled >= start) & (shuffled < start + 200))) for start in (400, 600)]
    kept = drop_duplicates(table, Tally("windows", "all"))
    assert kept.origin.tolist() == [f"human:{row}" for row in sorted(first)]


def test_windows_of_an_other_strand_are_other_windows() -> None:
    tally = Tally("windows", "all")
    drop_duplicates(table_of([("AAGTCC", 1), ("GGACTT", 0)]), tally)
    assert tally.dropped == {}


@given(st.lists(st.tuples(st.sampled_from(["AA", "AC", "CA", "NA"]), st.integers(0, 1)), min_size=1, max_size=12))
def test_what_is_kept_does_not_depend_on_whether_splice_sites_come_first(rows: list[tuple[str, int]]) -> None:
    tally = Tally("windows", "all")
    kept = drop_duplicates(table_of(rows), tally)
    found = {decode(window): int(label) for window, label in zip(kept.tokens, kept.label, strict=True)}
    assert len(found) == len(kept.label) == tally.kept
    assert found == {letters: max(label for other, label in rows if other == letters) for letters, _ in rows}


@settings(max_examples=15, deadline=None)
@given(rows=st.integers(1, 5), length=st.integers(2, 9), seed=st.integers(0, 99))
def test_a_table_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, rows: int, length: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    table = window_table(
        rng.integers(5, 10, (rows, length), dtype=np.uint8),
        label=rng.integers(0, 2, rows, dtype=np.uint8),
        site_type=rng.integers(0, 2, rows, dtype=np.uint8),
        species="Ciona intestinalis",
        group=[f"gène {number}" for number in rng.integers(0, 3, rows)],
        origin=[f"chr{number}:{number}-{number + 2}:+" for number in rng.integers(0, 10**9, rows)],
    )._replace(part=rng.integers(-1, 11, rows).astype(np.int8))
    folder = tmp_path_factory.mktemp("windows") / "table"
    save_windows(table, folder)
    assert_equal(load_windows(folder), table)


def test_chosen_rows_of_a_read_table_can_be_written_again(tmp_path: Path) -> None:
    save_windows(table_of([("ACGT", 1), ("AGGT", 0), ("AAAA", 1)]), tmp_path / "first")
    chosen = load_windows(tmp_path / "first").take(np.array([2, 0]))
    save_windows(chosen, tmp_path / "second")
    assert_equal(load_windows(tmp_path / "second"), chosen)


def test_a_folder_without_windows_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError, match="no prepared windows here"):
            load_windows(folder)
