from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcsp.sequence.alphabet import Tokens, decode, encode
from simcsp.sequence.annotation import Intron
from simcsp.sequence.sites import (
    ACCEPTOR,
    DONOR,
    Site,
    Windows,
    central_dinucleotides,
    cut_windows,
    intron_ends,
    is_canonical,
    splice_sites,
    unread_share,
)

if TYPE_CHECKING:
    from tests.conftest import MiniGenome

LETTERS = {DONOR: "GT", ACCEPTOR: "AG"}


def other_strand(letters: str) -> str:
    return letters.translate(str.maketrans("ACGT", "TGCA"))[::-1]


def tokens_of(letters: str) -> Tokens:
    return encode(letters.encode("ascii")).tokens


def cut(letters: str, sites: list[Site], length: int) -> Windows:
    positions = np.array([site.position for site in sites], dtype=np.int64)
    reverse = np.array([site.strand == "-" for site in sites], dtype=bool)
    return cut_windows(tokens_of(letters), positions, reverse, length)


@st.composite
def contig_and_introns(draw: st.DrawFn) -> tuple[str, list[Intron]]:
    letters = draw(st.text("ACGT", min_size=40, max_size=120))
    introns = []
    for number in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(letters) - 20))
        end = draw(st.integers(start + 20, len(letters)))
        introns.append(Intron("c", start, end, draw(st.sampled_from("+-")), f"g{number}"))
    return letters, introns


def expected_dinucleotides(letters: str, introns: list[Intron]) -> dict[tuple[int, str, int], str]:
    """(position, strand, type) → dinucleotide, by arithmetic on strings."""
    expected = {}
    for _, s, e, strand, _ in introns:
        if strand == "+":
            expected[s, strand, DONOR] = letters[s : s + 2]
            expected[e - 2, strand, ACCEPTOR] = letters[e - 2 : e]
        else:
            expected[e - 2, strand, DONOR] = other_strand(letters[e - 2 : e])
            expected[s, strand, ACCEPTOR] = other_strand(letters[s : s + 2])
    return expected


def test_the_designed_windows_have_their_dinucleotide_in_the_middle(mini_genome: "MiniGenome") -> None:
    sites = splice_sites(Intron(*intron) for intron in mini_genome.introns)
    assert [(site.gene, site.position, site.strand, site.site_type, site.label) for site in sites] == [
        ("forward", 20, "+", DONOR, 1),
        ("forward", 43, "+", ACCEPTOR, 1),
        ("reverse", 75, "-", ACCEPTOR, 1),
        ("reverse", 98, "-", DONOR, 1),
    ]
    windows = cut(mini_genome.sequence, sites, 20)
    assert [decode(window) for window in windows.tokens] == [
        "CGTCCCCCC" "GT" "CCCCCCCCA",
        "CCCCCCCCC" "AG" "CCCCCCCCC",
        "CCCCCCCCC" "AG" "CCCCGTCCC",
        "CCCCCCCCC" "GT" "CCCCCCCAG",
    ]  # fmt: skip


@given(contig_and_introns())
def test_sites_are_where_arithmetic_on_strings_puts_them(case: tuple[str, list[Intron]]) -> None:
    letters, introns = case
    sites = splice_sites(introns)
    expected = expected_dinucleotides(letters, introns)
    assert Counter((site.position, site.strand, site.site_type) for site in sites) == Counter(expected.keys())
    windows = cut(letters, sites, 8)
    inside = [site for site, whole in zip(sites, windows.inside, strict=True) if whole]
    assert [decode(pair) for pair in central_dinucleotides(windows.tokens)] == [
        expected[site.position, site.strand, site.site_type] for site in inside
    ]


@given(contig_and_introns(), st.integers(1, 30))
def test_windows_equal_slices_of_the_string_and_those_beyond_the_contig_are_flagged(
    case: tuple[str, list[Intron]], half: int
) -> None:
    letters, introns = case
    sites = splice_sites(introns)
    expected, inside = [], []
    for site in sites:
        first, last = site.position - (half - 1), site.position + 2 + (half - 1)
        inside.append(first >= 0 and last <= len(letters))
        if inside[-1]:
            expected.append(letters[first:last] if site.strand == "+" else other_strand(letters[first:last]))
    windows = cut(letters, sites, 2 * half)
    assert windows.inside.tolist() == inside
    assert [decode(window) for window in windows.tokens] == expected


