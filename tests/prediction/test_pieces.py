"""Pieces leave no candidate out and count none twice, on either strand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from simcsp.prediction.pieces import Piece, ScoredSites, pieces_of, score_piece
from simcsp.prediction.scorer import Scorer
from simcsp.prediction.tracks import bed_rows
from simcsp.sequence.alphabet import decode, encode, reverse_complement
from simcsp.sequence.fasta import Genome
from simcsp.tally import Tally

if TYPE_CHECKING:
    from tests.prediction.conftest import WriteGenome

RANDOM = "".join(np.random.default_rng(5).choice(list("ACGT"), 500))


def score(genome: Genome, scorer: Scorer, size: int, tally: Tally | None = None) -> list[ScoredSites]:
    tally = tally or Tally("candidates", "x")
    return [score_piece(genome, piece, scorer, ("GT-AG",), tally) for piece in pieces_of(genome.lengths, size)]


@pytest.mark.parametrize("size", [1, 7, 100, 499])
def test_pieces_of_any_size_give_the_same_rows(size: int, write_genome: WriteGenome, scorer: Scorer) -> None:
    genome = write_genome(b=RANDOM, a=RANDOM[:90].lower())
    whole, cut = Tally("candidates", "x"), Tally("candidates", "x")
    expected = "".join(map(bed_rows, score(genome, scorer, 1000, whole)))
    assert "".join(map(bed_rows, score(genome, scorer, size, cut))) == expected
    assert cut == whole
    assert whole.changed == {"lower-case letters read as upper case": 90}


def test_rows_are_sorted_as_sort_does(write_genome: WriteGenome, scorer: Scorer) -> None:
    genome = write_genome(chr2=RANDOM, chr10=RANDOM, chrA=RANDOM)
    rows = [line.split("\t") for line in "".join(map(bed_rows, score(genome, scorer, 64))).splitlines()]
    assert rows == sorted(rows, key=lambda row: (row[0].encode(), int(row[1])))
    assert {row[0] for row in rows} == {"chr10", "chr2", "chrA"}


def test_the_other_strand_has_the_same_sites_and_probabilities(write_genome: WriteGenome, scorer: Scorer) -> None:
    turned = decode(reverse_complement(encode(RANDOM.encode()).tokens))
    genome = write_genome(given=RANDOM, turned=turned)
    given, other = score(genome, scorer, 1000)
    back = np.lexsort((~other.sites.reverse, len(RANDOM) - 2 - other.sites.position))
    assert given.sites.position.tolist() == (len(RANDOM) - 2 - other.sites.position)[back].tolist()
    assert given.sites.reverse.tolist() == (~other.sites.reverse)[back].tolist()
    assert given.sites.site_type.tolist() == other.sites.site_type[back].tolist()
    assert given.probability.tolist() == other.probability[back].tolist()
    assert decode(given.dinucleotide) == decode(other.dinucleotide[back])


def test_the_window_of_a_site_is_what_is_scored(write_genome: WriteGenome, scorer: Scorer) -> None:
    genome = write_genome(c="CCCCCGTCCACC" + "TTAACTTTTTTT")
    (found,) = score(genome, scorer, 100)
    # GT at 5 in CCCCCGTCCACC; CT at 16 is the AG of AAAAAAGTTAAG's complement: letters 11 to 23 turned.
    windows = {5: "CCCCCGTCCACC", 16: decode(reverse_complement(encode(b"CTTAACTTTTTT").tokens))}
    for position, letters in windows.items():
        row = found.sites.position.tolist().index(position)
        assert found.probability[row] == scorer(encode(letters.encode()).tokens[None])[0]


def test_candidates_without_a_window_are_counted(write_genome: WriteGenome, scorer: Scorer) -> None:
    tally = Tally("candidates", "x")
    genome = write_genome(c="GTCCCCCCCCCCC" + "NNCCCGTCCCCCC" + "CCCCCGTCCCCCC", short="GTA")
    found = score(genome, scorer, 20, tally)
    assert sum(len(one.probability) for one in found) == 1
    assert tally.read == 4  # GT at 0, 18 and 31, and in the contig that is too short
    assert tally.dropped == {"window of 12 nt reaches beyond the contig": 2, "more than 10% N in the window": 1}


def test_order_of_pieces() -> None:
    assert pieces_of({"b": 5, "B": 3}, 3) == [Piece("B", 0, 3), Piece("b", 0, 3), Piece("b", 3, 5)]
