import gzip
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from simcsp.config import DataConfig, WindowSource
from simcsp.datasets.readers import READERS
from simcsp.datasets.readers.text import read_records, read_sequences
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
    assert table.origin.tolist() == ["donors:0", "donors:1", "decoys:0", "decoys:1"]
    assert [(tally.source, tally.read, tally.kept) for tally in tallies] == [
        ("donors.txt (GT at offset 14 of 30, 100.0%)", 2, 2),
        ("decoys.txt (GT at offset 14 of 30, 100.0%)", 2, 2),
    ]


def test_gzip_is_read_as_well(tmp_path: Path) -> None:
    for name, lines in (("donors.txt.gz", DONORS), ("decoys.txt.gz", DECOYS)):
        (tmp_path / name).write_bytes(gzip.compress("\r\n".join(lines).encode()))
    source = WindowSource(
        format="text",
        species="human",
        site="donor",
        positives=Path("donors.txt.gz"),
        negatives=Path("decoys.txt.gz"),
    )
    table, _ = READERS["text"](source, DataConfig(window=30, root=tmp_path), tmp_path, np.random.default_rng(0))
    assert letters_of(table) == DONORS + DECOYS
    assert table.origin.tolist() == ["donors:0", "donors:1", "decoys:0", "decoys:1"]


def test_acceptor_windows_have_the_other_site_type(tmp_path: Path) -> None:
    acceptors, decoys = (["".join((line[:14], "AG", line[16:])) for line in lines] for lines in (DONORS, DECOYS))
    table, _ = read(tmp_path, acceptors, decoys, site="acceptor")
    assert letters_of(table) == acceptors + decoys
    assert table.site_type.tolist() == [1] * 4


def test_records_come_with_the_line_they_begin_on(tmp_path: Path) -> None:
    path = tmp_path / "records.fa"
    path.write_text("ACGT\n\nAA\n> one \n\nAC\nGT\n>two\nNN\n")
    assert list(read_sequences(path)) == [(1, b"ACGT"), (3, b"AA"), (4, b"ACGT"), (8, b"NN")]
    assert [record.header for record in read_records(path)] == [None, None, "one", "two"]


@pytest.mark.parametrize("extra", [0, 1, 2, 7])
def test_longer_records_are_cut_around_their_centre(tmp_path: Path, extra: int) -> None:
    positives, negatives = (["G" * extra + line + "C" * extra for line in lines] for lines in (DONORS, DECOYS))
    table, _ = read(tmp_path, positives, negatives)
    assert letters_of(table) == DONORS + DECOYS
    shorter, _ = read(tmp_path, positives, negatives, window=20)
    assert letters_of(shorter) == [line[5:25] for line in DONORS + DECOYS]


@pytest.mark.parametrize("shift", [-4, -1, 1, 4])
def test_the_site_may_be_off_the_centre_and_decoys_are_cut_where_the_sites_are(tmp_path: Path, shift: int) -> None:
    left, right = 4 + shift, 4 - shift
    positives, negatives = (["C" * left + line + "C" * right for line in lines] for lines in (DONORS, DECOYS))
    table, tallies = read(tmp_path, positives, negatives)
    assert letters_of(table) == DONORS + DECOYS
    assert tallies[0].source == f"donors.txt (GT at offset {18 + shift} of 38, 100.0%)"


def test_records_that_lack_two_nt_on_one_side_are_padded_and_counted(tmp_path: Path) -> None:
    positives, negatives = ([line[2:] + "CC" for line in lines] for lines in (DONORS, DECOYS))
    table, tallies = read(tmp_path, positives, negatives, max_unread=0.1)
    assert letters_of(table) == ["NN" + line[2:] for line in DONORS + DECOYS]
    assert [tally.changed["padded with N at one end"] for tally in tallies] == [2, 2]
    with pytest.raises(InputError, match=r"donors\.txt, line 1: a sequence of 30 nt lacks 3 nt .* at most 24"):
        read(tmp_path, [line[3:] + "CCC" for line in DONORS], negatives)


def test_records_of_several_lengths_are_centred_each_in_its_own_middle(tmp_path: Path) -> None:
    positives = [*DONORS, *("C" + line + "C" for line in DONORS), DONORS[0] + "A"]
    table, tallies = read(tmp_path, positives)
    assert letters_of(table) == DONORS + DONORS + DONORS[:1] + DECOYS
    assert tallies[0].source == "donors.txt (GT at the centre, 100.0%)"
    _, tallies = read(tmp_path, ["AA" + line for line in positives], ["A" + line for line in DECOYS])
    assert tallies[0].source == "donors.txt (GT 1 nt behind the centre, 100.0%)"
    assert tallies[1].source == "decoys.txt (GT at offset 15 of 31, 100.0%)"
    _, tallies = read(tmp_path, [line + "CC" for line in positives], ["C" + line + "CCC" for line in DECOYS])
    assert tallies[0].source == "donors.txt (GT 1 nt before the centre, 100.0%)"


