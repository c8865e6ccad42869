from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcsp.config import PhaseConfig
from simcsp.datasets.pairs import LABELLED, LabelledPairs, OrthologuePairs, load_pairs
from simcsp.datasets.windows import WindowTable, save_windows, window_table
from simcsp.errors import InputError
from simcsp.sequence.alphabet import A


def labelled(sizes: list[int]) -> WindowTable:
    """So many donor decoys, donors, acceptor decoys, acceptors."""
    kinds = np.repeat(np.arange(4), sizes)
    return table_of(
        (kinds % 2).astype(np.uint8), (kinds // 2).astype(np.uint8), [f"row {n}" for n in range(len(kinds))]
    )


def table_of(
    label: np.ndarray, site_type: np.ndarray, origin: list[str], group: list[str] | None = None
) -> WindowTable:
    tokens = np.random.default_rng(0).integers(A, A + 4, size=(len(label), 20), dtype=np.uint8)
    groups = group or origin
    return window_table(tokens, label=label, site_type=site_type, species="x", group=groups, origin=origin)


@settings(deadline=None, max_examples=30)
@given(sizes=st.lists(st.integers(1, 30), min_size=4, max_size=4), count=st.integers(4, 40), seed=st.integers(0, 9))
def test_every_batch_has_each_kind_equally_often(sizes: list[int], count: int, seed: int) -> None:
    table = labelled(sizes)
    drawn = LabelledPairs(table).draw(count, np.random.default_rng(seed))
    assert drawn.kind is not None
    assert drawn.locus is None
    counts = np.bincount(drawn.kind, minlength=4)
    assert counts.sum() == count
    assert counts.max() - counts.min() <= 1
    row_of = {window.tobytes(): row for row, window in enumerate(table.tokens)}
    rows = np.array([row_of[pair[0].tobytes()] for pair in drawn.tokens])
    assert np.array_equal(drawn.tokens[:, 0], drawn.tokens[:, 1])
    assert np.array_equal(2 * table.site_type[rows] + table.label[rows], drawn.kind)
    for kind in range(4):
        here = rows[drawn.kind == kind]
        assert len(set(here.tolist())) == len(here) or len(here) > sizes[kind]


@pytest.mark.parametrize(
    ("sizes", "missing"), [([0, 5, 5, 5], "decoys of donors"), ([5, 5, 5, 0], "hold no acceptors")]
)
def test_site_types_without_hard_negatives_are_refused(sizes: list[int], missing: str) -> None:
    with pytest.raises(InputError, match=missing):
        LabelledPairs(labelled(sizes))


def test_one_site_type_alone_is_enough() -> None:
    drawn = LabelledPairs(labelled([0, 0, 5, 5])).draw(8, np.random.default_rng(0))
    assert drawn.kind is not None
    assert np.bincount(drawn.kind).tolist() == [0, 0, 4, 4]


# Sites a and b overlap in one species, c is elsewhere, d is known in one species only.
SITES = [("a", "one:100"), ("a", "two:500"), ("b", "one:400"), ("b", "two:510"), ("b", "three:7"), ("c", "one:900")]
SITES += [("c", "three:90"), ("d", "one:2000")]


def orthologues() -> WindowTable:
    places = [place.split(":") for _, place in SITES]
    origin = [f"{contig}:{start}-{int(start) + 2}:+" for contig, start in places]
    ones = np.ones(len(SITES), dtype=np.uint8)
    table = table_of(ones, ones, origin, [site for site, _ in SITES])
    return table._replace(species=np.array([contig for contig, _ in places]))


def test_both_windows_of_a_pair_are_of_one_site_in_two_species() -> None:
    table, source = orthologues(), OrthologuePairs(orthologues())
    assert source.sites == 3
    row_of = {window.tobytes(): row for row, window in enumerate(table.tokens)}
    seen = set()
    for seed in range(60):
        drawn = source.draw(3, np.random.default_rng(seed))
        rows = np.array([[row_of[window.tobytes()] for window in pair] for pair in drawn.tokens])
        assert (table.group[rows[:, 0]] == table.group[rows[:, 1]]).all()
        assert (table.species[rows[:, 0]] != table.species[rows[:, 1]]).all()
        assert len(set(table.group[rows[:, 0]].tolist())) == 3
        seen |= {tuple(pair) for pair in rows.tolist()}
    assert len(seen) == 2 + 6 + 2  # every ordered pair of species of every site


def test_sites_that_overlap_in_any_species_are_one_locus() -> None:
    table = orthologues()
    drawn = OrthologuePairs(table).draw(3, np.random.default_rng(0))
    site_of = {window.tobytes(): site for window, site in zip(table.tokens, table.group.tolist(), strict=True)}
    assert drawn.locus is not None
    locus = {site_of[pair[0].tobytes()]: number for pair, number in zip(drawn.tokens, drawn.locus, strict=True)}
    assert locus["a"] == locus["b"] != locus["c"]


def test_more_pairs_than_sites_can_be_drawn() -> None:
    assert OrthologuePairs(orthologues()).draw(50, np.random.default_rng(0)).tokens.shape == (50, 2, 20)


def test_sites_of_one_species_alone_are_refused() -> None:
    with pytest.raises(InputError, match="no site is known in two species"):
        OrthologuePairs(orthologues().take(np.array([0, 2, 5])))


def test_a_phase_says_what_is_read(tmp_path: Path) -> None:
    assert load_pairs(tmp_path, PhaseConfig()) is None
    phase = PhaseConfig(contrastive_weight=1.0, positives="label")
    with pytest.raises(InputError, match="no prepared windows here"):
        load_pairs(tmp_path, phase)
    save_windows(labelled([2, 2, 2, 2]), tmp_path / LABELLED)
    assert isinstance(load_pairs(tmp_path, phase), LabelledPairs)
