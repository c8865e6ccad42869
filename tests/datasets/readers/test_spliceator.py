import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from simcsp.config import DataConfig, WindowSource
from simcsp.datasets.readers import READERS
from simcsp.datasets.windows import WindowTable
from simcsp.errors import InputError
from simcsp.sequence.alphabet import decode
from simcsp.tally import Tally

HEADER = "ID_uniprot;Position;Sequence;Type"


def record(pair: str, left: str = "C", right: str = "T", *, at: int = 60, length: int = 120) -> str:
    """A sequence with this dinucleotide at one offset; half the length is the start of the intron of a donor."""
    return "".join((left * at, pair, right * (length - at - 2)))


DONORS = [record("GT"), record("GT", right="A"), record("GT", left="A")]
FALSE_POSITIVE, EXON, INTRON = record("GT", left="T", right="C"), "ACC" * 40, record("CC")
POSITIVES = [f"Q9Y6X2_HUMAN;{letters}" for letters in DONORS]
NEGATIVES = [
    HEADER,
    f"P1_DANRE;10;{FALSE_POSITIVE};FP",
    f"P1_DANRE;20;{EXON};Exon",
    f"P2_DANRE;30;{INTRON};Intron",
    f"P2_DANRE;31;{FALSE_POSITIVE[1:]}C;FP",
]


def read(
    folder: Path,
    positives: list[str] = POSITIVES,
    negatives: list[str] = NEGATIVES,
    *,
    site: Literal["donor", "acceptor"] = "donor",
    written: Callable[[str], bytes] = str.encode,
    window: int = 100,
    any_decoy: bool = False,
) -> tuple[WindowTable, list[Tally]]:
    for name, lines in (("POS_donor_120.csv", positives), ("NEG_120_donor.csv", negatives)):
        (folder / name).write_bytes(written("".join(f"{line}\n" for line in lines)))
    source = WindowSource(
        format="spliceator",
        species="many",
        site=site,
        positives=Path("POS_donor_120.csv"),
        negatives=Path("NEG_120_donor.csv"),
        any_decoy=any_decoy,
    )
    return READERS["spliceator"](source, DataConfig(window=window, root=folder), folder, np.random.default_rng(0))


def letters_of(table: WindowTable) -> list[str]:
    return [decode(window) for window in table.tokens]


def test_training_tables_become_windows_and_kinds_of_negatives_are_counted(tmp_path: Path) -> None:
    table, (positives, negatives) = read(tmp_path)
    assert letters_of(table) == [letters[11:111] for letters in [*DONORS, FALSE_POSITIVE]]
    assert {decode(window[49:51]) for window in table.tokens} == {"GT"}
    assert table.label.tolist() == [1, 1, 1, 0]
    assert table.origin.tolist() == [*(f"POS_donor_120:{number}" for number in range(3)), "NEG_120_donor:0"]
    assert table.group.tolist() == [""] * 4
    assert positives.source == "POS_donor_120.csv (GT at offset 60 of 120, 100.0%)"
    assert negatives.source == "NEG_120_donor.csv (1 exon, 2 false positive, 1 intron; GT at offset 60 of 120, 25.0%)"
    assert (negatives.read, negatives.dropped) == (4, {"no GT (donor) or AG (acceptor)": 3})


def test_acceptors_end_their_intron_before_the_middle(tmp_path: Path) -> None:
    acceptors = [record("AG", at=58), record("AG", "T", "C", at=58)]
    table, (positives, _) = read(
        tmp_path,
        [f"x;{letters}" for letters in acceptors],
        [f"x;1;{record('AG', 'T', 'T', at=58)};FP"],
        site="acceptor",
        window=120,
    )
    assert positives.source == "POS_donor_120.csv (AG at offset 58 of 120, 100.0%)"
    assert positives.changed["padded with N at one end"] == 2
    assert letters_of(table)[0] == "N" + acceptors[0][:-1]
    assert table.site_type.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    "written",
    [
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\n \n").encode(),
        lambda text: text.replace("\n", "; ;\n").encode(),
        lambda text: text.replace(";", " ; ").rstrip().encode(),
        lambda text: text.encode("utf-8-sig"),
        lambda text: gzip.compress(text.encode()),
    ],
    ids=["CRLF", "blank lines", "further fields", "blanks around fields, last line open", "BOM", "gzip"],
)
def test_the_same_tables_are_read_in_every_form(tmp_path: Path, written: Callable[[str], bytes]) -> None:
    table, tallies = read(tmp_path, written=written)
    assert letters_of(table) == [letters[11:111] for letters in [*DONORS, FALSE_POSITIVE]]
    assert [tally.read for tally in tallies] == [3, 4]


def test_positives_may_have_a_header_and_four_fields(tmp_path: Path) -> None:
    positives = [HEADER.replace("Type", "Canonical"), *(f"x;7;{letters};True" for letters in DONORS)]
    table, tallies = read(tmp_path, positives)
    assert letters_of(table) == [letters[11:111] for letters in [*DONORS, FALSE_POSITIVE]]
    assert tallies[0].source == "POS_donor_120.csv (GT at offset 60 of 120, 100.0%)"


