import gzip
from collections import Counter
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from simcsp.config import ClassName, DataConfig, WindowSource
from simcsp.datasets.readers import READERS
from simcsp.datasets.windows import WindowTable
from simcsp.errors import InputError
from simcsp.sequence.alphabet import decode
from simcsp.tally import Tally

# 30 nt, cut at an exon's end: an acceptor's AG is right before offset 15, a donor's GT begins there.
ACCEPTORS = ["T" * 13 + "AG" + "C" * 15, "C" * 13 + "AG" + "T" * 15]
DONORS = ["C" * 15 + "GT" + "A" * 13, "A" * 15 + "GT" + "C" * 13]
ACCEPTOR_DECOY, DONOR_DECOY = "A" * 13 + "AG" + "A" * 15, "T" * 15 + "GT" + "T" * 13
BOTH, NOTHING = "C" * 13 + "AGGT" + "C" * 13, "C" * 30
ROWS = [
    (ACCEPTORS[0], 0),
    (DONORS[0], 1),
    (NOTHING, 2),
    (DONOR_DECOY, 2),
    (ACCEPTORS[1], 0),
    (BOTH, 2),
    (ACCEPTOR_DECOY, 2),
    (DONORS[1], 1),
]
PUBLISHED: tuple[ClassName, ...] = ("acceptor", "donor", "neither")


def table_of(rows: list[tuple[str, int]], header: str = "sequence,label\n") -> str:
    return header + "".join(f"{letters},{label}\n" for letters, label in rows)


