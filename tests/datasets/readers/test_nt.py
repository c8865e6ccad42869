import gzip
from pathlib import Path

import numpy as np
import pytest

from simcsp.config import ClassName, DataConfig, SiteName, WindowSource
from simcsp.datasets.readers import READERS
from simcsp.datasets.windows import WindowTable
from simcsp.errors import InputError
from simcsp.sequence.alphabet import decode
from simcsp.tally import Tally

# 32 nt, GT at 16 and AG at 14.
DONORS = ["C" * 16 + "GT" + "A" * 14, "A" * 16 + "GT" + "C" * 14]
DONOR_DECOYS = ["T" * 16 + "GT" + "T" * 14, "C" * 16 + "GT" + "C" * 14]
ACCEPTORS = ["T" * 14 + "AG" + "C" * 16]
ACCEPTOR_DECOYS = ["A" * 14 + "AG" + "A" * 16]
NOTHING = "C" * 32
TWO = [(DONORS[0], "1"), (DONOR_DECOYS[0], "0"), (NOTHING, "0"), (DONORS[1], "1"), (DONOR_DECOYS[1], "0")]
THREE = [*((letters, "1") for letters in DONORS), (ACCEPTORS[0], "2"), (ACCEPTOR_DECOYS[0], "0"), (NOTHING, "0")]


def fasta_of(rows: list[tuple[str, str]]) -> str:
    return "".join(f">chr{number}|x|{label}\n{letters}\n" for number, (letters, label) in enumerate(rows))


def read(
    folder: Path,
    content: str | bytes,
    *,
    site: SiteName | None = "donor",
    classes: tuple[ClassName, ...] = ("acceptor", "donor", "neither"),
) -> tuple[WindowTable, Tally]:
    (folder / "train.fna").write_bytes(content if isinstance(content, bytes) else content.encode())
    source = WindowSource(format="nt", species="human", sequences=Path("train.fna"), site=site, classes=classes)
    data = DataConfig(window=28, root=folder)
    table, (tally,) = READERS["nt"](source, data, folder, np.random.default_rng(0))
    return table, tally


def letters_of(table: WindowTable) -> list[str]:
    return [decode(window) for window in table.tokens]


def test_with_a_site_one_is_a_splice_site_and_zero_its_decoy(tmp_path: Path) -> None:
    table, tally = read(tmp_path, fasta_of(TWO))
    assert letters_of(table) == [letters[3:31] for letters, _ in TWO if letters != NOTHING]
    assert table.label.tolist() == [1, 0, 1, 0]
    assert table.site_type.tolist() == [0] * 4
    assert table.origin.tolist() == ["train:0", "train:1", "train:3", "train:4"]
    assert tally.source == "train.fna (GT at offset 16 of 32, 100.0%; 66.7% of decoys)"
    assert (tally.read, tally.dropped) == (5, {"no GT (donor) or AG (acceptor)": 1})


def test_acceptors_are_cut_at_their_ag(tmp_path: Path) -> None:
    table, tally = read(tmp_path, fasta_of([(ACCEPTORS[0], "1"), (ACCEPTOR_DECOYS[0], "0")]), site="acceptor")
    assert letters_of(table) == [ACCEPTORS[0][1:29], ACCEPTOR_DECOYS[0][1:29]]
    assert table.site_type.tolist() == [1, 1]
    assert tally.source == "train.fna (AG at offset 14 of 32, 100.0%; 100.0% of decoys)"


def test_without_a_site_the_classes_say_what_the_labels_are(tmp_path: Path) -> None:
    table, tally = read(tmp_path, fasta_of(THREE), site=None, classes=("neither", "donor", "acceptor"))
    assert table.label.tolist() == [1, 1, 1, 0]
    assert table.site_type.tolist() == [0, 0, 1, 1]
    assert tally.dropped == {"neither GT nor AG at the site": 1}
    with pytest.raises(InputError, match=r"train\.fna: .* contradict .* Set classes to \[neither, donor, acceptor\]"):
        read(tmp_path, fasta_of(THREE), site=None)


def test_sites_of_the_other_type_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"train\.fna: only 50\.0% of the windows have AG .* look like donor windows"):
        read(tmp_path, fasta_of(TWO), site="acceptor")


def test_decoys_centred_elsewhere_are_refused(tmp_path: Path) -> None:
    shifted = [(letters, label) if label == "1" else (letters[1:] + "C", label) for letters, label in TWO]
    with pytest.raises(InputError, match=r"only 0\.0% of the decoys have GT .* GT at offset 15 of 32, 66\.7% at best"):
        read(tmp_path, fasta_of(shifted))


@pytest.mark.parametrize(
    "content",
    [
        fasta_of(TWO).replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + fasta_of(TWO).encode(),
        gzip.compress(fasta_of(TWO).encode()),
        fasta_of(TWO).replace("\n", "\n\n").encode(),
        "".join(
            f">a | {label} \n{letters[:9].lower()}\n{letters[9:].replace('T', 'U')}\n" for letters, label in TWO
        ).encode(),
    ],
    ids=["CRLF", "BOM", "gzip", "blank lines", "several lines, lower case, RNA"],
)
def test_the_same_records_are_read_in_every_form(tmp_path: Path, content: bytes) -> None:
    table, _ = read(tmp_path, content)
    assert letters_of(table) == [letters[3:31] for letters, _ in TWO if letters != NOTHING]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", ": the file is empty"),
        (f">a|1\n>b|0\n{NOTHING}\n", ", line 1: a header without a sequence"),
        (f">a|1\n{DONORS[0]}\n\n>b\n{NOTHING}\n", ", line 4: a header of the form >name|label is missing"),
        (f"{NOTHING}\n", ", line 1: a header of the form >name|label is missing"),
        (f">a|1\n{DONORS[0]}\n>b|2\n{NOTHING}\n", ", line 3: the label '2' is none of 0, 1"),
        (f">a|1\n{DONORS[0]}\n>b|\n{NOTHING}\n", ", line 3: the label '' is none of 0, 1"),
        (f">a|1\n{DONORS[0]}\n", ": no record has the label 0 (decoy)"),
        (f">a|0\n{DONORS[0]}\n", ": no record has the label 1 (splice site)"),
        (f">a|0\n{DONORS[0]} AC\n", ", line 1: a space inside the sequence"),
        (f">a|0\n{DONORS[0]}\n>b|0\n{DONORS[0]}FLIP\n", ", line 3: 4 letters are no nucleotide code"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, content: str, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, content)
    assert str(caught.value).startswith(f"{tmp_path / 'train.fna'}{problem}")


def test_three_classes_have_a_third_label(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"train\.fna, line 3: the label '3' is none of 0, 1, 2"):
        read(tmp_path, f">a|2\n{DONORS[0]}\n>b|3\n{NOTHING}\n", site=None)
