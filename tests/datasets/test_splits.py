import hashlib
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedKFold

from simcsp.config import SplitConfig
from simcsp.datasets.splits import assign_parts, fold_rows, require_usable_parts, selection_rows, split_record
from simcsp.datasets.splits import test_to_train as ratio_of_folds
from simcsp.datasets.windows import WindowTable, concatenate, window_table
from simcsp.errors import InputError
from simcsp.sequence.alphabet import reverse_complement


def table_of(groups: list[str], label: list[int], site_type: list[int] | None = None, seed: int = 0) -> WindowTable:
    rows = len(groups)
    return window_table(
        np.random.default_rng(seed).integers(6, 10, (rows, 40), dtype=np.uint8),
        label=np.array(label, dtype=np.uint8),
        site_type=np.array(site_type or [0] * rows, dtype=np.uint8),
        species="human",
        group=groups,
        origin=[f"row {row}" for row in range(rows)],
    )


def genes(sizes: list[int], seed: int = 0) -> WindowTable:
    """Every gene has at least one splice site and one decoy, and of each kind as many as chance gives it."""
    rng = np.random.default_rng(seed)
    groups = [f"gene-{number}" for number, size in enumerate(sizes) for _ in range(size + 2)]
    label = [value for size in sizes for value in (0, 1, *rng.integers(0, 2, size))]
    return table_of(groups, label, list(rng.integers(0, 2, len(groups))), seed)


tables = st.builds(genes, st.lists(st.integers(0, 8), min_size=30, max_size=60), st.integers(0, 9))
splits = st.builds(SplitConfig, folds=st.integers(2, 5), seed=st.integers(0, 9))


@settings(max_examples=25, deadline=None)
@given(tables, splits)
def test_no_group_is_in_two_parts_and_every_part_has_both_labels(table: WindowTable, split: SplitConfig) -> None:
    parted = assign_parts(table, split)
    assert set(parted.part.tolist()) == set(range(2 * split.folds + 1))
    part_of = dict(zip(parted.group.tolist(), parted.part.tolist(), strict=True))
    assert [part_of[group] for group in parted.group.tolist()] == parted.part.tolist()
    for part in set(parted.part.tolist()):
        assert set(parted.label[parted.part == part].tolist()) == {0, 1}


@settings(max_examples=25, deadline=None)
@given(tables, splits)
def test_every_window_is_tested_once_or_is_kept_for_choices(table: WindowTable, split: SplitConfig) -> None:
    parted = assign_parts(table, split)
    tested = [fold_rows(parted, split, fold).test for fold in range(split.folds)]
    assert sorted(np.concatenate([*tested, selection_rows(parted, split)]).tolist()) == list(range(len(table.label)))


@settings(max_examples=25, deadline=None)
@given(tables, splits)
def test_train_validation_and_test_share_no_group_and_leave_none_out(table: WindowTable, split: SplitConfig) -> None:
    parted = assign_parts(table, split)
    selection = set(selection_rows(parted, split).tolist())
    for number in range(split.folds):
        fold = fold_rows(parted, split, number)
        groups = [set(parted.group[rows].tolist()) for rows in fold]
        assert sum(map(len, groups)) == len(set().union(*groups))
        rows = np.concatenate(fold).tolist()
        assert len(rows) == len(set(rows))
        assert set(rows) == set(range(len(table.label))) - selection


@settings(max_examples=10, deadline=None)
@given(tables, splits)
def test_parts_follow_from_the_seed(table: WindowTable, split: SplitConfig) -> None:
    np.testing.assert_array_equal(assign_parts(table, split).part, assign_parts(table, split).part)


