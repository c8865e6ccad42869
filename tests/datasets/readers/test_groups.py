from pathlib import Path

import pytest

from simcsp.datasets.readers.groups import read_groups
from simcsp.errors import InputError


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
