import json
import math
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcsp.errors import InputError
from simcsp.storage import (
    CHECKSUMS,
    damaged_files,
    finite,
    read_json,
    sha256,
    whole_folder,
    write_checksums,
    write_json,
    write_text,
)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# --- files -------------------------------------------------------------------------------------------------------


def test_text_is_written_with_its_folder_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file.txt"
    write_text(path, "old")
    write_text(path, "nëw\n")
    assert path.read_bytes() == "nëw\n".encode()
    assert names(path.parent) == {"file.txt"}


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_failure_while_writing_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "old")

    def fail(*_: Any) -> None:
        raise OSError("no more")

    monkeypatch.setattr(*((os, "fsync", fail) if failing == "fsync" else (Path, "replace", fail)))
    with pytest.raises(OSError, match="no more"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert names(tmp_path) == {"file.txt"}


def test_text_that_cannot_be_encoded_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "new \ud800")
    assert path.read_text() == "old"
    assert names(tmp_path) == {"file.txt"}


def test_numbers_that_are_not_finite_become_null(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": math.nan, "b": [math.inf, -math.inf, 1.5], "c": {"d": (math.nan, 2)}})
    assert json.loads((tmp_path / "a.json").read_text(), parse_constant=pytest.fail) == {
        "a": None, "b": [None, None, 1.5], "c": {"d": [None, 2]},
    }  # fmt: skip


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=10,
)


@settings(deadline=None)
@given(PLAIN)
def test_finite_content_survives_json_unchanged(content: Any) -> None:
    copy = finite(content)
    assert json.loads(json.dumps(copy, allow_nan=False)) == copy
    assert finite(copy) == copy


def test_json_is_read_back(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"é": [1, 0.1 + 0.2]})
    assert read_json(tmp_path / "a.json") == {"é": [1, 0.1 + 0.2]}


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": 1', b"\xff\xfe\x00", b"not json"])
def test_damaged_json_is_an_input_error_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.json: damaged JSON"):
        read_json(tmp_path / "a.json")


def test_missing_json_is_an_input_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.json: no such file"):
        read_json(tmp_path / "a.json")


def test_hash_is_sha256(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


# --- checksums ---------------------------------------------------------------------------------------------------


@pytest.fixture
def summed(tmp_path: Path) -> Path:
    """A folder with the hashes of its two files."""
    for name in ("a.bin", "b c.txt"):
        (tmp_path / name).write_text(name)
    write_checksums(tmp_path)
    return tmp_path


def test_checksums_are_those_of_coreutils(summed: Path) -> None:
    if shutil.which("sha256sum") is None:
        pytest.skip("sha256sum is not installed")
    command = ["sha256sum", "--check", "--strict", CHECKSUMS]
    done = subprocess.run(command, cwd=summed, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "a.bin: OK\nb c.txt: OK\n")


def test_what_was_added_later_is_no_damage(summed: Path) -> None:
    (summed / "notes.md").touch()
    assert damaged_files(summed) == []


def test_missing_and_changed_files_are_named(summed: Path) -> None:
    (summed / "a.bin").unlink()
    (summed / "b c.txt").write_text("b C.txt")
    assert damaged_files(summed) == ["a.bin", "b c.txt"]


@pytest.mark.parametrize("content", [None, b"", b"no sum\n", b"\xff"], ids=["missing", "empty", "text", "bytes"])
def test_damaged_checksums_are_damage(summed: Path, content: bytes | None) -> None:
    (summed / CHECKSUMS).unlink()
    if content is not None:
        (summed / CHECKSUMS).write_bytes(content)
    assert damaged_files(summed) == [CHECKSUMS]


# --- whole folders -------------------------------------------------------------------------------------------------


def test_folder_takes_its_place_when_it_is_filled(tmp_path: Path) -> None:
    target = tmp_path / "a" / "target"
    with whole_folder(target) as folder:
        (folder / "file").touch()
        assert not target.exists()
    assert names(target) == {"file"}
    assert names(target.parent) == {"target"}


def test_folder_replaces_an_older_one_as_a_whole(tmp_path: Path) -> None:
    for name in ("old", "new"):
        with whole_folder(tmp_path / "target") as folder:
            (folder / name).touch()
    assert names(tmp_path / "target") == {"new"}
    assert names(tmp_path) == {"target"}


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, InputError])
def test_folder_stays_as_it_was_when_the_block_raises(tmp_path: Path, error: type[BaseException]) -> None:
    with whole_folder(tmp_path / "target") as folder:
        (folder / "old").touch()
    with pytest.raises(error), whole_folder(tmp_path / "target") as folder:
        (folder / "new").touch()
        raise error("stop")
    assert names(tmp_path / "target") == {"old"}
    assert names(tmp_path) == {"target"}


def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path) -> None:
    for left in (".target.partial", ".target.old"):
        (tmp_path / left).mkdir()
        (tmp_path / left / "left over").touch()
    with whole_folder(tmp_path / "target") as folder:
        assert names(folder) == set()
    assert names(tmp_path) == {"target"}


def test_what_was_there_survives_a_process_killed_while_it_was_replaced(tmp_path: Path) -> None:
    (tmp_path / ".target.old").mkdir()
    (tmp_path / ".target.old" / "precious").touch()
    with pytest.raises(OSError, match="no more"), whole_folder(tmp_path / "target"):
        raise OSError("no more")
    assert names(tmp_path / "target") == {"precious"}
    assert names(tmp_path) == {"target"}


@pytest.mark.parametrize("renames", [1, 2])
def test_folder_stays_when_it_is_interrupted_between_its_renames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    with whole_folder(tmp_path / "target") as folder:
        (folder / "old").touch()
    rename, left = Path.rename, renames

    def interrupted(path: Path, target: Path) -> Path:
        nonlocal left
        left -= 1
        if left == 0:
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), whole_folder(tmp_path / "target") as folder:
        (folder / "new").touch()
    assert names(tmp_path / "target") == {"old"}
    assert names(tmp_path) == {"target"}
