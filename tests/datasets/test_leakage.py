import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from simcsp.config import SplitConfig
from simcsp.datasets.leakage import (
    Audit,
    audit,
    count_leaks,
    gain_of_random_folds,
    nearest_window,
    random_parts,
)
from simcsp.datasets.splits import Fold, assign_parts, fold_rows
from simcsp.datasets.windows import WindowTable, window_table
from simcsp.sequence.alphabet import N, Tokens, decode, reverse_complement
from simcsp.storage import finite

IDENTICAL, OPPOSITE, STRETCH, OVERLAP = range(4)  # order of the kinds


def table_of(
    tokens: Tokens,
    part: list[int],
    *,
    label: list[int] | None = None,
    site_type: list[int] | None = None,
    origin: list[str] | None = None,
) -> WindowTable:
    rows = len(tokens)
    return window_table(
        tokens,
        label=np.array(label or [0] * rows, dtype=np.uint8),
        site_type=np.array(site_type or [0] * rows, dtype=np.uint8),
        species="human",
        group=[str(row) for row in range(rows)],
        origin=origin or [f"windows:{row}" for row in range(rows)],
    )._replace(part=np.array(part, dtype=np.int8))


def random_windows(windows: int, length: int, seed: int = 0) -> Tokens:
    return np.random.default_rng(seed).integers(6, 10, (windows, length), dtype=np.uint8)