@given(contig_and_introns(), st.integers(1, 15))
def test_the_other_strand_of_the_contig_gives_the_same_windows(case: tuple[str, list[Intron]], half: int) -> None:
    letters, introns = case
    turned = [
        intron._replace(
            start=len(letters) - intron.end, end=len(letters) - intron.start, strand={"+": "-", "-": "+"}[intron.strand]
        )
        for intron in introns
    ]

    def windows_by_type(letters: str, introns: list[Intron]) -> Counter[tuple[int, str]]:
        sites = splice_sites(introns)
        windows = cut(letters, sites, 2 * half)
        types = [site.site_type for site, whole in zip(sites, windows.inside, strict=True) if whole]
        return Counter(zip(types, (decode(window) for window in windows.tokens), strict=True))

    assert windows_by_type(letters, introns) == windows_by_type(other_strand(letters), turned)
    pair = intron_ends(tokens_of(letters), introns), intron_ends(tokens_of(other_strand(letters)), turned)
    assert pair[0] == pair[1]


@given(contig_and_introns())
def test_intron_ends_are_read_on_the_strand_of_the_gene(case: tuple[str, list[Intron]]) -> None:
    letters, introns = case
    expected = expected_dinucleotides(letters, introns)
    assert intron_ends(tokens_of(letters), introns) == [
        f"{expected[s, '+', DONOR]}-{expected[e - 2, '+', ACCEPTOR]}"
        if strand == "+"
        else f"{expected[e - 2, '-', DONOR]}-{expected[s, '-', ACCEPTOR]}"
        for _, s, e, strand, _ in introns
    ]


def test_a_site_of_several_introns_appears_once_with_its_first_gene() -> None:
    introns = [Intron("c", 10, 50, "+", "a"), Intron("c", 10, 90, "+", "b"), Intron("c", 10, 50, "-", "d")]
    assert [(site.position, site.strand, site.site_type, site.gene) for site in splice_sites(introns)] == [
        (10, "+", DONOR, "a"),
        (48, "+", ACCEPTOR, "a"),
        (88, "+", ACCEPTOR, "b"),
        (10, "-", ACCEPTOR, "d"),
        (48, "-", DONOR, "d"),
    ]


def test_cutting_leaves_the_contig_as_it_was() -> None:
    contig = tokens_of("ACGTNACGTN" * 5)
    before = contig.tolist()
    cut_windows(contig, np.array([20, 21]), np.array([True, False]), 10)
    assert contig.tolist() == before


def test_a_contig_shorter_than_the_window_gives_no_window() -> None:
    windows = cut("ACGTACGT", [Site("c", 3, "+", DONOR, 1, "g")], 10)
    assert windows.tokens.shape == (0, 10)
    assert windows.inside.tolist() == [False]


def test_windows_without_a_middle_are_refused() -> None:
    with pytest.raises(ValueError, match="odd"):
        cut("ACGTACGT", [Site("c", 3, "+", DONOR, 1, "g")], 5)


def test_only_gt_is_a_donor_and_only_ag_an_acceptor() -> None:
    pairs = [first + second for first in "ACGTN" for second in "ACGTN"]
    windows = np.stack([tokens_of(f"GTAG{pair}GTAG") for pair in pairs])
    for site_type, letters in LETTERS.items():
        types = np.full(len(pairs), site_type, dtype=np.uint8)
        assert [pair for pair, fits in zip(pairs, is_canonical(windows, types), strict=True) if fits] == [letters]


def test_unread_share_is_the_share_of_n() -> None:
    windows = np.stack([tokens_of(letters) for letters in ("ACGT", "NCGT", "NNNA", "NNNN")])
    assert unread_share(windows).tolist() == [0, 0.25, 0.75, 1]
