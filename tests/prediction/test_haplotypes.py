"""Gains and losses are those of two whole haplotypes, scored letter by letter."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simcsp.prediction.haplotypes import (
    Difference,
    best_by_place,
    changed_sites,
    delta_scores,
    differences,
)
from simcsp.sequence.alphabet import encode, reverse_complement
from simcsp.sequence.sites import ACCEPTOR, DONOR
from simcsp.sequence.vcf import change

if TYPE_CHECKING:
    from tests.prediction.conftest import WriteGenome

    from simcsp.prediction.scorer import Scorer
    from simcsp.sequence.fasta import Genome

    ByPlace = dict[tuple[int, bool, int], float]

CONTIG = "".join(np.random.default_rng(8).choice(list("ACGT"), 160))


def every_site(letters: str, scorer: Scorer) -> ByPlace:
    """All sites of a text: (type, reverse, exon base) → probability; NaN without a whole window."""
    found: ByPlace = {}
    half = scorer.window // 2
    for pair, kind, reverse, step in (
        ("GT", DONOR, False, -1), ("AG", ACCEPTOR, False, 2), ("AC", DONOR, True, 2), ("CT", ACCEPTOR, True, -1),
    ):  # fmt: skip
        for match in re.finditer(pair, letters):
            at = match.start()
            window = letters[max(0, at + 1 - half) : at + 1 + half]
            tokens = encode(window.encode()).tokens
            tokens = reverse_complement(tokens) if reverse else tokens
            whole = at + 1 >= half and len(window) == scorer.window
            found[kind, reverse, at + step] = float(scorer(tokens[None])[0]) if whole else np.nan
    return found


def haplotypes(genome: Genome, position: int, ref: str, alt: str, scorer: Scorer) -> tuple[ByPlace, ByPlace]:
    pair = changed_sites(genome, "c", change(position, ref, alt), scorer.window, scorer.max_unread, ("GT-AG",))
    sides = []
    for side in pair:
        values = np.full(len(side.places), np.nan)
        values[side.scorable] = scorer(side.windows) if len(side.windows) else []
        sides.append(best_by_place(side.places, values))
    return sides[0], sides[1]


variants = st.tuples(
    st.integers(0, len(CONTIG) - 1), st.integers(1, 9), st.text("ACGT", min_size=1, max_size=9)
).filter(lambda v: v[0] + v[1] <= len(CONTIG))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(variants)
def test_delta_scores_are_those_of_whole_haplotypes(
    write_genome: WriteGenome, scorer: Scorer, variant: tuple[int, int, str]
) -> None:
    position, length, alt = variant
    ref = CONTIG[position : position + length]
    genome = write_genome(c=CONTIG)
    before, after = haplotypes(genome, position, ref, alt, scorer)
    found = [one for reverse in (False, True) for one in differences(before, after, reverse)]
    told = {(one.site_type, one.reverse, one.place): one.delta for one in found}

    trimmed = change(position, ref, alt)
    shift = len(trimmed.ref) - len(trimmed.alt)

    def on_reference(base: int) -> int:
        if base < trimmed.start:
            return base
        if base >= trimmed.start + len(trimmed.alt):
            return base + shift
        return min(base, trimmed.end - 1)

    original = every_site(CONTIG, scorer)
    mutated: ByPlace = {}
    text = CONTIG[:position] + alt + CONTIG[position + length :]
    for (kind, reverse, base), probability in every_site(text, scorer).items():
        place = (kind, reverse, on_reference(base))
        mutated[place] = float(np.maximum(mutated.get(place, 0.0), probability))
    for place in original.keys() | mutated.keys() | told.keys():
        delta = mutated.get(place, 0.0) - original.get(place, 0.0)
        if not np.isnan(delta):
            assert told.get(place, 0.0) == pytest.approx(delta, abs=1e-9), place
        else:
            assert place not in told


def test_a_lost_donor_and_a_gained_one_on_either_strand(write_genome: WriteGenome, scorer: Scorer) -> None:
    letters = "C" * 20 + "GT" + "C" * 20
    before, after = haplotypes(write_genome(c=letters), 20, "G", "A", scorer)
    (lost,) = differences(before, after, strand_reverse=False)
    assert (lost.site_type, lost.place, lost.after) == (DONOR, 19, 0.0)  # the exon's last base
    # Read on the reverse strand: AC is a donor, whose exon lies to the right.
    letters = "G" * 20 + "AA" + "G" * 20
    before, after = haplotypes(write_genome(c=letters), 21, "A", "C", scorer)
    gained = [one for one in differences(before, after, strand_reverse=True) if one.site_type == DONOR]
    assert [(one.place, one.before) for one in gained] == [(22, 0.0)]


def test_delta_scores_by_hand() -> None:
    found = [
        Difference(DONOR, False, 104, 0.9, 0.2),
        Difference(DONOR, False, 97, 0.1, 0.35),
        Difference(ACCEPTOR, False, 100, 0.3, 0.3),
    ]
    assert delta_scores(found, 100) == "0.0000|0.0000|0.2500|0.7000|0|0|-3|4"
    assert delta_scores([], 100) == "0.0000|0.0000|0.0000|0.0000|0|0|0|0"


def test_a_site_without_a_window_on_one_side_says_nothing() -> None:
    place = (DONOR, False, 5)
    assert differences({place: 0.9}, {place: float("nan")}, strand_reverse=False) == []
    assert best_by_place([place, place], np.array([0.2, 0.7])) == {place: 0.7}
