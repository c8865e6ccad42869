"""The truth here is plain Python on letters: slices of strings, no tokens and no arrays."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcsp.config import DataConfig
from simcsp.datasets.readers.centred import (
    PAIRS,
    Chosen,
    Sequences,
    centred_windows,
    check_decoys,
    class_number,
    encode_records,
    find_site,
    locate,
    note,
    read_groups,
    split_fields,
)
from simcsp.errors import InputError
from simcsp.sequence.alphabet import decode
from simcsp.tally import Tally

DONOR, ACCEPTOR = 0, 1
WINDOW = 20
RECORDS = st.lists(st.text("ACGTN", min_size=WINDOW, max_size=WINDOW + 9), min_size=1, max_size=12)


def encoded(records: Iterable[str], window: int = WINDOW, tally: Tally | None = None) -> Sequences:
    labelled = ((2 * number + 1, letters.encode(), 0) for number, letters in enumerate(records))
    return encode_records(Path("x.txt"), labelled, DataConfig(window=window), tally or Tally("windows", "x"))


def all_rows(sequences: Sequences) -> np.ndarray:
    return np.arange(len(sequences.line))


def chosen(shifts: list[int], site_type: int = DONOR) -> Chosen:
    rows = np.arange(len(shifts))
    return Chosen(
        rows, np.full(rows.size, site_type, dtype=np.uint8), np.ones_like(rows, dtype=np.uint8), np.array(shifts)
    )


def with_pair(pair: str, at: int, length: int) -> str:
    """Letters with this dinucleotide at one offset and no G elsewhere."""
    return "".join(("C" * at, pair, "T" * (length - at - 2)))


def test_the_dinucleotides_are_those_of_the_field() -> None:
    assert PAIRS == ("GT", "AG")


@settings(deadline=None)
@given(records=RECORDS, site_type=st.sampled_from([DONOR, ACCEPTOR]))
def test_the_place_found_is_the_one_with_most_dinucleotides(records: list[str], site_type: int) -> None:
    shares = {}
    for shift in range(-4, 5):
        offsets = [len(letters) // 2 - 1 + shift for letters in records]
        hits = [letters[at : at + 2] == PAIRS[site_type] for letters, at in zip(records, offsets, strict=True)]
        shares[shift] = sum(hits) / len(hits)
    sequences = encoded(records)
    place = locate(sequences, all_rows(sequences), site_type)
    assert place.share == pytest.approx(max(shares.values()))
    assert shares[place.shift] == max(shares.values())
    assert abs(place.shift) == min(abs(shift) for shift, share in shares.items() if share == max(shares.values()))


@pytest.mark.parametrize(
    ("offset", "length", "shift"), [(300, 602, 0), (200, 400, 1), (198, 400, -1), (300, 600, 1), (14, 31, 0)]
)
def test_places_of_published_files_as_shifts(offset: int, length: int, shift: int) -> None:
    sequences = encoded([with_pair("GT", offset, length)])
    assert locate(sequences, all_rows(sequences), DONOR) == (shift, 1.0)


def test_only_the_rows_asked_for_decide_the_place() -> None:
    sequences = encoded([with_pair("GT", 9, 20), with_pair("GT", 11, 20), with_pair("GT", 11, 20)])
    assert locate(sequences, np.array([0]), DONOR).shift == 0
    assert locate(sequences, np.array([0, 1, 2]), DONOR) == (2, 2 / 3)


@settings(deadline=None)
@given(records=RECORDS, shifts=st.lists(st.integers(-4, 4), min_size=12, max_size=12))
def test_windows_are_slices_padded_with_n_where_the_record_ends(records: list[str], shifts: list[int]) -> None:
    shifts = shifts[: len(records)]
    expected, lacking = [], []
    for letters, shift in zip(records, shifts, strict=True):
        first = len(letters) // 2 + shift - WINDOW // 2
        before, behind = max(0, -first), max(0, first + WINDOW - len(letters))
        expected.append("N" * before + letters[max(0, first) : first + WINDOW] + "N" * behind)
        lacking.append(max(before, behind))
    sequences = encoded(records)
    if max(lacking) > 2:
        with pytest.raises(InputError, match=rf"lacks {next(nt for nt in lacking if nt > 2)} nt for a window of 20 nt"):
            centred_windows(sequences, chosen(shifts), WINDOW)
    else:
        tokens, padded = centred_windows(sequences, chosen(shifts), WINDOW)
        assert [decode(window) for window in tokens] == expected
        assert padded.tolist() == [nt > 0 for nt in lacking]


def test_a_record_too_short_for_its_window_is_named_with_its_line_and_what_would_do() -> None:
    sequences = encoded(["A" * 30, with_pair("AG", 6, 20), with_pair("AG", 5, 20)])
    with pytest.raises(InputError) as caught:
        centred_windows(sequences, chosen([0, -3, -4], ACCEPTOR), WINDOW)
    assert str(caught.value) == (
        f"{DataConfig().root / 'x.txt'}, line 3: a sequence of 20 nt lacks 3 nt for a window of 20 nt around its AG. "
        "Set data.window to at most 12."
    )


def test_sites_and_windows_of_one_record_do_not_take_from_its_neighbours() -> None:
    sequences = encoded([with_pair("GT", 10, 20), "G" * 20, with_pair("GT", 8, 20)])
    tokens, padded = centred_windows(sequences, chosen([1, 0, -1]), WINDOW)
    assert [decode(window)[9:11] for window in tokens] == ["GT", "GG", "GT"]
    assert [decode(window)[i] for window, i in ((tokens[0], 19), (tokens[2], 0))] == ["N", "N"]
    assert padded.tolist() == [True, False, True]


def test_half_of_the_windows_must_have_the_dinucleotide_at_one_place() -> None:
    sites, others = [with_pair("GT", 8, 20)] * 2, ["C" * 20] * 3
    sequences = encoded([*sites, *others[:2]])
    assert find_site(sequences, all_rows(sequences), DONOR) == (-1, 0.5)
    sequences = encoded([*sites, *others])
    with pytest.raises(
        InputError, match=r"only 40\.0% .* GT at one place within 4 nt .*Check that these are donor windows"
    ):
        find_site(sequences, all_rows(sequences), DONOR)


def test_donors_are_no_acceptors_though_most_have_ag_before_their_gt() -> None:
    exonic = "".join(("C" * 9, "AGGT", "C" * 7))
    sequences = encoded([exonic, exonic, with_pair("GT", 11, 20)])
    assert find_site(sequences, all_rows(sequences), DONOR) == (2, 1.0)
    problem = r"only 66\.7% of the windows have AG .* They look like donor windows: GT at offset 11 of 20, 100\.0%"
    with pytest.raises(InputError, match=problem):
        find_site(sequences, all_rows(sequences), ACCEPTOR)


def test_decoys_need_the_dinucleotide_where_the_sites_have_it_more_often_than_by_chance() -> None:
    here, there, nowhere = with_pair("GT", 9, 20), with_pair("GT", 10, 20), "C" * 20
    site = find_site(encoded([here]), np.array([0]), DONOR)
    sequences = encoded([here, *[nowhere] * 9])
    assert check_decoys(sequences, all_rows(sequences), DONOR, site) == (0, 0.1)
    sequences = encoded([here, *[there] * 10])
    with pytest.raises(InputError, match=r"only 9\.1% of the decoys .* have GT at offset 10 of 20, 90\.9% at best"):
        check_decoys(sequences, all_rows(sequences), DONOR, site)
    sequences = encoded([nowhere])
    with pytest.raises(InputError, match=r"only 0\.0% of the decoys .* Decoys are sequences with GT at the centre"):
        check_decoys(sequences, all_rows(sequences), DONOR, site)


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
        encoded(["A" * 20, letters])


def test_a_file_without_records_is_refused() -> None:
    with pytest.raises(InputError, match=r"x\.txt: the file has no record"):
        encoded([])


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


def test_a_table_of_groups_may_have_blank_lines_and_crlf(tmp_path: Path) -> None:
    path = tmp_path / "groups.tsv"
    path.write_bytes(b"\xef\xbb\xbffile\tindex0\tcluster\r\n\r\na\t0\tx y\r\na\t10\t7\r\n")
    assert read_groups(path) == {("a", 0): "x y", ("a", 10): "7"}


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ("", "line 1: the header must be file, index0, cluster"),
        ("a\t0\t7\n", "line 1: the header must be file, index0, cluster"),
        ("file,index0,cluster\n", "line 1: the header must be file, index0, cluster"),
        ("file\tindex0\tcluster\na\t0\t7\n\na\tone\t7\n", "line 4: expected"),
        ("file\tindex0\tcluster\na\t-1\t7\n", "line 2: expected"),
        ("file\tindex0\tcluster\na\t²\t7\n", "line 2: expected"),
        ("file\tindex0\tcluster\na\t0\n", "line 2: expected"),
        ("file\tindex0\tcluster\na\t0\t\n", "line 2: expected"),
        ("file\tindex0\tcluster\na\t0\t1\nb\t0\t1\na\t0\t2\n", "line 4: record 0 of a is listed twice"),
    ],
)
def test_a_broken_table_of_groups_is_refused_with_its_line(tmp_path: Path, rows: str, problem: str) -> None:
    (tmp_path / "groups.tsv").write_text(rows)
    with pytest.raises(InputError, match=rf"groups\.tsv, {problem}"):
        read_groups(tmp_path / "groups.tsv")
