import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcsp import runs
from simcsp.errors import InputError
from simcsp.runs import (
    DONE,
    RECORD,
    State,
    close_stage,
    discarded_on_error,
    finished_stage,
    finite,
    lock,
    open_stage,
    read_json,
    sha256,
    unclaimed_on_error,
    whole_folder,
    write_json,
    write_text,
)

SETTINGS: dict[str, Any] = {"seed": 1, "finetune": {"rate": 1e-5, "names": ("a", "b"), "labels": None}}
INPUTS = {"prepare": "abc"}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def half_done(folder: Path) -> Path:
    """A stage that has begun to write."""
    open_stage(folder, SETTINGS, INPUTS)
    (folder / "output").touch()
    return folder


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


# --- stages --------------------------------------------------------------------------------------------------------


def test_a_stage_is_new_then_unfinished_then_finished(tmp_path: Path) -> None:
    folder = tmp_path / "stage"
    assert open_stage(folder, SETTINGS, INPUTS) is State.NEW
    (folder / "output").touch()
    assert open_stage(folder, SETTINGS, INPUTS) is State.UNFINISHED
    close_stage(folder, {"steps": 3})
    assert open_stage(folder, SETTINGS, INPUTS) is State.FINISHED
    assert read_json(folder / DONE) == {"steps": 3}


def test_record_is_complete_before_the_first_step(tmp_path: Path) -> None:
    open_stage(tmp_path, SETTINGS, INPUTS)
    record = read_json(tmp_path / RECORD)
    assert record["settings"] == {"seed": 1, "finetune": {"rate": 1e-5, "names": ["a", "b"], "labels": None}}
    assert record["inputs"] == INPUTS
    assert {"version", "environment"} < set(record)
    assert {"command", "started", "python", "platform", "code", "libraries"} < set(record["environment"])
    assert "torch" in record["environment"]["libraries"]


def test_record_of_a_finished_stage_is_not_written_again(tmp_path: Path) -> None:
    close_stage(half_done(tmp_path), {})
    before = (tmp_path / RECORD).read_bytes()
    open_stage(tmp_path, SETTINGS, INPUTS)
    assert (tmp_path / RECORD).read_bytes() == before


@pytest.mark.parametrize(
    ("settings", "inputs", "named"),
    [
        ({**SETTINGS, "seed": 2}, INPUTS, "settings.seed was 1, now 2"),
        ({**SETTINGS, "new": 3}, INPUTS, "settings.new was None, now 3"),
        ({"seed": 1}, INPUTS, "settings.finetune was .*now None"),
        (
            {**SETTINGS, "finetune": {**SETTINGS["finetune"], "rate": 2e-5, "labels": 9}},
            INPUTS,
            "settings.finetune.labels was None, now 9; settings.finetune.rate was 1e-05, now 2e-05",
        ),
        (SETTINGS, {"prepare": "xyz"}, "inputs.prepare was abc, now xyz"),
        (SETTINGS, {**INPUTS, "weights": "1"}, "inputs.weights was None, now 1"),
    ],
)
@pytest.mark.parametrize("finished", [False, True])
def test_output_of_other_settings_is_refused_and_the_keys_are_named(
    tmp_path: Path, settings: dict[str, Any], inputs: dict[str, str], named: str, *, finished: bool
) -> None:
    half_done(tmp_path)
    if finished:
        close_stage(tmp_path, {})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(
        InputError, match=f"holds the output of other settings: {named}. Choose another --run"
    ) as caught:
        open_stage(tmp_path, settings, inputs)
    assert "seed was 1, now 1" not in str(caught.value)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_output_of_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half_done(tmp_path)
    monkeypatch.setattr(runs, "__version__", "9.9")
    with pytest.raises(InputError, match=r"version was .*, now 9\.9"):
        open_stage(tmp_path, SETTINGS, INPUTS)


def test_settings_that_json_changes_are_still_the_same(tmp_path: Path) -> None:
    settings: Any = {"names": ("a",), "nan": math.nan, 3: 0.1 + 0.2}
    open_stage(tmp_path, settings, {})
    (tmp_path / "output").touch()
    assert open_stage(tmp_path, settings, {}) is State.UNFINISHED


