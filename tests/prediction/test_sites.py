"""Given sites get the score of their own window, in order, or a reason why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simcsp.errors import InputError
from simcsp.prediction.pieces import pieces_of, score_piece
from simcsp.prediction.sites import score_sites
from simcsp.tally import Tally

if TYPE_CHECKING:
    from pathlib import Path

    from tests.prediction.conftest import WriteGenome

    from simcsp.prediction.scorer import Scorer
    from simcsp.sequence.fasta import Genome

# GT at 10 and AG at 18; AC at 30 and CT at 22 are GT and AG of the reverse strand.
LETTERS = "CCCCCCCCCCGTCCCCCCAGCCCTGGGGGGACGGGGGGGGGG"


def score(genome: Genome, scorer: Scorer, folder: Path, *rows: str) -> tuple[list[str], list[list[str]], list[str]]:
    bed, output = folder / "given.bed", folder / "scores"
    bed.write_text("".join(f"{row}\n" for row in rows))
    output.mkdir()
    score_sites(genome, bed, scorer, 0.5, output)
    bed_rows = (output / "sites.bed").read_text().splitlines()
    table = [line.split("\t") for line in (output / "sites.tsv").read_text().splitlines()[1:]]
    return bed_rows, table, (output / "refused.tsv").read_text().splitlines()[1:]


def test_probabilities_are_those_of_the_genome(write_genome: WriteGenome, scorer: Scorer, tmp_path: Path) -> None:
    genome = write_genome(c=LETTERS)
    (piece,) = pieces_of(genome.lengths, 100)
    whole = score_piece(genome, piece, scorer, ("GT-AG",), Tally("x", "y"))
    expected = dict(zip(whole.sites.position.tolist(), whole.probability.tolist(), strict=True))
    rows = ["c\t30\t32\tx\t0\t-", "c\t10\t12\tx\t0\t+", "c\t18\t20\tx\t0\t+", "c\t22\t24\tx\t0\t-"]
    bed, table, refused = score(genome, scorer, tmp_path, *rows)
    assert refused == []
    assert [row.split("\t")[1] for row in bed] == ["10", "18", "22", "30"]
    for row in table:
        assert float(row[7]) == pytest.approx(expected[int(row[1])], rel=1e-5)
        assert row[8] == str(int(expected[int(row[1])] >= 0.5))
    assert [(row[5], row[6]) for row in table] == [
        ("donor", "GT"),
        ("acceptor", "AG"),
        ("acceptor", "AG"),
        ("donor", "GT"),
    ]


def test_a_single_base_is_the_intron_next_to_the_exon(
    write_genome: WriteGenome, scorer: Scorer, tmp_path: Path
) -> None:
    one = ["c\t10\t11\tx\t0\t+", "c\t19\t20\tx\t0\t+", "c\t22\t23\tx\t0\t-", "c\t31\t32\tx\t0\t-"]
    _, table, refused = score(write_genome(c=LETTERS), scorer, tmp_path, *one)
    assert refused == []
    assert [(row[5], row[6]) for row in table] == [
        ("donor", "GT"),
        ("acceptor", "AG"),
        ("acceptor", "AG"),
        ("donor", "GT"),
    ]


def test_a_name_says_what_a_site_is_whatever_its_bases(
    write_genome: WriteGenome, scorer: Scorer, tmp_path: Path
) -> None:
    _, table, refused = score(write_genome(c=LETTERS), scorer, tmp_path, "c\t12\t14\tgene|donor\t0\t+")
    assert (table[0][5], table[0][6], refused) == ("donor", "CC", [])


def test_rows_in_are_rows_out_and_refused(
    write_genome: WriteGenome, scorer: Scorer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        "track name=x", "c\t10\t12\tx\t0\t+", "c\t10\t12\tx\t0\t+", "c\t12\t14\tx\t0\t+", "c\t10\t12\tx\t0\t.",
        "c\t10\t20\tx\t0\t+", "c\t0\t2\tdonor\t0\t+", "n\t16\t18\tdonor\t0\t+", "z\t1\t3\tdonor\t0\t+",
    ]  # fmt: skip
    genome = write_genome(c=LETTERS, n="N" * 16 + "GT" + "N" * 20)
    bed, _, refused = score(genome, scorer, tmp_path, *rows)
    assert len(bed) == 2
    assert {tuple(line.split("\t")[::2]) for line in refused} == {
        ("4", "neither its name nor its dinucleotide says whether it is a donor or an acceptor"),
        ("5", "no strand"),
        ("6", "interval is neither one nucleotide nor two"),
        ("7", "window of 12 nt reaches beyond the contig"),
        ("8", "more than 10% N in the window"),
        ("9", "contig not in the FASTA"),
    }
    assert "8 records in = 2 out + 6 refused" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("c\t1\t3", "line 1: expected 6 tab-separated columns, found 3"),
        ("c\t-1\t3\tx\t0\t+", "line 1: start must be a whole number"),
        ("# nothing", "no site found"),
        ("z\t1\t3\tx\t0\t+", "none of its contigs"),
    ],
)
def test_bad_files_are_named(row: str, message: str, write_genome: WriteGenome, scorer: Scorer, tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        score(write_genome(c=LETTERS), scorer, tmp_path, row)
    assert message in str(error.value)
