import gzip
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from simcsp.config import DataConfig, WindowSource
from simcsp.datasets.readers import READERS
from simcsp.datasets.readers.text import read_sequences
from simcsp.datasets.windows import WindowTable
from simcsp.errors import InputError
from simcsp.sequence.alphabet import decode
from simcsp.tally import Tally

DONORS = ["C" * 14 + "GT" + "A" * 14, "T" * 14 + "GT" + "C" * 14]  # 30 nt
DECOYS = ["A" * 14 + "GT" + "A" * 14, "T" * 14 + "GT" + "T" * 14]


def read(
    folder: Path,
    positives: str | list[str] = DONORS,
    negatives: str | list[str] = DECOYS,
    *,
    site: Literal["donor", "acceptor"] = "donor",
    groups: str | None = None,
    **data: Any,
) -> tuple[WindowTable, list[Tally]]:
    for name, content in (("donors.txt", positives), ("decoys.txt", negatives)):
        (folder / name).write_text(content if isinstance(content, str) else "".join(f"{line}\n" for line in content))
    if groups is not None:
        (folder / "groups.tsv").write_text(groups)
    source = WindowSource(
        format="text",
        species="human",
        site=site,
        positives=Path("donors.txt"),
        negatives=Path("decoys.txt"),
        groups=None if groups is None else Path("groups.tsv"),
    )
    settings: dict[str, Any] = {"window": 30, "root": folder, **data}
    return READERS["text"](source, DataConfig(**settings), folder / "cache", np.random.default_rng(0))


def letters_of(table: WindowTable) -> list[str]:
    return [decode(window) for window in table.tokens]


@pytest.mark.parametrize(
    "written",
    [
        "\n".join(DONORS),
        "\n\n".join(DONORS).lower() + "\n\n",
        "".join(f"> seq {number}\n{line}\n" for number, line in enumerate(DONORS)),
        "".join(
            f">{number}\r\n{line[:11]}\r\n{line[11:22]}\r\n\r\n  {line[22:]}\r\n" for number, line in enumerate(DONORS)
        ),
        "\ufeff>a\n" + DONORS[0].replace("T", "U") + "\n>b\n" + DONORS[1].swapcase(),
    ],
    ids=["lines", "lower case and blank lines", "headers", "several lines, CRLF", "BOM, RNA, last line open"],
)
def test_records_are_read_in_every_form(tmp_path: Path, written: str) -> None:
    table, tallies = read(tmp_path, written)
    assert letters_of(table) == DONORS + DECOYS
    assert table.label.tolist() == [1, 1, 0, 0]
    assert table.site_type.tolist() == [0] * 4
    assert set(table.species.tolist()) == {"human"}
    assert table.origin.tolist() == table.group.tolist() == ["donors:0", "donors:1", "decoys:0", "decoys:1"]
    assert [(tally.source, tally.read, tally.kept) for tally in tallies] == [("donors.txt", 2, 2), ("decoys.txt", 2, 2)]


def test_acceptor_windows_have_the_other_site_type(tmp_path: Path) -> None:
    acceptors, decoys = (["".join((line[:14], "AG", line[16:])) for line in lines] for lines in (DONORS, DECOYS))
    table, _ = read(tmp_path, acceptors, decoys, site="acceptor")
    assert letters_of(table) == acceptors + decoys
    assert table.site_type.tolist() == [1] * 4


def test_records_come_with_the_line_they_begin_on(tmp_path: Path) -> None:
    path = tmp_path / "records.fa"
    path.write_text("ACGT\n\nAA\n>one\n\nAC\nGT\n>two\nNN\n")
    assert list(read_sequences(path)) == [(1, b"ACGT"), (3, b"AA"), (4, b"ACGT"), (8, b"NN")]


@pytest.mark.parametrize("extra", [0, 1, 2, 7])
def test_longer_records_are_cut_around_their_centre(tmp_path: Path, extra: int) -> None:
    positives, negatives = (["G" * extra + line + "C" * extra for line in lines] for lines in (DONORS, DECOYS))
    table, _ = read(tmp_path, positives, negatives)
    assert letters_of(table) == DONORS + DECOYS
    shorter, _ = read(tmp_path, positives, negatives, window=20)
    assert letters_of(shorter) == [line[5:25] for line in DONORS + DECOYS]


def test_clusters_become_groups_and_tie_both_files_together(tmp_path: Path) -> None:
    table, _ = read(tmp_path, groups="file\tindex0\tcluster\ndecoys\t0\t7\ndonors\t0\t7\ndonors\t1\tx\ndecoys\t1\t8\n")
    assert table.group.tolist() == ["7", "x", "7", "8"]


