"""Coordinates of every format, worked out by hand on both strands."""

import numpy as np
import pytest

from simcsp.prediction.pieces import ScoredSites
from simcsp.prediction.tracks import bed_rows, bedgraph_rows, gff_rows, splice_score_rows, splice_scores
from simcsp.sequence.alphabet import encode
from simcsp.sequence.candidates import find_candidates
from simcsp.sequence.sites import ACCEPTOR, DONOR


def scored(letters: str, *probabilities: float) -> ScoredSites:
    tokens = encode(letters.encode()).tokens
    sites = find_candidates(tokens)
    pairs = [b"GT" if kind == DONOR else b"AG" for kind in sites.site_type]
    return ScoredSites("c", sites, encode(b"".join(pairs)).tokens.reshape(-1, 2), np.array(probabilities))


# Forward: exon CC, intron GTCCAG from 2 to 8, exon CC. Reverse: the same gene read from the right.
FORWARD = scored("CCGTCCAGCC", 0.9, 0.8)
REVERSE = scored("GGCTGGACGG", 0.8, 0.9)


def test_bed_is_the_dinucleotide_half_open() -> None:
    assert bed_rows(FORWARD) == "c\t2\t4\tGT|donor\t900\t+\nc\t6\t8\tAG|acceptor\t800\t+\n"
    assert bed_rows(REVERSE) == "c\t2\t4\tAG|acceptor\t800\t-\nc\t6\t8\tGT|donor\t900\t-\n"


def test_bedgraph_is_the_base_of_the_intron_next_to_the_exon() -> None:
    assert bedgraph_rows(FORWARD, DONOR, reverse=False) == "c\t2\t3\t0.9\n"
    assert bedgraph_rows(FORWARD, ACCEPTOR, reverse=False) == "c\t7\t8\t0.8\n"
    assert bedgraph_rows(REVERSE, ACCEPTOR, reverse=True) == "c\t2\t3\t0.8\n"
    assert bedgraph_rows(REVERSE, DONOR, reverse=True) == "c\t7\t8\t0.9\n"
    assert bedgraph_rows(FORWARD, DONOR, reverse=True) == ""


def test_gff_counts_from_one_and_includes_the_end() -> None:
    columns = [line.split("\t") for line in gff_rows(REVERSE, 0.85).splitlines()]
    assert len(columns) == 1
    assert columns[0][:8] == ["c", "SimCSP", "five_prime_cis_splice_site", "7", "8", "0.9000", "-", "."]
    assert gff_rows(REVERSE, 0.9).count("\n") == 1  # at the threshold is called
    kinds = {line.split("\t")[2] for line in gff_rows(FORWARD, 0.5).splitlines()}
    assert kinds == {"five_prime_cis_splice_site", "three_prime_cis_splice_site"}


def test_splice_scores_stand_at_the_boundary_of_exon_and_intron() -> None:
    """As minisplice counts: bases of the forward strand before the boundary."""
    rows = [line.split("\t")[:4] for line in splice_score_rows(FORWARD, 0.5, 0.001).splitlines()]
    assert rows == [["c", "2", "+", "D"], ["c", "8", "+", "A"]]
    rows = [line.split("\t")[:4] for line in splice_score_rows(REVERSE, 0.5, 0.001).splitlines()]
    assert rows == [["c", "2", "-", "A"], ["c", "8", "-", "D"]]


def test_splice_scores_of_the_example_of_minisplice() -> None:
    """Its documentation shows a donor and an acceptor of the reverse strand at one offset: …AC|CT…."""
    found = scored("TTACCTTT", 0.9, 0.1)
    rows = [line.split("\t")[1:4] for line in splice_score_rows(found, 0.5, 0.001).splitlines()]
    assert rows == [["4", "-", "D"], ["4", "-", "A"]]


def test_splice_scores_by_hand() -> None:
    # At half of the candidates being sites, 0.5 says nothing: 2 log2(q / q) = 0. Odds of 16 to 1 there are about
    # 16 q where q is small: 2 log2 16 = 8.
    values = splice_scores(np.array([0.5, 16 / 17, 1 / 17, 0.0, 1.0]), 0.5, 1e-6)
    assert values.tolist() == [0, 8, -7, -7, 13]


def test_rows_of_nothing_are_empty() -> None:
    nothing = scored("CCCC")
    assert bed_rows(nothing) == gff_rows(nothing, 0.0) == splice_score_rows(nothing, 0.5, 0.001) == ""


@pytest.mark.parametrize("probability", [0.0, 0.0004, 0.0006, 0.9996, 1.0])
def test_bed_scores_lie_within_0_and_1000(probability: float) -> None:
    score = bed_rows(scored("CCGTCC", probability)).split("\t")[4]
    assert score == str(round(1000 * probability))
