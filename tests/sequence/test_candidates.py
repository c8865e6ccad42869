"""Candidates lie where GT and AG are, on either strand, and the bases beside them follow from the strand."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcsp.sequence.alphabet import encode, reverse_complement
from simcsp.sequence.candidates import INTRONS, Candidates, find_candidates, first_intron_base, nearest_exon_base
from simcsp.sequence.sites import ACCEPTOR, DONOR

#          0123456789012345
LETTERS = "AAGTCCAGAACTTACC"
# AG at 1 and 6, GT at 2 forward; AC at 9 and 13 (GT of the reverse strand), CT at 10 (AG of the reverse strand).
BY_HAND = [
    (1, False, ACCEPTOR), (2, False, DONOR), (6, False, ACCEPTOR),
    (9, True, DONOR), (10, True, ACCEPTOR), (13, True, DONOR),
]  # fmt: skip


def rows(found: Candidates) -> list[tuple[int, bool, int]]:
    return list(zip(found.position.tolist(), found.reverse.tolist(), found.site_type.tolist(), strict=True))


def find(letters: str, introns: tuple[str, ...] = ("GT-AG",)) -> Candidates:
    return find_candidates(encode(letters.encode()).tokens, introns)


def test_every_gt_and_ag_of_both_strands_is_found() -> None:
    assert rows(find(LETTERS)) == BY_HAND


def test_bases_beside_the_boundary() -> None:
    found = find(LETTERS)
    assert first_intron_base(found).tolist() == [2, 2, 7, 10, 10, 14]
    assert nearest_exon_base(found).tolist() == [3, 1, 8, 11, 9, 15]


@pytest.mark.parametrize(
    ("introns", "letters", "expected"),
    [
        (
            ("GC-AG",),
            "GCAAGC",
            [(0, False, DONOR), (0, True, DONOR), (3, False, ACCEPTOR), (4, False, DONOR), (4, True, DONOR)],
        ),
        (("AT-AC",), "CATC", [(1, False, DONOR), (1, True, DONOR)]),
        (("AT-AC",), "TACT", [(1, False, ACCEPTOR)]),
        (("GT-AG", "AT-AC"), "TACT", [(1, False, ACCEPTOR), (1, True, DONOR), (2, True, ACCEPTOR)]),
        (("GT-AG",), "GNTANG", []),
        (("GT-AG",), "G", []),
    ],
)
def test_rarer_introns(introns: tuple[str, ...], letters: str, expected: list[tuple[int, bool, int]]) -> None:
    assert rows(find(letters, introns)) == expected


@given(st.text("ACGTN", max_size=60), st.sets(st.sampled_from(sorted(INTRONS)), min_size=1))
def test_the_other_strand_has_the_same_candidates(letters: str, introns: set[str]) -> None:
    forward = find(letters, tuple(introns))
    turned = find_candidates(reverse_complement(encode(letters.encode()).tokens), introns)
    mirrored = sorted((len(letters) - 2 - at, not reverse, kind) for at, reverse, kind in rows(turned))
    assert sorted(rows(forward)) == mirrored
    assert rows(forward) == sorted(rows(forward))


@given(st.text("ACGTN", max_size=60))
def test_forward_candidates_are_those_of_a_text_search(letters: str) -> None:
    forward = [(at, kind) for at, reverse, kind in rows(find(letters)) if not reverse]
    searched = {(m.start(), DONOR) for m in re.finditer("GT", letters)}
    searched |= {(m.start(), ACCEPTOR) for m in re.finditer("AG", letters)}
    assert forward == sorted(searched)