def families(members: int, split: SplitConfig, seed: int = 0) -> WindowTable:
    """220 families of near-identical windows, each of one label that follows from nothing else; a family is a group."""
    rng = np.random.default_rng(seed)
    family = np.repeat(np.arange(220), members)
    tokens = random_windows(220, 60, seed)[family]
    tokens[np.arange(len(family)), rng.integers(0, 60, len(family))] = N
    table = table_of(tokens, [0] * len(family), label=(family % 2).tolist(), site_type=(family // 2 % 2).tolist())
    return assign_parts(table._replace(group=family.astype(str)), split)


def test_leaks_planted_between_two_parts_are_counted_by_kind_with_an_example() -> None:
    tokens = random_windows(12, 100)
    tokens[1] = tokens[0]  # parts 0 and 1: identical
    tokens[2] = tokens[0]  # part 0: identical to row 1
    tokens[4] = reverse_complement(tokens[3])  # parts 1 and 2
    tokens[6, :50] = reverse_complement(tokens[5, 20:70])  # parts 1 and 0
    tokens[7, :60] = tokens[8, 40:]  # one part: no leak
    tokens[10, :49] = tokens[9, :49]  # too short
    tokens[10, 49] = 15 - tokens[9, 49]
    found = count_leaks(table_of(tokens, [0, 1, 0, 1, 2, 1, 0, 2, 2, 0, 1, 0]), shared=50)
    assert [leak.windows for leak in found] == [3, 2, 7, 0]
    assert [leak.of for leak in found] == [12, 12, 12, 0]
    assert found[IDENTICAL].example == ("human windows:0", "human windows:1")
    assert found[OPPOSITE].example == ("human windows:3", "human windows:4")
    assert found[OVERLAP].example is None


def test_nothing_leaks_between_unrelated_windows_nor_within_a_part() -> None:
    tokens = random_windows(60, 100)
    assert [leak.windows for leak in count_leaks(table_of(tokens, [0, 1, 2] * 20), 50)] == [0, 0, 0, 0]
    copies = tokens[[0, 0, 0]]
    copies[1] = reverse_complement(copies[0])
    assert [leak.windows for leak in count_leaks(table_of(copies, [3, 3, 3]), 50)] == [0, 0, 0, 0]


def test_a_palindromic_window_is_no_counterpart_of_itself() -> None:
    half = random_windows(1, 40)
    palindrome = np.concatenate([half, reverse_complement(half)], axis=1)
    alone = np.concatenate([palindrome, random_windows(1, 80, seed=1)])
    assert [leak.windows for leak in count_leaks(table_of(alone, [0, 1]), 50)] == [0, 0, 0, 0]
    twice = np.concatenate([palindrome, palindrome])
    assert [leak.windows for leak in count_leaks(table_of(twice, [0, 1]), 50)] == [2, 2, 2, 0]


def test_windows_shorter_than_the_stretch_are_compared_as_a_whole() -> None:
    tokens = random_windows(3, 30)
    tokens[2] = reverse_complement(tokens[1])
    found = count_leaks(table_of(tokens, [0, 1, 2]), shared=50)
    assert found[STRETCH].windows == 2
    assert found[STRETCH].kind.startswith("shares 30 nt")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 300), st.integers(0, 3)), min_size=2, max_size=25),
    st.booleans(),
)
def test_overlapping_coordinates_are_those_of_comparing_all_pairs(
    sites: list[tuple[str, int, int]], unplaced: bool
) -> None:
    length = 20
    origin = [f"{contig}:{at}-{at + 2}:{'+-'[at % 2]}" for contig, at, _ in sites] + ["text:3"] * unplaced
    part = [part for _, _, part in sites] + [0] * unplaced
    found = count_leaks(table_of(random_windows(len(origin), length), part, origin=origin), 50)[OVERLAP]
    spans = [(contig, set(range(at + 1 - length // 2, at + 1 + length // 2)), part) for contig, at, part in sites]
    leaking = [
        name
        for name, (contig, span, part) in zip(origin, spans, strict=False)
        if any(contig == c and part != p and span & s for c, s, p in spans)
    ]
    assert (found.windows, found.of) == (len(leaking), len(sites))
    assert (found.example is None) == (not leaking)


def test_the_same_contig_of_two_species_does_not_overlap() -> None:
    table = table_of(random_windows(2, 40), [0, 1], origin=["chr1:5-7:+", "chr1:5-7:+"])
    assert count_leaks(table, 50)[OVERLAP].windows == 2
    assert count_leaks(table._replace(species=np.array(["human", "mouse"])), 50)[OVERLAP].windows == 0


def test_random_parts_keep_the_size_and_the_labels_of_each_part() -> None:
    rng = np.random.default_rng(0)
    rows = 400
    columns = [rng.integers(0, top, rows).tolist() for top in (5, 2, 2)]
    table = table_of(random_windows(rows, 10), columns[0], label=columns[1], site_type=columns[2])
    dealt = random_parts(table, 3)

    def composition(part: NDArray[np.int8]) -> list[tuple[int, int, int]]:
        return sorted(zip(part.tolist(), table.label.tolist(), table.site_type.tolist(), strict=True))

    assert composition(dealt) == composition(table.part)
    assert 0.1 < (dealt == table.part).mean() < 0.35  # one in five by chance
    np.testing.assert_array_equal(dealt, random_parts(table, 3))


def test_the_memoriser_answers_with_the_training_window_of_the_site_type_that_has_the_same_kmers_in_place() -> None:
    rng = np.random.default_rng(4)
    tokens = random_windows(40, 60, seed=4)
    tokens[30:, 15:] = tokens[20:30, 15:]
    tokens[:10, :50] = tokens[30:, 10:]  # more of it, elsewhere: says nothing
    tokens[35:, 40] = N
    label, site_type = rng.integers(0, 2, 40).tolist(), rng.integers(0, 2, 40).tolist()
    table = table_of(tokens, [0] * 40, label=label, site_type=site_type)
    train, asked = np.arange(30), np.arange(30, 40)

    def kmers(row: int) -> set[tuple[int, str]]:
        letters = decode(tokens[row])
        return {(i, letters[i : i + 8]) for i in range(53) if "N" not in letters[i : i + 8]}

    expected = []
    for row in asked.tolist():
        others = [other for other in range(30) if site_type[other] == site_type[row]]
        expected.append(label[max(others, key=lambda other: len(kmers(row) & kmers(other)))])
    assert nearest_window(table, Fold(train, train, train), asked).tolist() == expected
    same_type = [row for row in range(30, 40) if site_type[row] == site_type[row - 10]]
    assert len(same_type) > 2
    assert [expected[row - 30] for row in same_type] == [label[row - 10] for row in same_type]


def test_remembering_pays_in_random_folds_where_families_leak_and_not_in_grouped_ones() -> None:
    split = SplitConfig(folds=4)
    table = families(5, split)
    worth = gain_of_random_folds("memoriser", nearest_window, table, split)
    assert np.mean(worth.kept) < 0.65  # labels are chance here
    assert min(worth.random) > 0.9
    assert worth.difference.interval[0] > 0.1
    assert worth.difference.mean == pytest.approx(np.mean(worth.random) - np.mean(worth.kept))


def test_a_classifier_that_cannot_remember_gains_nothing() -> None:
    def one_nucleotide(table: WindowTable, fold: Fold, asked: NDArray[np.intp]) -> NDArray[np.float64]:
        assert not set(asked.tolist()) & set(fold.train.tolist())
        return np.asarray(table.tokens[asked, 30] >= 8, dtype=np.float64)

    split = SplitConfig(folds=4)
    gain = gain_of_random_folds("none", one_nucleotide, families(5, split), split).difference
    assert abs(gain.mean) < 0.1
    assert gain.interval[0] < 0 < gain.interval[1]


def test_the_audit_leaves_the_selection_part_out_and_reads_as_tables() -> None:
    split = SplitConfig(folds=2)
    table = families(2, split)
    seen: list[int] = []

    def spy(given_table: WindowTable, fold: Fold, asked: NDArray[np.intp]) -> NDArray[np.float64]:
        assert 4 not in given_table.part
        seen.append(len(asked))
        return given_table.label[asked].astype(np.float64)

    found = audit(table, split, {"all-knowing": spy})
    folds = [len(fold_rows(table, split, fold).test) for fold in range(2)]
    assert seen == [*folds, *folds]
    assert found.in_folds == found.classified == sum(folds)
    assert json.loads(json.dumps(finite(found.as_dict())))["worth"][0]["kept"] == [1.0, 1.0]
    text = str(found)
    assert "| all-knowing | 1.000 | 1.000 | +0.000 (+0.000 to +0.000) |" in text
    assert "| overlapping coordinates | unknown | – | no window has coordinates |" in text
    assert f"| identical | 0 of {len(table.label)} | 0.0% | – |" in text
    assert f"F1, {sum(folds)} windows of the folds |" in text
    assert "It is no bound" in text


def test_a_large_set_is_thinned_by_whole_groups_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    split = SplitConfig(folds=2)
    table = families(3, split)
    sizes: list[int] = []

    def spy(given_table: WindowTable, fold: Fold, asked: NDArray[np.intp]) -> NDArray[np.float64]:
        _, members = np.unique(given_table.group, return_counts=True)
        assert set(members.tolist()) == {3}
        sizes.append(len(given_table.label))
        return given_table.label[asked].astype(np.float64)

    monkeypatch.setattr("simcsp.datasets.leakage._CLASSIFIED", 200)
    found: Audit = audit(table, split, {"spy": spy})
    assert set(sizes) == {198}
    assert f"198 of {found.in_folds} windows of the folds, whole groups drawn at random" in str(found)
