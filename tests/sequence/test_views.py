import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcsp.sequence import views
from simcsp.sequence.alphabet import A, C, G, N, T, encode, reverse_complement
from simcsp.sequence.views import cut_out, drawn_shifts, mutated

lengths = st.integers(5, 30).map(lambda half: 2 * half)


def test_example_in_the_docstring_holds() -> None:
    result = doctest.testmod(views)
    assert (result.failed, result.attempted) == (0, 1)


@settings(deadline=None)
@given(length=lengths, most=st.integers(1, 4), seed=st.integers(0, 99))
def test_a_moved_view_shows_the_sequence_around_and_its_site_where_it_says(length: int, most: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    places = np.arange(length + 2 * most)  # every nucleotide is its own place in the stretch
    site = [length // 2 + most - 1, length // 2 + most]
    shift = drawn_shifts(40, most, rng)
    seen = cut_out(np.repeat(places[None], 40, axis=0), shift, length)
    assert (np.diff(seen, axis=1) == 1).all()
    assert seen.min() >= 0
    middle = length // 2 + shift
    rows = np.arange(40)
    assert np.stack([seen[rows, middle - 1], seen[rows, middle]], axis=1).tolist() == [site] * 40
    assert set(np.abs(shift).tolist()) <= set(range(1, most + 1))


def test_every_shift_but_none_is_drawn_as_often_as_any_other() -> None:
    shift = drawn_shifts(60_000, 3, np.random.default_rng(0))
    values, counts = np.unique(shift, return_counts=True)
    assert values.tolist() == [-3, -2, -1, 1, 2, 3]
    assert counts / 60_000 == pytest.approx(1 / 6, abs=0.01)


def test_hand_worked_views_of_a_donor() -> None:
    stretch = encode(b"ACCAGGTAAGTC").tokens[None]  # GT at 5 and 6, the middle
    assert cut_out(stretch, np.array([0]), 8)[0].tolist() == encode(b"CAGGTAAG").tokens.tolist()
    assert cut_out(stretch, np.array([2]), 8)[0].tolist() == encode(b"ACCAGGTA").tokens.tolist()
    assert cut_out(stretch, np.array([-2]), 8)[0].tolist() == encode(b"GGTAAGTC").tokens.tolist()


@settings(deadline=None, max_examples=50)
@given(
    length=lengths, core=st.integers(0, 5).map(lambda half: 2 * half), seed=st.integers(0, 99), shift=st.integers(-4, 4)
)
def test_mutations_leave_the_core_and_n_alone(length: int, core: int, seed: int, shift: int) -> None:
    rng = np.random.default_rng(seed)
    windows = rng.integers(N, T + 1, size=(30, length), dtype=np.uint8)
    changed = mutated(windows, 0.5, core, np.full(30, shift), rng) != windows
    first = length // 2 - core // 2 + shift
    assert not changed[:, max(first, 0) : max(first + core, 0)].any()
    assert not changed[windows == N].any()


def test_the_share_of_mutations_is_the_one_asked_for_and_each_other_nucleotide_as_likely() -> None:
    windows = np.full((500, 200), C, dtype=np.uint8)
    seen = mutated(windows, 0.1, 20, np.zeros(500, dtype=np.int64), np.random.default_rng(0))
    outside = np.delete(seen, np.arange(90, 110), axis=1)
    assert (outside != C).mean() == pytest.approx(0.1, abs=0.005)
    values, counts = np.unique(outside[outside != C], return_counts=True)
    assert values.tolist() == [A, G, T]
    assert counts / counts.sum() == pytest.approx(1 / 3, abs=0.02)


def test_the_core_is_the_same_on_either_strand() -> None:
    windows = np.random.default_rng(0).integers(A, T + 1, size=(400, 60), dtype=np.uint8)
    still = np.zeros(400, dtype=np.int64)
    seen = mutated(windows, 0.9, 10, still, np.random.default_rng(1)) != windows
    turned = mutated(reverse_complement(windows), 0.9, 10, still, np.random.default_rng(1)) != reverse_complement(
        windows
    )
    assert seen.any(axis=0).tolist() == turned.any(axis=0)[::-1].tolist()


def test_without_a_chance_nothing_is_mutated() -> None:
    windows = np.random.default_rng(0).integers(N, T + 1, size=(9, 40), dtype=np.uint8)
    assert np.array_equal(mutated(windows, 0.0, 0, np.zeros(9, dtype=np.int64), np.random.default_rng(0)), windows)
