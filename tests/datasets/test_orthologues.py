"""Two species designed by hand, in which every GT and AG is known."""

from pathlib import Path

import numpy as np
import pytest

from simcsp.config import DataConfig, OrthologueSource
from simcsp.datasets.orthologues import read_orthologues, whole_sites
from simcsp.datasets.pairs import OrthologuePairs
from simcsp.datasets.windows import WindowTable, concatenate
from simcsp.errors import InputError
from simcsp.sequence.alphabet import decode
from simcsp.tally import Tally

HEADER = [
    "#type",
    "human_chrom",
    "human_pos0",
    "human_strand",
    "species",
    "seqname",
    "pos0_in_record",
    "strand",
    "dinuc",
]
# An intron [30, 60) on the forward strand of the reference; on the reverse strand of the mouse, [20, 50) of its record.
REFERENCE = "C" * 30 + "GT" + "C" * 26 + "AG" + "C" * 40
MOUSE = "G" * 20 + "CT" + "G" * 26 + "AC" + "G" * 50
ROWS = [
    ["D", "c", "30", "+", "mm10", "m", "49", "-", "GT"],
    ["A", "c", "59", "+", "mm10", "m", "20", "-", "AG"],
]


def read(
    folder: Path, rows: list[list[str]], header: list[str] = HEADER, **genomes: str
) -> tuple[WindowTable, list[Tally]]:
    letters = {"c": REFERENCE, "m": MOUSE} | genomes
    (folder / "human.fa").write_text(f">c\n{letters['c']}\n")
    (folder / "mm10.fa").write_text(f">m\n{letters['m']}\n")
    (folder / "table.tsv").write_text("\n".join("\t".join(row) for row in (header, *rows)) + "\n")
    source = OrthologueSource(
        species="human", table=Path("table.tsv"), fasta=Path("human.fa"), others=(Path("mm10.fa"),)
    )
    return read_orthologues(source, DataConfig(root=folder, window=20), folder / "cache")


def test_windows_of_one_site_have_one_group_and_the_site_in_the_middle_on_either_strand(tmp_path: Path) -> None:
    table, tallies = read(tmp_path, ROWS)
    seen = {
        (species, group): (decode(tokens), origin, int(kind))
        for species, group, tokens, origin, kind in zip(
            table.species.tolist(),
            table.group.tolist(),
            table.tokens,
            table.origin.tolist(),
            table.site_type,
            strict=True,
        )
    }
    donor, acceptor = "C" * 9 + "GT" + "C" * 9, "C" * 9 + "AG" + "C" * 9
    assert seen == {
        ("human", "human:D:c:30:+"): (donor, "c:30-32:+", 0),
        ("human", "human:A:c:59:+"): (acceptor, "c:58-60:+", 1),
        ("mm10", "human:D:c:30:+"): (donor, "m:48-50:-", 0),
        ("mm10", "human:A:c:59:+"): (acceptor, "m:20-22:-", 1),
    }
    assert table.label.tolist() == [1] * 4
    assert [(tally.what, tally.read, tally.kept) for tally in tallies] == [
        ("rows", 2, 2), ("orthologous sites", 2, 2), ("orthologous sites", 2, 2)
    ]  # fmt: skip


def test_rows_of_other_species_and_sites_without_gt_are_counted(tmp_path: Path) -> None:
    rows = [
        *ROWS,
        ["D", "c", "30", "+", "rn6", "r", "9", "+", "GT"],
        ["D", "c", "70", "+", "mm10", "m", "49", "-", "GT"],
    ]
    table, tallies = read(tmp_path, rows)
    assert tallies[0].dropped == {"no genome of rn6": 1}
    assert tallies[1].dropped == {"no GT (donor) or AG (acceptor)": 1}
    assert len(table.label) == 5


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"rows": [["D", "c", "30", "+", "mm10", "m", "49", "."]]}, "line 2: expected 9 columns, found 8"),
        ({"rows": [["X", *ROWS[0][1:]]]}, "line 2: expected a type D or A"),
        ({"rows": [["D", "c", "-1", *ROWS[0][3:]]]}, "line 2: expected a type D or A, a whole number"),
        ({"rows": [["D", "c", "30", "+", "rn6", "r", "9", "+", "GT"]]}, "no site of human"),
        ({"rows": ROWS, "header": [*HEADER[:4], "who", *HEADER[5:]]}, "line 1: the table has no column species"),
        ({"rows": ROWS, "m": MOUSE[1:]}, "only 0 of 2 sites have a window with GT or AG"),
        ({"rows": [[*ROWS[0][:5], "chr9", *ROWS[0][6:]]]}, "chr9"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(tmp_path: Path, change: dict[str, object], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        read(tmp_path, **change)  # type: ignore[arg-type]


def test_a_site_goes_as_a_whole(tmp_path: Path) -> None:
    table, _ = read(tmp_path, ROWS)
    tally = Tally("windows", "x", read=4)
    tally.drop("left out", 1)
    kept = table.take(np.arange(1, 4))
    assert set(whole_sites(table, kept, tally).group.tolist()) == set(table.group.tolist()) - {str(table.group[0])}
    assert tally.kept == 2


def test_the_reference_of_two_sources_is_no_pair_of_itself(tmp_path: Path) -> None:
    table, _ = read(tmp_path, ROWS)
    twice = OrthologuePairs(concatenate([table, table]))
    assert twice.sites == 2
    assert len(twice.tokens) == 4


@pytest.mark.real_data
def test_the_real_sites_of_chicken_are_windows_with_gt_or_ag(real_data: Path, tmp_path: Path) -> None:
    source = OrthologueSource(
        species="human",
        table=Path("orthologous_splice_sites.tsv.gz"),
        fasta=Path("hg38.chr1.partial.fa.gz"),
        others=(Path("galGal4.fa.gz"),),
    )
    data = DataConfig(root=real_data / "vertebrates-chr1", window=100)
    table, tallies = read_orthologues(source, data, tmp_path)
    assert tallies[0].read == 34_423
    chicken = tallies[2]
    assert 1 - chicken.dropped["no GT (donor) or AG (acceptor)"] / chicken.read > 0.97
    assert np.unique(table.species).tolist() == ["galGal4", "human"]
    assert OrthologuePairs(table).sites > 0.95 * chicken.read