def at(places_of_groups: list[tuple[str, str, int]]) -> WindowTable:
    """A window of 40 nt of each species, group and middle, of either label by turns."""
    species, groups, middles = zip(*places_of_groups, strict=True)
    table = table_of(list(groups), [row % 2 for row in range(len(groups))])
    origin = [f"chr1:{middle - 20}-{middle + 20}:{'+-'[middle % 2]}" for middle in middles]
    return table._replace(species=np.array(species), origin=np.array(origin))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from("uvwxyz"), st.integers(20, 4000)), min_size=1, max_size=25
    )
)
def test_groups_are_joined_where_their_windows_overlap_and_nowhere_else(drawn: list[tuple[str, str, int]]) -> None:
    # Naive: give both groups of every overlapping pair one name until nothing changes.
    name = {group: group for _, group, _ in drawn}
    for _ in range(len(name)):
        for species, group, middle in drawn:
            for other_species, other, other_middle in drawn:
                if species == other_species and abs(middle - other_middle) < 40:
                    name[group] = name[other] = min(name[group], name[other])
    alone = [("c", f"alone {number // 2}", 20 + 100 * (number // 2)) for number in range(200)]
    wanted = [name.get(group, group) for _, group, _ in [*drawn, *alone]]
    parted = assign_parts(at([*drawn, *alone]), SplitConfig(folds=2))
    same = np.array(wanted)[:, None] == np.array(wanted)[None]
    np.testing.assert_array_equal(parted.group[:, None] == parted.group[None], same)


def test_another_seed_gives_other_parts() -> None:
    table = genes([3] * 200)
    parts = {assign_parts(table, SplitConfig(seed=seed)).part.tobytes() for seed in range(5)}
    assert len(parts) == 5


def test_assigning_parts_leaves_the_other_columns_of_a_grouped_table_alone() -> None:
    table = genes([3] * 40)
    for name, before, after in zip(WindowTable._fields, table, assign_parts(table, SplitConfig()), strict=True):
        assert np.array_equal(before, after) == (name != "part")


def test_five_folds_train_on_seventy_validate_on_ten_and_test_on_twenty_percent() -> None:
    split = SplitConfig(folds=5)
    table = assign_parts(genes([4] * 1100), split)
    in_folds = len(table.label) - len(selection_rows(table, split))
    assert in_folds / len(table.label) == pytest.approx(10 / 11, abs=0.003)
    for number in range(5):
        fold = fold_rows(table, split, number)
        assert [len(rows) / in_folds for rows in fold] == pytest.approx([0.7, 0.1, 0.2], abs=0.005)


def test_each_fold_validates_on_the_part_after_its_test_parts() -> None:
    split = SplitConfig(folds=3)
    table = genes([0] * 7)._replace(part=np.repeat(np.arange(7, dtype=np.int8), 2))
    parts = [[sorted(set(table.part[rows].tolist())) for rows in fold_rows(table, split, fold)] for fold in range(3)]
    assert parts == [[[3, 4, 5], [2], [0, 1]], [[0, 1, 5], [4], [2, 3]], [[1, 2, 3], [0], [4, 5]]]
    assert table.part[selection_rows(table, split)].tolist() == [6, 6]


def test_label_and_site_type_are_balanced_over_the_parts() -> None:
    table = assign_parts(genes([6] * 660, seed=1), SplitConfig(folds=5))
    for label in (0, 1):
        for site_type in (0, 1):
            kind = (table.label == label) & (table.site_type == site_type)
            shares = [kind[table.part == part].mean() for part in range(11)]
            assert shares == pytest.approx([kind.mean()] * 11, abs=0.02)


def test_fewer_groups_than_parts_are_refused() -> None:
    assign_parts(genes([3] * 11), SplitConfig(folds=5))
    with pytest.raises(InputError, match=r"10 groups of windows cannot fill 11 parts .* fewer split\.folds"):
        assign_parts(genes([3] * 10), SplitConfig(folds=5))


def test_fewer_windows_of_every_kind_than_parts_are_refused() -> None:
    with pytest.raises(InputError, match="11 windows are too few for 11 parts"):
        assign_parts(table_of([f"g{row}" for row in range(11)], [0, 1] * 5 + [0]), SplitConfig(folds=5))


def test_a_part_with_one_label_only_is_refused() -> None:
    groups = [f"g{row // 2}" for row in range(40)]
    with pytest.raises(InputError, match="windows of one label only"):
        assign_parts(table_of(groups, [1, 1] + [0, 0] * 19), SplitConfig(folds=2))


def test_a_rare_kind_of_window_is_no_reason_to_stop() -> None:
    table = genes([3] * 40)
    site_type = np.zeros_like(table.site_type)
    site_type[:3] = 1
    assert assign_parts(table._replace(site_type=site_type), SplitConfig()).part.min() == 0


def test_the_record_counts_what_is_in_each_part() -> None:
    split = SplitConfig(folds=2, seed=4)
    table = assign_parts(genes([3] * 30), split)
    record = split_record(table, split)
    assert record["windows per part"] == [int((table.part == part).sum()) for part in range(5)]
    assert sum(record["windows per part"]) == len(table.label)
    assert sum(record["splice sites per part"]) == table.label.sum()
    assert (record["by"], record["folds"], record["seed"], record["groups"]) == ("group", 2, 4, 30)
    assert record["hash"] == hashlib.sha256(bytes(table.part.tolist())).hexdigest()
    assert (record["groups in several parts"], record["identical windows in several parts"]) == (0, 0)


def test_planted_leaks_are_counted() -> None:
    split = SplitConfig(folds=2)
    table = assign_parts(genes([3] * 30), split)
    part = table.part.copy()
    first, second = 0, 5  # rows of two genes
    assert table.group[first] != table.group[second]
    part[[first, second]] = (part[[first, second]] + 1) % 5
    assert split_record(table._replace(part=part), split)["groups in several parts"] == 2
    tokens = table.tokens.copy()
    here, *elsewhere = (np.flatnonzero(table.part == number)[0] for number in range(3))
    tokens[elsewhere] = tokens[here]
    tokens[np.flatnonzero(table.part == 3)[1]] = tokens[np.flatnonzero(table.part == 3)[0]]
    assert split_record(table._replace(tokens=tokens), split)["identical windows in several parts"] == 1


@pytest.mark.parametrize("lost", ["windows", "kind"])
def test_parts_too_poor_to_score_are_refused(lost: str) -> None:
    split = SplitConfig(folds=2)
    rows = 5 * 40
    table = window_table(
        np.full((rows, 4), 6, dtype=np.uint8),
        label=np.tile([0, 1], rows // 2).astype(np.uint8),
        site_type=np.tile([0, 0, 1, 1], rows // 4).astype(np.uint8),
        species="x",
        group=[str(row) for row in range(rows)],
        origin=[str(row) for row in range(rows)],
    )._replace(part=np.repeat(np.arange(5), 40).astype(np.int8))
    require_usable_parts(table, split)
    in_last = table.part == 4
    keep = ~in_last | (np.arange(rows) >= rows - 10 if lost == "windows" else table.site_type == 0)
    with pytest.raises(InputError, match="part 4 of the split has"):
        require_usable_parts(table.take(keep), split)


def located(contigs: int, per_contig: int = 12, species: int = 1) -> WindowTable:
    """Windows on contigs of the same names in each species."""
    one = table_of([""] * contigs * per_contig, [0, 1] * (contigs * per_contig // 2))
    rows = range(contigs * per_contig)
    origin = np.array([f"chr{row % contigs + 1}:{1000 * row}-{1000 * row + 2}:{'+-'[row % 2]}" for row in rows])
    tables = [one._replace(origin=origin, species=np.full(len(rows), f"s{number}")) for number in range(species)]
    return concatenate(tables)


def similar(families: int, members: int) -> WindowTable:
    """Families of windows that share 60 nt, every second one on the other strand, in random order and in no group."""
    rng = np.random.default_rng(5)
    rows = families * members
    table = table_of([""] * rows, [row // families % 2 for row in range(rows)])
    tokens = rng.integers(6, 10, (rows, 100), dtype=np.uint8)
    for row in range(rows):
        start = int(rng.integers(0, 41))
        piece = np.random.default_rng([9, row % families]).integers(6, 10, 60, dtype=np.uint8)
        tokens[row, start : start + 60] = reverse_complement(piece) if row % 2 else piece
    return table._replace(tokens=tokens)


def parts_of(names: list[str], table: WindowTable) -> list[int]:
    """In how many parts each name is."""
    parts = table.part.tolist()
    return [len({part for one, part in zip(names, parts, strict=True) if one == name}) for name in sorted(set(names))]


def test_chromosomes_of_one_species_are_kept_together_and_those_of_two_are_not() -> None:
    table = assign_parts(located(13, species=2), SplitConfig(by="chromosome"))
    names = [f"{species} {origin.split(':')[0]}" for species, origin in zip(table.species, table.origin, strict=True)]
    assert table.group.tolist() == names
    assert parts_of(names, table) == [1] * 26
    contigs = [name.split()[1] for name in names]
    assert set(parts_of(contigs, table)) == {1, 2}


def test_windows_without_coordinates_cannot_be_split_by_chromosome() -> None:
    table = located(13)
    origin = table.origin.astype(object)
    origin[[3, 7]] = "Donor_Train_Positive:17"
    with pytest.raises(InputError, match=r"2 windows have no coordinates.*Positive:17.*Set split\.by to cluster"):
        assign_parts(table._replace(origin=origin.astype(str)), SplitConfig(by="chromosome"))


def test_species_are_kept_together() -> None:
    table = assign_parts(located(2, species=6), SplitConfig(by="species", folds=2))
    assert parts_of(table.species.tolist(), table) == [1] * 6
    assert table.group.tolist() == table.species.tolist()


@pytest.mark.parametrize(("by", "kind"), [("chromosome", "chromosomes"), ("species", "species")])
def test_too_few_of_a_kind_are_named(by: Literal["chromosome", "species"], kind: str) -> None:
    with pytest.raises(InputError, match=f"4 {kind} of windows cannot fill 5 parts.*another split.by"):
        assign_parts(located(4) if by == "chromosome" else located(1, species=4), SplitConfig(by=by, folds=2))


@pytest.mark.parametrize("by", ["cluster", "group"])
def test_families_of_windows_in_no_group_stay_together_on_either_strand(by: Literal["cluster", "group"]) -> None:
    families = 40
    table = assign_parts(similar(families, 6), SplitConfig(by=by, folds=3))
    names = [str(row % families) for row in range(families * 6)]
    assert parts_of(names, table) == [1] * families
    assert table.group[:3].tolist() == ["cluster:0", "cluster:1", "cluster:2"]
    assert np.unique(table.group).size == families


def test_a_split_by_cluster_does_without_the_groups_of_the_source() -> None:
    table = similar(40, 6)
    named = table._replace(group=np.array([f"gene-{row}" for row in range(240)]))
    np.testing.assert_array_equal(
        assign_parts(named, SplitConfig(by="cluster")).part, assign_parts(table, SplitConfig(by="cluster")).part
    )


def test_only_windows_without_a_group_are_clustered() -> None:
    table = similar(40, 6)
    group = np.array(["" if row < 120 else f"gene-{row}" for row in range(240)])
    parted = assign_parts(table._replace(group=group), SplitConfig())
    assert parted.group.tolist() == [f"cluster:{row % 40}" if row < 120 else f"gene-{row}" for row in range(240)]


def test_the_published_split_is_stratified_by_label_and_keeps_nothing_together() -> None:
    label = np.random.default_rng(0).integers(0, 2, 1000)
    table = table_of(["one"] * 1000, label.tolist())
    parted = assign_parts(table, SplitConfig(by="label", seed=2020))
    expected = StratifiedKFold(11, shuffle=True, random_state=2020).split(label, label)
    for part, (_, rows) in enumerate(expected):
        assert np.flatnonzero(parted.part == part).tolist() == rows.tolist()
    assert np.unique(parted.group).size == 1000


def test_too_few_windows_of_a_label_cannot_be_stratified() -> None:
    with pytest.raises(InputError, match="10 windows of one label cannot fill 11 parts"):
        assign_parts(table_of([""] * 200, [1] * 10 + [0] * 190), SplitConfig(by="label"))


def test_a_group_of_most_windows_is_refused_by_name() -> None:
    half = table_of(["big"] * 50 + [str(row) for row in range(50)], [0, 1] * 50)
    assert split_record(assign_parts(half, SplitConfig(folds=2)), SplitConfig(folds=2))["largest group"] == {
        "name": "big",
        "windows": 50,
    }
    more = table_of(["big"] * 51 + [str(row) for row in range(49)], [0, 1] * 50)
    with pytest.raises(InputError, match=r"51 of 100 windows are in one of the groups \(big\)"):
        assign_parts(more, SplitConfig(folds=2))


def test_test_to_train_is_the_mean_ratio_of_the_folds() -> None:
    assert ratio_of_folds(2, [10, 20, 30, 40, 99]) == pytest.approx((30 / 40 + 70 / 20) / 2)
    assert ratio_of_folds(5, [100] * 11) == pytest.approx(2 / 7)
