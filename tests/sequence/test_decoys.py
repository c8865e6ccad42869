from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcsp.sequence.alphabet import Tokens, encode
from simcsp.sequence.decoys import (
    Distance,
    decoy_positions,
    dinucleotide_positions,
    draw_positions,
    gaps_between,
    lie_inside,
    merged,
)
from simcsp.sequence.sites import ACCEPTOR, DONOR

LETTERS = {DONOR: "GT", ACCEPTOR: "AG"}
INTERVALS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 12)).map(lambda pair: (pair[0], sum(pair))))


def other_strand(letters: str) -> str:
    return letters.translate(str.maketrans("ACGT", "TGCA"))[::-1]


def tokens_of(letters: str) -> Tokens:
    return encode(letters.encode("ascii")).tokens


@given(st.text("ACGTN", min_size=2, max_size=80), st.data())
def test_dinucleotides_of_a_strand_are_found_inside_the_span(letters: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(letters)))
    end = data.draw(st.integers(start, len(letters)))
    for site_type, pair in LETTERS.items():
        for strand, wanted in (("+", pair), ("-", other_strand(pair))):
            expected = [place for place in range(start, end - 1) if letters[place : place + 2] == wanted]
            assert dinucleotide_positions(tokens_of(letters), (start, end), strand, site_type).tolist() == expected


@given(
    st.text("GTA", min_size=2, max_size=80),
    st.sets(st.integers(0, 78), max_size=5),
    st.integers(1, 6),
    st.sampled_from([0, 7, 20]),
)
def test_decoys_keep_their_distance_from_every_annotated_site(
    letters: str, annotated: set[int], nearest: int, farthest: int
) -> None:
    def allowed(place: int) -> bool:
        distances = [abs(place - site) for site in annotated]
        within = not farthest or any(distance <= farthest for distance in distances)
        return within and all(distance >= nearest for distance in distances)

    found = decoy_positions(
        tokens_of(letters), (0, len(letters)), "+", DONOR,
        np.array(sorted(annotated), dtype=np.int64), Distance(nearest, farthest),
    )  # fmt: skip
    assert found.tolist() == [at for at in range(len(letters) - 1) if letters[at : at + 2] == "GT" and allowed(at)]


@given(INTERVALS)
def test_merged_intervals_cover_what_the_intervals_do(intervals: list[tuple[int, int]]) -> None:
    covered = {place for start, end in intervals for place in range(start, end)}
    disjoint = merged(intervals)
    assert {place for start, end in disjoint for place in range(start, end)} == covered
    assert all(left[1] < right[0] for left, right in pairwise(disjoint))


@given(INTERVALS, st.integers(0, 10))
def test_gaps_are_all_that_is_far_enough_from_every_span(spans: list[tuple[int, int]], apart: int) -> None:
    spans = [(start, end) for start, end in spans if start < end]
    near = {place for start, end in spans for place in range(start - apart, end + apart)}
    gaps = gaps_between(spans, apart, 80)
    assert [place for start, end in gaps for place in range(start, end)] == [p for p in range(80) if p not in near]


@given(INTERVALS)
def test_both_nucleotides_must_lie_in_one_interval(intervals: list[tuple[int, int]]) -> None:
    disjoint = merged(intervals)
    places = np.arange(80)
    inside = [any(start <= place and place + 2 <= end for start, end in disjoint) for place in places]
    assert lie_inside(places, disjoint).tolist() == inside


def test_places_are_drawn_once_each_and_evenly() -> None:
    free = np.array([3, 5, 8, 13])
    draws = [draw_positions(free, 2, np.random.default_rng(seed)).tolist() for seed in range(600)]
    assert all(left < right for left, right in draws)
    times = np.bincount(np.concatenate(draws), minlength=14)[free]
    assert times.sum() == 1200
    assert times == pytest.approx(300, abs=60)  # 6 standard deviations of a hypergeometric draw