def test_without_a_table_no_group_is_known(tmp_path: Path) -> None:
    table, tallies = read(tmp_path)
    assert table.group.tolist() == [""] * 4
    assert [tally.changed for tally in tallies] == [{"without a group: the source has no table of groups": 2}] * 2


def test_files_of_one_name_in_two_folders_have_origins_of_their_own(tmp_path: Path) -> None:
    for folder, lines in (("donors", DONORS), ("decoys", DECOYS)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "fly.txt").write_text("\n".join(lines))
    (tmp_path / "groups.tsv").write_text("file\tindex0\tcluster\nfly\t0\t7\nfly\t1\t8\n")
    names: dict[str, Any] = {"positives": Path("donors/fly.txt"), "negatives": Path("decoys/fly.txt")}
    source = WindowSource(format="text", species="fly", site="donor", **names)
    data = DataConfig(window=30, root=tmp_path)
    table, tallies = READERS["text"](source, data, tmp_path, np.random.default_rng(0))
    assert table.origin.tolist() == ["donors/fly:0", "donors/fly:1", "decoys/fly:0", "decoys/fly:1"]
    assert [tally.source.split(" ")[0] for tally in tallies] == ["donors/fly.txt", "decoys/fly.txt"]
    with pytest.raises(InputError, match=r"fly\.txt: positives and negatives are both called fly,"):
        READERS["text"](
            WindowSource(format="text", species="fly", site="donor", groups=Path("groups.tsv"), **names),
            data,
            tmp_path,
            np.random.default_rng(0),
        )


def test_one_file_as_both_positives_and_negatives_is_refused(tmp_path: Path) -> None:
    (tmp_path / "donors.txt").write_text("\n".join(DONORS))
    names: dict[str, Any] = {"positives": Path("donors.txt"), "negatives": Path("donors.txt")}
    source = WindowSource(format="text", species="human", site="donor", **names)
    with pytest.raises(InputError, match=r"donors\.txt: positives and negatives are both called donors,"):
        READERS["text"](source, DataConfig(window=30, root=tmp_path), tmp_path, np.random.default_rng(0))


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
        "without a group: the source has no table of groups": 3,
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
    "letters set apart": (" ".join(DONORS[0]), "line 1: a space inside the sequence"),
    "not ASCII": (DONORS[0] + "é", "line 1: 2 letters are no nucleotide code"),
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


def test_windows_centred_nowhere_are_refused_with_the_share_that_fits(tmp_path: Path) -> None:
    shifted = [line[1:] + "A" for line in DONORS]
    with pytest.raises(
        InputError,
        match=r"donors\.txt: only 40\.0% of the windows have GT at one place within 4 nt .*Check .* donor windows",
    ):
        read(tmp_path, [*DONORS, *shifted, "A" * 30])
    table, tallies = read(tmp_path, [*DONORS, *shifted])
    assert letters_of(table) == DONORS + DECOYS
    assert tallies[0].dropped == {"no GT (donor) or AG (acceptor)": 2}


def test_donors_given_as_acceptors_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"donors\.txt: only 0\.0% of the windows have AG .* look like donor windows"):
        read(tmp_path, site="acceptor")


def test_decoys_without_a_single_gt_at_the_centre_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"decoys\.txt: only 0\.0% of the decoys have GT where the splice sites"):
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
    assert [(tally.read, tally.kept, tally.changed) for tally in tallies] == [(6400, 6400, {})] * 2
    assert [tally.source for tally in tallies] == [
        f"{stem}.txt.gz ({pair} at offset 300 of 602, 100.0%)" for stem in stems
    ]
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
    source = WindowSource(
        format="text",
        species="human",
        site="acceptor",
        positives=Path("Donor_Train_Positive.txt.gz"),
        negatives=Path("Donor_Train_Negative.txt.gz"),
    )
    # 54.6 % of human donors have AG right before their GT.
    problem = r"only 54\.6% of the windows have AG .* They look like donor windows: GT at offset 300 of 602, 100\.0%"
    with pytest.raises(InputError, match=rf"Donor_Train_Positive\.txt\.gz: {problem}"):
        READERS["text"](
            source, DataConfig(root=real_data / "human-windows", window=400), tmp_path, np.random.default_rng(0)
        )