def test_benchmarks_have_a_tag_before_the_sequence_and_no_header(tmp_path: Path) -> None:
    positives = [f"danio_{number};POS;{letters.lower()}" for number, letters in enumerate(DONORS)]
    negatives = [f"danio_9;NEG;{FALSE_POSITIVE.replace('T', 'U')}"]
    table, tallies = read(tmp_path, positives, negatives, window=120)
    assert letters_of(table) == [letters[1:] + "N" for letters in [*DONORS, FALSE_POSITIVE]]
    assert [tally.changed["padded with N at one end"] for tally in tallies] == [3, 1]


def test_the_sequence_is_the_second_field_if_that_has_a_hundred_letters(tmp_path: Path) -> None:
    shortest = record("GT", at=50, length=100)
    further = "A" * 120
    table, _ = read(tmp_path, [f"x;{shortest};{further}"], [f"x;{'A' * 99};{shortest}"], window=90)
    assert letters_of(table) == [shortest[6:96]] * 2


def test_unknown_bases_are_read_as_n_and_counted(tmp_path: Path) -> None:
    odd = [f"a;{DONORS[0][:-3]}XxR"]
    table, (tally, _) = read(tmp_path, [*POSITIVES, *odd], window=118)
    assert letters_of(table)[3].endswith("TTTNNN")
    assert (tally.changed["letters X read as N"], tally.changed["ambiguous letters read as N"]) == (2, 1)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (f"x,{DONORS[0]}", "line 5: fields must be separated by a semicolon, here it is a comma"),
        (f"x\t{DONORS[0]}", "line 5: fields must be separated by a semicolon, here it is a tab"),
        (DONORS[0], "line 5: fields must be separated by a semicolon, there is none"),
        ("x;ACGT", "line 5: neither the second nor the third field is a sequence of 100 nt"),
        (f"x;ACGT;{'A' * 99};{DONORS[0]}", "line 5: neither the second nor the third field is a sequence of 100 nt"),
        (f"x;{DONORS[0][:101]}", "line 5: a sequence of 101 nt is shorter than the window of 110 nt"),
        (f"x;{DONORS[0][:60]} {DONORS[0][60:]}", "line 5: a space inside the sequence"),
        (f"x;{DONORS[0]}ß", "line 5: 2 letters are no nucleotide code"),
        (f"x;{DONORS[0]}*", "line 5: 1 letters are no nucleotide code"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, [HEADER, *POSITIVES, line], window=110)
    assert str(caught.value).startswith(f"{tmp_path / 'POS_donor_120.csv'}, {problem}")


@pytest.mark.parametrize("lines", [[], [""], [HEADER]])
def test_a_table_without_records_is_refused(tmp_path: Path, lines: list[str]) -> None:
    with pytest.raises(InputError, match=r"NEG_120_donor\.csv: the file has no record"):
        read(tmp_path, negatives=lines)


def test_exon_and_intron_are_kept_as_the_published_studies_did_when_asked_for(tmp_path: Path) -> None:
    table, (_, tally) = read(tmp_path, any_decoy=True)
    assert letters_of(table)[3:] == [
        letters[11:111] for letters in (FALSE_POSITIVE, EXON, INTRON, FALSE_POSITIVE[1:] + "C")
    ]
    assert table.label.tolist() == [1, 1, 1, 0, 0, 0, 0]
    assert not tally.dropped
    only, _ = read(tmp_path, negatives=[HEADER, f"P1;1;{EXON};Exon"], any_decoy=True)
    assert only.label.tolist() == [1, 1, 1, 0]
    with pytest.raises(InputError, match=r"no window is left|GT at"):
        read(tmp_path, positives=[f"Q9Y6X2_HUMAN;{INTRON}"], any_decoy=True)


def test_negatives_that_are_all_exon_and_intron_give_no_decoy(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"NEG_120_donor\.csv: only 0\.0% of the decoys have GT"):
        read(tmp_path, negatives=NEGATIVES[2:4])


def test_a_table_of_groups_knows_records_without_the_header(tmp_path: Path) -> None:
    read(tmp_path)
    rows = [*(f"POS_donor_120\t{number}\tp{number}" for number in range(3)), "NEG_120_donor\t0\tn"]
    (tmp_path / "groups.tsv").write_text("file\tindex0\tcluster\n" + "\n".join(rows))
    fields: dict[str, Any] = {"positives": Path("POS_donor_120.csv"), "negatives": Path("NEG_120_donor.csv")}
    source = WindowSource(format="spliceator", species="many", site="donor", groups=Path("groups.tsv"), **fields)
    table, _ = READERS["spliceator"](source, DataConfig(window=100, root=tmp_path), tmp_path, np.random.default_rng(0))
    assert table.group.tolist() == ["p0", "p1", "p2", "n"]