def read(
    folder: Path,
    content: str | bytes | None = None,
    *,
    classes: tuple[ClassName, ...] = PUBLISHED,
    window: int = 28,
    groups: str | None = None,
) -> tuple[WindowTable, Tally]:
    content = table_of(ROWS) if content is None else content
    (folder / "dev.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    if groups is not None:
        (folder / "groups.tsv").write_text(groups)
    source = WindowSource(
        format="gue",
        species="human",
        sequences=Path("dev.csv"),
        classes=classes,
        groups=None if groups is None else Path("groups.tsv"),
    )
    data = DataConfig(window=window, root=folder, max_unread=0.1)
    table, (tally,) = READERS["gue"](source, data, folder, np.random.default_rng(0))
    return table, tally


def letters_of(table: WindowTable) -> list[str]:
    return [decode(window) for window in table.tokens]


def test_three_classes_become_sites_and_decoys_of_both_types_in_the_order_of_the_file(tmp_path: Path) -> None:
    table, tally = read(tmp_path)
    assert table.origin.tolist() == [f"dev:{number}" for number in (0, 1, 3, 4, 5, 6, 7)]
    assert table.label.tolist() == [1, 1, 0, 1, 0, 0, 1]
    assert table.site_type.tolist() == [1, 0, 0, 1, 1, 1, 0]
    assert table.group.tolist() == [""] * 7
    cut = {0: slice(2, 30), 1: slice(0, 28)}
    used = [letters for letters, _ in ROWS if letters != NOTHING]
    expected = [letters[cut[site]] for letters, site in zip(used, table.site_type.tolist(), strict=True)]
    assert letters_of(table) == expected
    assert {letters[13:15] for letters in letters_of(table)} == {"GT", "AG"}
    assert tally.source == "dev.csv (GT at offset 15 of 30, 100.0%; AG at offset 13 of 30, 100.0%)"
    assert (tally.read, tally.dropped) == (8, {"neither GT nor AG at the site": 1})
    assert tally.changed == {"without a group: the source has no table of groups": 7}


def test_whole_records_are_padded_at_the_end_that_they_lack(tmp_path: Path) -> None:
    table, tally = read(tmp_path, window=30)
    assert letters_of(table)[:2] == ["N" + ACCEPTORS[0][:-1], DONORS[0][1:] + "N"]
    assert tally.changed["padded with N at one end"] == 7


@pytest.mark.parametrize(
    "content",
    [
        table_of(ROWS).replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + table_of(ROWS).encode(),
        gzip.compress(table_of(ROWS).encode()),
        table_of(ROWS).replace("\n", "\n\n").rstrip().encode(),
        table_of([(letters.lower().replace("t", "u"), label) for letters, label in ROWS]).encode(),
        table_of(ROWS).replace(",", '" , "').encode(),
    ],
    ids=["CRLF", "BOM", "gzip", "blank lines", "lower-case RNA", "blanks and quotation marks"],
)
def test_the_same_table_is_read_in_every_form(tmp_path: Path, content: bytes) -> None:
    expected, _ = read(tmp_path)
    table, _ = read(tmp_path, content)
    assert letters_of(table) == letters_of(expected)
    assert table.label.tolist() == expected.label.tolist()


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_labels_may_be_numbered_in_any_order_that_the_records_agree_with(
    tmp_path: Path, order: tuple[int, ...]
) -> None:
    classes = tuple(PUBLISHED[order.index(number)] for number in range(3))
    content = table_of([(letters, order[label]) for letters, label in ROWS])
    expected, _ = read(tmp_path)
    table, _ = read(tmp_path, content, classes=classes)
    assert letters_of(table) == letters_of(expected)
    assert table.label.tolist() == expected.label.tolist()
    for wrong in permutations(PUBLISHED):
        if wrong != classes:
            with pytest.raises(InputError, match=rf"contradict classes .* Set classes to \[{', '.join(classes)}\]"):
                read(tmp_path, content, classes=wrong)


def test_a_contradiction_comes_with_its_evidence(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, classes=("donor", "acceptor", "neither"))
    assert str(caught.value) == (
        f"{tmp_path / 'dev.csv'}: the dinucleotides contradict classes [donor, acceptor, neither]: "
        "at one place near the centre, label 0 has GT in 50.0%, AG in 100.0%; label 1 has GT in 100.0%, AG in 50.0%; "
        "label 2 has GT in 50.0%, AG in 50.0%. Set classes to [acceptor, donor, neither]."
    )


def test_splice_sites_without_their_dinucleotide_in_any_order_are_refused(tmp_path: Path) -> None:
    rows = [(ACCEPTORS[0], 0), (NOTHING, 0), (NOTHING, 0), (DONORS[0], 1), (NOTHING, 2)]
    with pytest.raises(InputError, match=r"label 0 has GT in 0\.0%, AG in 33\.3%; .* Check that every splice site"):
        read(tmp_path, table_of(rows))


def test_decoys_that_all_have_the_dinucleotide_do_not_pass_for_donors(tmp_path: Path) -> None:
    rows = [*((letters, 0) for letters in ACCEPTORS), *[(DONORS[0], 1)] * 19, (NOTHING, 1), *[(DONOR_DECOY, 2)] * 4]
    table, tally = read(tmp_path, table_of(rows))
    assert Counter(zip(table.label.tolist(), table.site_type.tolist(), strict=True)) == {
        (1, 1): 2,
        (1, 0): 19,
        (0, 0): 4,
    }
    assert tally.dropped == {"no GT (donor) or AG (acceptor)": 1}


def test_two_classes_are_splice_sites_without_decoys(tmp_path: Path) -> None:
    rows = [(letters, label) for letters, label in ROWS if label < 2]
    table, _ = read(tmp_path, table_of(rows), classes=("acceptor", "donor"))
    assert table.label.tolist() == [1] * 4
    with pytest.raises(InputError, match=r"dev\.csv, line 4: the label '2' is none of 0, 1"):
        read(tmp_path, classes=("acceptor", "donor"))


def test_groups_are_found_by_stem_and_record(tmp_path: Path) -> None:
    rows = "".join(f"dev\t{number}\tcluster-{number // 2}\n" for number in range(8))
    table, tally = read(tmp_path, groups=f"file\tindex0\tcluster\n{rows}")
    assert table.group.tolist() == [f"cluster-{number}" for number in (0, 0, 1, 2, 2, 3, 3)]
    assert tally.changed == {}
    with pytest.raises(InputError, match=r"dev\.csv: record 0 \(0-based\) of this file has no line"):
        read(tmp_path, groups="file\tindex0\tcluster\n")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", ": the file is empty"),
        ("\n\n", ": the file is empty"),
        ("sequence,label\n", ": the file has no record"),
        (table_of(ROWS).replace(",", "\t"), ", line 1: fields must be separated by a comma, here it is a tab"),
        (table_of(ROWS).replace(",", ";"), ", line 1: fields must be separated by a comma, here it is a semicolon"),
        (table_of(ROWS, header=""), ", line 1: the header must be sequence,label"),
        (table_of(ROWS, header="label,sequence\n"), ", line 1: the header must be sequence,label"),
        (table_of(ROWS) + f"\n{NOTHING},3\n", ", line 11: the label '3' is none of 0, 1, 2"),
        (table_of(ROWS) + f"{NOTHING},donor\n", ", line 10: the label 'donor' is none of 0, 1, 2"),
        (table_of(ROWS) + f"{NOTHING},\n", ", line 10: the label '' is none of 0, 1, 2"),
        (table_of(ROWS) + f"{NOTHING},2,x\n", ", line 10: expected a sequence and a label, found 3 fields"),
        (table_of(ROWS) + f"{NOTHING}\n", ", line 10: fields must be separated by a comma, there is none"),
        (table_of(ROWS) + f"{NOTHING[:20]} {NOTHING[20:]},2\n", ", line 10: a space inside the sequence"),
        (table_of(ROWS) + f"{NOTHING}É,2\n", ", line 10: 2 letters are no nucleotide code"),
        (table_of(ROWS) + f"{NOTHING[:27]},2\n", ", line 10: a sequence of 27 nt is shorter than the window of 28 nt"),
        (table_of(ROWS[1:4]), ": no record has the label 0 (acceptor)"),
        (table_of(ROWS[:1]), ": no record has the label 1 (donor)"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, content: str, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, content)
    assert str(caught.value).startswith(f"{tmp_path / 'dev.csv'}{problem}")


@pytest.mark.real_data
def test_the_published_table_is_read_whole(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "gue"
    source = WindowSource(format="gue", species="human", sequences=Path("splice_dev.csv.gz"))
    table, (tally,) = READERS["gue"](source, DataConfig(root=folder, window=400), tmp_path, np.random.default_rng(0))
    with gzip.open(folder / "splice_dev.csv.gz", "rt") as lines:
        rows = [line.strip().split(",") for line in lines][1:]
    assert Counter(label for _, label in rows) == {"0": 1001, "1": 987, "2": 2574}
    sites = [letters[198:200] == "AG" if label == "0" else letters[200:202] == "GT" for letters, label in rows]
    neither = [letters for letters, label in rows if label == "2"]
    acceptor_decoys = [letters for letters in neither if letters[198:200] == "AG"]
    donor_decoys = [letters for letters in neither if letters[198:200] != "AG" and letters[200:202] == "GT"]
    assert tally.read == 4562
    assert tally.source == "splice_dev.csv.gz (GT at offset 200 of 400, 98.7%; AG at offset 198 of 400, 99.6%)"
    assert tally.dropped == {
        "neither GT nor AG at the site": 2574 - len(acceptor_decoys) - len(donor_decoys),
        "no GT (donor) or AG (acceptor)": sum(
            not fits for fits, (_, label) in zip(sites, rows, strict=True) if label != "2"
        ),
    }
    kinds = Counter(zip(table.label.tolist(), table.site_type.tolist(), strict=True))
    assert (kinds[0, 1], kinds[0, 0]) == (len(acceptor_decoys), len(donor_decoys))
    assert (kinds[1, 1], kinds[1, 0]) == (997, 974)
    numbers = [int(origin.rsplit(":", 1)[1]) for origin in table.origin]
    expected = [
        "N" + rows[number][0][:399] if site else rows[number][0][1:] + "N"
        for number, site in zip(numbers, table.site_type.tolist(), strict=True)
    ]
    assert letters_of(table) == expected


@pytest.mark.real_data
def test_the_order_that_accounts_of_the_published_table_give_is_refused(real_data: Path, tmp_path: Path) -> None:
    source = WindowSource(
        format="gue",
        species="human",
        sequences=Path("splice_dev.csv.gz"),
        classes=("neither", "donor", "acceptor"),
    )
    data = DataConfig(root=real_data / "gue", window=400)
    with pytest.raises(InputError, match=r"label 0 has GT in 17\.7%, AG in 99\.6%; .* to \[acceptor, donor, neither\]"):
        READERS["gue"](source, data, tmp_path, np.random.default_rng(0))
