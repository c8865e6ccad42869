"""A plan looks and times, and leaves everything as it was."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from simcsp import runs, storage
from simcsp.command_line import parse_config
from simcsp.config import FinetuneConfig, RunConfig
from simcsp.planning import plan
from simcsp.planning.plan import plan_page, stage_state
from simcsp.stages import stage_folder, stage_settings

TINY = Path(__file__).resolve().parents[1] / "configs" / "tiny.yaml"
MANIFEST = {
    "windows": 1000,
    "corpus nucleotides": 20_000,
    "split": {"windows per part": [200, 200, 200, 200, 200]},
}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    monkeypatch.setattr(runs, "ROOT", tmp_path)
    return parse_config("", ["--config", str(TINY)])


def finish(config: RunConfig, stage: str) -> None:
    folder = stage_folder(config, stage)
    runs.open_stage(folder, stage_settings(config, stage), {})
    runs.close_stage(folder, {})


def tree(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): storage.sha256(path) if path.is_file() else "folder"
        for path in folder.rglob("*")
    }


def test_stages_are_found_as_they_are(config: RunConfig) -> None:
    assert stage_state(config, "pretrain") == "to do"
    finish(config, "pretrain")
    assert stage_state(config, "pretrain") == "finished"
    assert stage_state(replace(config, seed=5), "pretrain") == (
        "refused, its folder holds other settings: settings.seed was 0, now 5"
    )
    (stage_folder(config, "pretrain") / runs.DONE).unlink()
    assert stage_state(config, "pretrain") == "to go on with"


def test_the_plan_counts_what_is_prepared_times_real_steps_and_writes_nothing(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    finish(config, "prepare")
    (stage_folder(config, "prepare") / "manifest.json").write_text(json.dumps(MANIFEST))
    before = tree(tmp_path)
    monkeypatch.setattr(sys, "argv", ["report.py", "--config", str(TINY), "--dry-run"])
    with pytest.raises(SystemExit) as exit_:
        parse_config("", stage="report")
    assert exit_.value.code == 0
    assert tree(tmp_path) == before
    said = capsys.readouterr().out
    lines = {line.split()[0]: line for line in said.splitlines() if line.startswith("  ") and line.split()[0] in said}
    assert "finished" in lines["prepare"]
    assert "baseline: 20 steps of 16 windows, 13,440 tokens, measured 3 times; about" in lines["pretrain"]
    assert "2 folds × 4 initialisations, 192 steps of 16 windows at most; about" in lines["finetune"]
    assert "about" in lines["encoders"]
    assert re_total(said)


def re_total(said: str) -> bool:
    (line,) = (line for line in said.splitlines() if line.startswith("Left: about"))
    return "not known" not in line and "are free" in line


def test_nothing_is_timed_where_nothing_is_left(config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "measured_rates", None)  # a call would fail
    finish(config, "prepare")
    (stage_folder(config, "prepare") / "manifest.json").write_text(json.dumps(MANIFEST))
    assert plan_page(config, "prepare").endswith("Nothing is left to do.")


def test_a_checkpoint_that_is_not_here_is_not_fetched(config: RunConfig) -> None:
    tuned = FinetuneConfig(initialisations=("baseline",))
    asked = replace(config, encoder=replace(config.encoder, init="510nt"), finetune=tuned)
    said = plan_page(asked, "pretrain")
    assert "baseline: 20 steps of 16 windows" in said
    assert "not known yet" in said