@pytest.mark.parametrize(
    ("groups", "problem"),
    [
        ("donors\t0\t7\n", r"groups\.tsv, line 1: the header must be file, index0, cluster"),
        ("", r"groups\.tsv, line 1: the header must be"),
        ("file\tindex0\tcluster\ndonors\t0\t7\ndonors\tone\t7\n", r"groups\.tsv, line 3: expected"),
        ("file\tindex0\tcluster\ndonors\t0\n", r"groups\.tsv, line 2: expected"),
        ("file\tindex0\tcluster\ndonors\t0\t7\n", r"donors\.txt: record 1 \(0-based\) .* has no line"),
    ],
)
def test_a_table_of_clusters_that_does_not_fit_is_refused(tmp_path: Path, groups: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        read(tmp_path, groups=groups)


def test_windows_that_are_dropped_are_counted_and_the_others_keep_their_numbers(tmp_path: Path) -> None:
    rows = [DECOYS[0], "N" * 14 + "GT" + "A" * 14, "C" * 30, DECOYS[1], "A" * 14 + "GT" + "R" + "A" * 13]
    table, tallies = read(tmp_path, negatives=rows)
    assert table.origin.tolist()[2:] == ["decoys:0", "decoys:3", "decoys:4"]
    assert tallies[1].dropped == {"more than 5% N": 1, "no GT (donor) or AG (acceptor)": 1}
    assert tallies[1].changed == {
        "ambiguous letters read as N": 1,
        "put into a group of its own: no table of groups is given": 5,
    }
    assert (tallies[1].read, tallies[1].kept) == (5, 3)


BROKEN = {
    "short": (
        DONORS[0] + "\n" + "\n" + DONORS[1][:-1],
        "line 3: a sequence of 29 nt is shorter than the window of 30 nt",
    ),
    "protein": (">a\n" + DONORS[0] + "\n>b\n" + DONORS[1][:-4] + "FLIP", "line 3: 4 letters are no nucleotide code"),
    "empty": ("", "the file is empty"),
    "blank": ("\n \n", "the file is empty"),
    "header without sequence": (f">a\n>b\n{DONORS[0]}\n", "line 1: a header without a sequence"),
    "last header without sequence": (f">a\n{DONORS[0]}\n>b\n", "line 3: a header without a sequence"),
}


@pytest.mark.parametrize("what", BROKEN)
@pytest.mark.parametrize("name", ["donors.txt", "decoys.txt"])
def test_a_broken_file_is_refused_with_its_line(tmp_path: Path, what: str, name: str) -> None:
    content, problem = BROKEN[what]
    with pytest.raises(InputError) as caught:
        read(tmp_path, **{"positives" if name == "donors.txt" else "negatives": content})  # type: ignore[arg-type]
    separator = ", " if problem.startswith("line") else ": "
    assert str(caught.value).startswith(f"{tmp_path / name}{separator}{problem}")


def test_windows_centred_elsewhere_are_refused_with_the_share_that_fits(tmp_path: Path) -> None:
    shifted = [line[1:] + "A" for line in DONORS]
    with pytest.raises(
        InputError, match=r"only 40\.0% of the windows have GT at their centre\. Check .* donor windows"
    ):
        read(tmp_path, [*DONORS, *shifted, "A" * 30])
    read(tmp_path, [*DONORS, *shifted])


def test_donors_given_as_acceptors_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"donors\.txt: only 0\.0% of the windows have AG at their centre"):
        read(tmp_path, site="acceptor")


def test_decoys_without_a_single_gt_at_the_centre_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"decoys\.txt: only 0\.0% of the windows have GT at their centre"):
        read(tmp_path, negatives=["A" * 30, "C" * 30])


@pytest.mark.real_data
@pytest.mark.parametrize(("site", "pair"), [("donor", "GT"), ("acceptor", "AG")])
def test_human_windows_are_read_whole(
    real_data: Path, tmp_path: Path, site: Literal["donor", "acceptor"], pair: str
) -> None:
    stems = [f"{site.capitalize()}_Train_{kind}" for kind in ("Positive", "Negative")]
    source = WindowSource(
        format="text",
        species="human",
        site=site,
        positives=Path(f"{stems[0]}.txt.gz"),
        negatives=Path(f"{stems[1]}.txt.gz"),
        groups=Path("clusters.tsv.gz"),
    )
    folder = real_data / "human-windows"
    table, tallies = READERS["text"](source, DataConfig(root=folder, window=400), tmp_path, np.random.default_rng(0))
    assert [(tally.read, tally.kept) for tally in tallies] == [(6400, 6400)] * 2
    assert Counter(table.label.tolist()) == {1: 6400, 0: 6400}
    with gzip.open(folder / f"{stems[0]}.txt.gz", "rt") as lines:
        records = [line.strip() for line in lines if not line.startswith(">")]
    assert {len(record) for record in records} == {602}
    assert [decode(window) for window in table.tokens[:6400]] == [record[101:501] for record in records]
    assert {decode(window[199:201]) for window in table.tokens} == {pair}
    with gzip.open(folder / "clusters.tsv.gz", "rt") as lines:
        rows = [line.strip().split("\t") for line in lines]
    assert table.group.tolist() == [row[2] for stem in stems for row in rows if row[0] == stem]


@pytest.mark.real_data
def test_human_donors_given_as_acceptors_are_refused_with_the_observed_rate(real_data: Path, tmp_path: Path) -> None:
    donors = Path("Donor_Train_Positive.txt.gz")
    source = WindowSource(format="text", species="human", site="acceptor", positives=donors, negatives=donors)
    with pytest.raises(InputError, match=r"Donor_Train_Positive\.txt\.gz: only 0\.0% of the windows have AG"):
        READERS["text"](
            source, DataConfig(root=real_data / "human-windows", window=400), tmp_path, np.random.default_rng(0)
        )
