import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from simcsp.errors import InputError
from simcsp.sequence.files import open_bytes, read_start, require_readable, text_lines


def two_members(content: bytes) -> bytes:
    return gzip.compress(content[:5]) + gzip.compress(content[5:])


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("packed", [bytes, gzip.compress, two_members])
def test_text_lines_are_numbered_from_one_without_bom_and_line_ends(
    tmp_path: Path, packed: Callable[[bytes], bytes]
) -> None:
    path = written(tmp_path / "text", packed("\ufeffGène\r\n\r\n\ttab \nlast".encode()))
    assert list(text_lines(path)) == [(1, "Gène"), (2, ""), (3, "\ttab "), (4, "last")]


def test_lines_that_end_in_cr_alone_are_lines(tmp_path: Path) -> None:
    path = written(tmp_path / "text", b"one\r\rthree\rfour\r")
    assert list(text_lines(path)) == [(1, "one"), (2, ""), (3, "three"), (4, "four")]


def test_text_that_is_not_utf8_is_refused_with_its_line(tmp_path: Path) -> None:
    path = written(tmp_path / "text", "one\ntwo\ncafé\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"text, line 3: not UTF-8"):
        list(text_lines(path))


def test_truncated_packed_text_is_refused_after_its_whole_lines(tmp_path: Path) -> None:
    lines = text_lines(written(tmp_path / "text", gzip.compress(bytes(range(48, 120)) + b"\n" + b"x" * 9000)[:-9]))
    assert next(lines)[0] == 1
    with pytest.raises(InputError, match="truncated or damaged"):
        list(lines)


@pytest.mark.parametrize("packed", [bytes, gzip.compress])
def test_the_start_of_a_file_comes_without_byte_order_mark(tmp_path: Path, packed: Callable[[bytes], bytes]) -> None:
    assert read_start(written(tmp_path / "text", packed("\ufeffABC".encode())), 5) == b"AB"


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none: no such file"):
        require_readable(tmp_path / "none")
    with pytest.raises(InputError, match="this is a folder"):
        require_readable(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        require_readable(written(tmp_path / "file", b"") / "below")


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "secret.fa", b">one\nACGT\n")

    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "open", forbidden)
    with pytest.raises(InputError, match=r"secret\.fa: the file cannot be read \(permission denied\)"):
        open_bytes(path)
