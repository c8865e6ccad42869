from dataclasses import replace
from pathlib import Path
from typing import get_type_hints

import pytest

from simcsp import runs
from simcsp.config import DataConfig, FinetuneConfig, RunConfig, SplitConfig
from simcsp.errors import InputError
from simcsp.stages import SETTINGS, enter_stage, finished_before, stage_folder, stage_settings

CONFIG = RunConfig(run="r", data=DataConfig(name="d"))


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "ROOT", tmp_path)


def finish(config: RunConfig, stage: str) -> None:
    enter_stage(config, stage, {})
    (stage_folder(config, stage) / "output").touch()
    runs.close_stage(stage_folder(config, stage), {})


def test_prepared_data_are_shared_and_all_else_is_the_runs(tmp_path: Path) -> None:
    assert stage_folder(CONFIG, "prepare") == tmp_path / "data" / "prepared" / "d"
    assert stage_folder(CONFIG, "finetune") == tmp_path / "runs" / "r" / "finetune"


def test_every_setting_but_names_and_devices_is_answered_for_by_a_stage() -> None:
    answered = {name for names in SETTINGS.values() for name in names}
    devices, other_runs = {"processes"}, {"run", "pretrained", "study"}  # devices have a record of their own
    assert answered == set(get_type_hints(RunConfig)) - devices - other_runs


def test_where_the_data_lie_is_no_setting_of_a_stage() -> None:
    moved = replace(CONFIG, data=replace(CONFIG.data, root=Path("elsewhere")))
    assert stage_settings(moved, "prepare") == stage_settings(CONFIG, "prepare")
    assert moved != CONFIG


def test_a_stage_vouches_for_all_before_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data/prepared/d: this stage has not been run\. Run pretrain\.sh"):
        finished_before(CONFIG, "pretrain")
    assert finished_before(CONFIG, "prepare") == {}
    for stage in ("prepare", "pretrain"):
        finish(CONFIG, stage)
    assert list(finished_before(CONFIG, "finetune")) == ["prepare", "pretrain"]
    finish(CONFIG, "encoders")
    with pytest.raises(InputError, match="runs/r/finetune: this stage has not been run"):
        finished_before(CONFIG, "evaluation")


def test_runs_share_pretraining_if_they_ask_for_it(tmp_path: Path) -> None:
    sharing = replace(CONFIG, run="other", pretrained="r", finetune=FinetuneConfig(labels=5))
    for stage in ("prepare", "pretrain"):
        finish(CONFIG, stage)
    assert stage_folder(sharing, "pretrain") == tmp_path / "runs" / "r" / "pretrain"
    assert stage_folder(sharing, "encoders") == tmp_path / "runs" / "r" / "encoders"
    assert stage_folder(sharing, "finetune") == tmp_path / "runs" / "other" / "finetune"
    assert finished_before(sharing, "finetune") == finished_before(CONFIG, "finetune")
    with pytest.raises(InputError, match=r"runs/r/pretrain: .*settings\.seed was 0, now 1"):
        finished_before(replace(sharing, seed=1), "finetune")


def test_encoders_are_measured_without_waiting_for_finetuning_and_it_does_not_wait_for_them() -> None:
    assert finished_before_names("encoders") == finished_before_names("finetune") == ["prepare", "pretrain"]


def test_a_search_needs_pretraining_and_no_stage_needs_a_search() -> None:
    assert all("search" not in finished_before_names(stage) for stage in SETTINGS)
    assert finished_before_names("search") == ["prepare", "pretrain"]


def finished_before_names(stage: str) -> list[str]:
    for name in SETTINGS:
        if not (stage_folder(CONFIG, name) / runs.DONE).exists() and name not in {"report", "search"}:
            finish(CONFIG, name)
    return list(finished_before(CONFIG, stage))


def test_change_of_an_early_setting_is_refused_by_every_later_stage() -> None:
    for stage in ("prepare", "pretrain"):
        finish(CONFIG, stage)
    changed = replace(CONFIG, split=SplitConfig(folds=7))
    with pytest.raises(InputError, match=r"data/prepared/d: .*settings\.split\.folds was 5, now 7"):
        finished_before(changed, "finetune")


def test_early_stages_stay_valid_when_a_late_setting_changes() -> None:
    for stage in ("prepare", "pretrain"):
        finish(CONFIG, stage)
    changed = replace(CONFIG, finetune=FinetuneConfig(epochs=9))
    assert finished_before(changed, "finetune") == finished_before(CONFIG, "finetune")


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """What entered a stage earlier in the test is a process that has ended."""
    monkeypatch.setattr(runs, "lock", lambda folder: None)


@pytest.mark.usefixtures("ended")
def test_a_stage_is_entered_until_it_has_finished(capsys: pytest.CaptureFixture[str]) -> None:
    assert enter_stage(CONFIG, "prepare", {})
    assert enter_stage(CONFIG, "prepare", {})
    assert capsys.readouterr().out == ""
    runs.close_stage(stage_folder(CONFIG, "prepare"), {})
    assert not enter_stage(replace(CONFIG, run="another"), "prepare", {})
    assert capsys.readouterr().out == "prepare: data/prepared/d is complete\n"


@pytest.mark.usefixtures("ended")
def test_other_files_than_before_are_refused() -> None:
    finish(CONFIG, "prepare")
    enter_stage(CONFIG, "pretrain", {"weights": "abc"})
    (stage_folder(CONFIG, "pretrain") / "output").touch()
    with pytest.raises(InputError, match=r"inputs\.weights was abc, now xyz"):
        enter_stage(CONFIG, "pretrain", {"weights": "xyz"})


@pytest.mark.usefixtures("ended")
def test_other_prepared_data_under_the_same_name_are_refused() -> None:
    enter_stage(CONFIG, "prepare", {"genome": "abc"})
    runs.close_stage(stage_folder(CONFIG, "prepare"), {})
    finish(CONFIG, "pretrain")
    (stage_folder(CONFIG, "prepare") / runs.DONE).unlink()
    (stage_folder(CONFIG, "prepare") / runs.RECORD).unlink()
    enter_stage(CONFIG, "prepare", {"genome": "xyz"})
    runs.close_stage(stage_folder(CONFIG, "prepare"), {})
    with pytest.raises(InputError, match=r"runs/r/pretrain: .*inputs\.prepare was"):
        enter_stage(CONFIG, "pretrain", {})


def test_a_stage_at_work_keeps_others_out() -> None:
    enter_stage(CONFIG, "prepare", {})
    with pytest.raises(InputError, match="another process is writing here"):
        enter_stage(CONFIG, "prepare", {})