def test_a_stage_that_wrote_nothing_may_begin_with_other_settings(tmp_path: Path) -> None:
    open_stage(tmp_path, SETTINGS, INPUTS)
    (tmp_path / ".output.partial").mkdir()
    assert open_stage(tmp_path, {"seed": 2}, INPUTS) is State.NEW
    assert read_json(tmp_path / RECORD)["settings"] == {"seed": 2}


def test_files_of_somebody_else_are_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InputError, match=f"holds files but no {RECORD}"):
        open_stage(tmp_path, SETTINGS, INPUTS)
    assert names(tmp_path) == {"thesis.tex"}


def test_unfinished_stage_is_not_vouched_for(tmp_path: Path) -> None:
    half_done(tmp_path)
    with pytest.raises(InputError, match="this stage has not finished"):
        finished_stage(tmp_path, SETTINGS)


def test_stage_of_other_settings_is_not_vouched_for(tmp_path: Path) -> None:
    close_stage(half_done(tmp_path), {})
    with pytest.raises(InputError, match=r"settings\.seed was 1, now 2"):
        finished_stage(tmp_path, {**SETTINGS, "seed": 2})


def finished_hash(folder: Path, settings: dict[str, Any], inputs: dict[str, str]) -> str:
    open_stage(folder, settings, inputs)
    close_stage(folder, {})
    return finished_stage(folder, settings)


def test_hash_of_a_stage_depends_on_settings_and_inputs_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = finished_hash(tmp_path / "1", SETTINGS, INPUTS)
    monkeypatch.setattr("sys.argv", ["another", "command"])
    assert finished_hash(tmp_path / "2", SETTINGS, INPUTS) == first
    assert finished_hash(tmp_path / "3", {**SETTINGS, "seed": 2}, INPUTS) != first
    assert finished_hash(tmp_path / "4", SETTINGS, {"prepare": "xyz"}) != first
    assert len(first) == hashlib.sha256().digest_size * 2


def test_folder_is_discarded_after_wrong_input_only(tmp_path: Path) -> None:
    for error, stays in ((InputError, False), (OSError, True), (KeyboardInterrupt, True)):
        folder = half_done(tmp_path / error.__name__)
        with pytest.raises(error), discarded_on_error(folder):
            raise error("stop")
        assert folder.exists() is stays


def test_folder_is_unclaimed_after_wrong_input_unless_something_was_written(tmp_path: Path) -> None:
    for name in ("record only", "with output"):
        open_stage(tmp_path / name, SETTINGS, INPUTS)
    (tmp_path / "with output" / "output").touch()
    for name, stays in (("record only", False), ("with output", True)):
        with pytest.raises(InputError), unclaimed_on_error(tmp_path / name):
            raise InputError("stop")
        assert (tmp_path / name).exists() is stays


HOLD = """
import sys
from pathlib import Path
from simcsp.runs import lock
lock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_folder_belongs_to_one_process_until_that_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / "stage")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(InputError, match="stage: another process is writing here"):
            lock(tmp_path / "stage")
        other.kill()
        other.wait()
    lock(tmp_path / "stage")
    assert open_stage(tmp_path / "stage", SETTINGS, INPUTS) is State.NEW


# --- code version --------------------------------------------------------------------------------------------------


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """``git(…)``: git in a folder that stands for the checkout; nothing is committed there yet."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    monkeypatch.setattr(runs, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    def call(*arguments: str) -> str:
        who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
        command = ["git", "-C", str(tmp_path), *who, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    return call


def test_code_is_the_commit_and_says_when_files_differ_from_it(tmp_path: Path, git: Callable[..., str]) -> None:
    assert runs.environment()["code"] == "not a git checkout"
    (tmp_path / "file").write_text("a")
    git("init")
    git("add", "file")
    git("commit", "-m", "one")
    commit = git("rev-parse", "HEAD")
    assert runs.environment()["code"] == commit
    (tmp_path / "untracked").touch()
    assert runs.environment()["code"] == commit
    (tmp_path / "file").write_text("b")
    assert runs.environment()["code"] == f"{commit} with local changes"


def test_folders_of_a_run_and_of_prepared_data_lie_in_the_checkout() -> None:
    root = Path(__file__).resolve().parents[1]
    assert runs.run_folder("demo") == root / "runs" / "demo"
    assert runs.prepared_folder("demo") == root / "data" / "prepared" / "demo"
