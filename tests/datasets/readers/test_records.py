"""The truth here is plain Python on letters: slices of strings, no tokens and no arrays."""

from pathlib import Path

import pytest

from simcsp.config import DataConfig
from simcsp.datasets.readers.records import Sequences, class_number, encode_records, note, split_fields
from simcsp.errors import InputError
from simcsp.sequence.alphabet import decode
from simcsp.tally import Tally


def encoded(*records: str) -> Sequences:
    """Records of a file ``x.txt``, one on every other line."""
    labelled = ((2 * number + 1, letters.encode(), 0) for number, letters in enumerate(records))
    return encode_records(Path("x.txt"), labelled, DataConfig(window=20), Tally("windows", "x"))


def test_records_keep_line_label_and_letters_and_what_was_changed_is_counted() -> None:
    tally = Tally("windows", "x")
    records = [(1, b"acgu" * 5, 2), (7, b"R" * 21, 0)]
    sequences = encode_records(Path("x.txt"), records, DataConfig(window=20), tally)
    assert sequences.line.tolist() == [1, 7]
    assert sequences.label.tolist() == [2, 0]
    assert sequences.length.tolist() == [20, 21]
    letters = decode(sequences.tokens)
    assert [letters[start : start + 20] for start in sequences.start] == ["ACGT" * 5, "N" * 20]
    assert tally.read == 2
    assert tally.changed == {
        "ambiguous letters read as N": 21, "lower-case letters read as upper case": 20, "letters U read as T": 5
    }  # fmt: skip


@pytest.mark.parametrize(
    ("letters", "problem"),
    [
        ("ACGT ACGT", "line 3: a space inside the sequence"),
        ("ACGT\tACGT", "line 3: a space inside the sequence"),
        ("ACGé" * 5, "line 3: 10 letters are no nucleotide code"),
        ("ACG", "line 3: a sequence of 3 nt is shorter than the window of 20 nt"),
    ],
)
def test_a_record_that_is_no_sequence_is_named_with_its_line(letters: str, problem: str) -> None:
    with pytest.raises(InputError, match=rf"x\.txt, {problem}"):
        encoded("A" * 20, letters)


def test_a_file_without_records_is_refused() -> None:
    with pytest.raises(InputError, match=r"x\.txt: the file has no record"):
        encoded()


def test_notes_stand_behind_the_name_of_the_source() -> None:
    tally = Tally("windows", "a.txt")
    note(tally, "GT at the centre")
    note(tally, "one more")
    assert tally.source == "a.txt (GT at the centre; one more)"


def test_fields_come_without_blanks_and_quotation_marks() -> None:
    assert split_fields(' "ACGT" ; x;', ";", path=Path("x"), number=1) == ["ACGT", "x", ""]


@pytest.mark.parametrize(
    ("line", "delimiter", "found"),
    [
        ("a,b", ";", "a semicolon, here it is a comma"),
        ("a\tb", ",", "a comma, here it is a tab"),
        ("a", ",", "a comma, there is none"),
    ],
)
def test_a_wrong_delimiter_is_named(line: str, delimiter: str, found: str) -> None:
    with pytest.raises(InputError, match=rf"x, line 4: fields must be separated by {found}\."):
        split_fields(line, delimiter, path=Path("x"), number=4)


@pytest.mark.parametrize("label", ["3", "-1", "1.0", "", "donor", "²", "01"])
def test_other_labels_than_the_numbers_of_the_classes_are_refused(label: str) -> None:
    assert [class_number(str(number), 3, path=Path("x"), line=1) for number in range(3)] == [0, 1, 2]
    with pytest.raises(InputError, match=rf"x, line 9: the label {label!r} is none of 0, 1, 2"):
        class_number(label, 3, path=Path("x"), line=9)
