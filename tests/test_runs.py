"""Who may write where: a stage's claim on its folder, and what its record says of the code."""

import errno
import hashlib
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simcsp import runs, storage
from simcsp.errors import InputError
from simcsp.runs import (
    DONE,
    RECORD,
    State,
    close_stage,
    discarded_on_error,
    finished_stage,
    lock,
    open_stage,
    peek_stage,
    unclaimed_on_error,
)
from simcsp.storage import read_json

SETTINGS: dict[str, Any] = {"seed": 1, "finetune": {"rate": 1e-5, "names": ("a", "b"), "labels": None}}
INPUTS = {"prepare": "abc"}
BOTH = pytest.mark.parametrize("look", [open_stage, peek_stage])  # a plan finds what the stage will find

Look = Callable[[Path, dict[str, Any], dict[str, str]], State]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def half_done(folder: Path) -> Path:
    """A stage that has begun to write."""
    open_stage(folder, SETTINGS, INPUTS)
    (folder / "output").touch()
    return folder


@BOTH
def test_a_stage_is_new_then_unfinished_then_finished(tmp_path: Path, look: Look) -> None:
    folder = tmp_path / "stage"
    assert look(folder, SETTINGS, INPUTS) is State.NEW
    half_done(folder)
    assert look(folder, SETTINGS, INPUTS) is State.UNFINISHED
    close_stage(folder, {"steps": 3})
    assert look(folder, SETTINGS, INPUTS) is State.FINISHED
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
@BOTH
def test_output_of_other_settings_is_refused_and_the_keys_are_named(
    tmp_path: Path, settings: dict[str, Any], inputs: dict[str, str], named: str, look: Look, *, finished: bool
) -> None:
    half_done(tmp_path)
    if finished:
        close_stage(tmp_path, {})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(
        InputError,
        match=f"holds the output of other settings: {named}. Give the settings that it was",
    ) as caught:
        look(tmp_path, settings, inputs)
    assert "seed was 1, now 1" not in str(caught.value)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@BOTH
def test_output_of_another_version_is_refused(tmp_path: Path, look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    half_done(tmp_path)
    monkeypatch.setattr(runs, "__version__", "9.9")
    with pytest.raises(InputError, match=r"version was .*, now 9\.9"):
        look(tmp_path, SETTINGS, INPUTS)


def test_settings_that_json_changes_are_still_the_same(tmp_path: Path) -> None:
    settings: Any = {"names": ("a",), "nan": math.nan, 3: 0.1 + 0.2}
    open_stage(tmp_path, settings, {})
    (tmp_path / "output").touch()
    assert open_stage(tmp_path, settings, {}) is State.UNFINISHED


def test_a_stage_that_wrote_nothing_may_begin_with_other_settings(tmp_path: Path) -> None:
    open_stage(tmp_path, SETTINGS, INPUTS)
    (tmp_path / ".output.partial").mkdir()
    assert peek_stage(tmp_path, {"seed": 2}, INPUTS) is State.NEW
    assert read_json(tmp_path / RECORD)["settings"]["seed"] == 1
    assert open_stage(tmp_path, {"seed": 2}, INPUTS) is State.NEW
    assert read_json(tmp_path / RECORD)["settings"] == {"seed": 2}


@BOTH
def test_files_of_somebody_else_are_refused(tmp_path: Path, look: Look) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InputError) as caught:
        look(tmp_path, SETTINGS, INPUTS)
    assert str(caught.value) == (
        f"{tmp_path}: holds files that this command did not write (record.json is missing). "
        "Choose another folder (--output, --run or --data.name), or move them away."
    )
    assert names(tmp_path) == {"thesis.tex"}


def test_a_look_may_leave_inputs_out(tmp_path: Path) -> None:
    half_done(tmp_path)
    assert peek_stage(tmp_path, SETTINGS, {}) is State.UNFINISHED
    with pytest.raises(InputError, match=r"inputs\.prepare was abc, now None"):
        open_stage(tmp_path, SETTINGS, {})


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


@pytest.mark.parametrize(
    ("error", "stays"),
    [
        (InputError("stop"), False),
        (OSError(errno.ENOSPC, "no room"), False),
        (OSError(errno.EIO, "stop"), True),
        (KeyboardInterrupt("stop"), True),
    ],
)
def test_folder_is_discarded_after_wrong_input_or_on_a_full_disk_only(
    tmp_path: Path, error: BaseException, stays: bool
) -> None:
    folder = half_done(tmp_path / "stage")
    with pytest.raises(type(error)), discarded_on_error(folder):
        raise error
    assert folder.exists() is stays


def test_folder_is_unclaimed_after_wrong_input_unless_something_was_written(tmp_path: Path) -> None:
    for name in ("record only", "with output"):
        open_stage(tmp_path / name, SETTINGS, INPUTS)
    (tmp_path / "with output" / "output").touch()
    for name, stays in (("record only", False), ("with output", True)):
        with pytest.raises(InputError), unclaimed_on_error(tmp_path / name):
            raise InputError("stop")
        assert (tmp_path / name).exists() is stays


def test_who_holds_a_folder_clears_what_a_killed_process_was_writing(tmp_path: Path) -> None:
    (tmp_path / "fold-0" / ".best.partial").mkdir(parents=True)
    (tmp_path / "fold-0" / ".best.partial" / "model").touch()
    (tmp_path / ".record.json.77.partial").touch()
    (tmp_path / "a.partial").touch()
    lock(tmp_path)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")} == {".lock", "fold-0", "a.partial"}


def test_a_stage_is_finished_only_when_all_of_it_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[Path] = []
    for room in (runs, storage):
        monkeypatch.setattr(room, "flush_to_disk", flushed.append)
    (tmp_path / "fold-0").mkdir()
    (tmp_path / "fold-0" / "predictions.parquet").touch()
    close_stage(tmp_path, {})
    place = next(number for number, path in enumerate(flushed) if path.name.startswith(f".{DONE}"))
    assert set(flushed[:place]) == {tmp_path / "fold-0", tmp_path / "fold-0" / "predictions.parquet"}


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


def test_what_to_choose_depends_on_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "ROOT", tmp_path)
    places = {
        runs.prepared_folder("d"): "--data.name",
        runs.run_folder("r") / "pretrain": "--run without --pretrained",
        runs.run_folder("r") / "finetune": "--run",
        tmp_path / "scores": "folder",
    }
    for folder, name in places.items():
        half_done(folder)
        with pytest.raises(InputError, match=f"choose another {name}, or delete this folder"):
            open_stage(folder, {"seed": 2}, INPUTS)


def test_nobody_is_told_to_delete_what_a_later_stage_needs(tmp_path: Path) -> None:
    close_stage(half_done(tmp_path), {})
    with pytest.raises(InputError, match="Give the settings that it was made with") as caught:
        finished_stage(tmp_path, {**SETTINGS, "seed": 2})
    assert "delete this folder" not in str(caught.value)


def test_many_and_long_differences_are_shortened_and_counted(tmp_path: Path) -> None:
    settings = {f"key{number}": ["long"] * 100 for number in range(9)}
    open_stage(tmp_path, settings, {})
    (tmp_path / "output").touch()
    with pytest.raises(InputError, match=r"; and 3 more\. Give") as caught:
        open_stage(tmp_path, dict.fromkeys(settings, 1), {})
    assert len(str(caught.value)) < 1000
