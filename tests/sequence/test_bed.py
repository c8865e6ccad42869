from pathlib import Path

import pytest

from simcsp.errors import InputError
from simcsp.sequence.bed import BedRow, read_bed6

ROW = "chr1\t20\t22\ta|donor\t0.5\t-"


def rows_of(folder: Path, *lines: str, **permitted: bool) -> list[BedRow]:
    (folder / "sites.bed").write_text("".join(f"{line}\n" for line in lines))
    return list(read_bed6(folder / "sites.bed", "score", **permitted))


def test_rows_have_the_numbers_of_their_lines(tmp_path: Path) -> None:
    found = rows_of(tmp_path, "track name=x", "browser position chr1", "# comment", "", ROW)
    assert found == [BedRow("chr1", 20, 22, "a|donor", "0.5", "-", 5)]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (ROW[:-2], r"expected 6 tab-separated columns, found 5\. They are contig, start, end, name, score, strand\."),
        (ROW.replace("\t", " "), "expected 6 tab-separated columns, found 1"),
        (f"{ROW}\tmore", "expected 6 tab-separated columns, found 7"),
        (ROW.replace("20", "-1"), "start must be a whole number, found '-1'"),
        (ROW.replace("22", "٢٢"), "end must be a whole number"),
        (ROW.replace("-", "."), r"the strand must be \+ or -, found '\.'"),
    ],
)
def test_a_malformed_row_is_refused_with_its_line(line: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"sites\.bed, line 2: {problem}"):
        rows_of(tmp_path, ROW, line)


def test_what_other_programs_write_is_taken_when_asked_for(tmp_path: Path) -> None:
    """Further columns are passed over, and the strand is not judged."""
    more, unstranded = f"{ROW}\t20\t22\t0,0,0", f"{ROW[:-1]}."
    assert rows_of(tmp_path, more, further_columns=True) == rows_of(tmp_path, ROW)
    (found,) = rows_of(tmp_path, unstranded, any_strand=True)
    assert found == BedRow("chr1", 20, 22, "a|donor", "0.5", ".", 1)
    with pytest.raises(InputError, match="found 9"):
        rows_of(tmp_path, more, any_strand=True)
    with pytest.raises(InputError, match=r"found '\.'"):
        rows_of(tmp_path, unstranded, further_columns=True)
    with pytest.raises(InputError, match="found 5"):
        rows_of(tmp_path, ROW[:-2], further_columns=True, any_strand=True)
