"""What a plan says, of a run and of a study."""

import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

import compare
from simcsp import runs, storage
from simcsp.command_line import parse_config
from simcsp.config import FinetuneConfig, RunConfig
from simcsp.planning import plan
from simcsp.planning.page import run_page
from simcsp.planning.rates import Rates
from simcsp.stages import stage_folder

TINY = str(Path(__file__).resolve().parents[1] / "configs" / "tiny.yaml")
Finish = Callable[..., None]
Prepare = Callable[..., None]


def tree(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): storage.sha256(path) if path.is_file() else "folder"
        for path in folder.rglob("*")
    }


def lines_of(said: str) -> dict[str, str]:
    """Stage → its line, with one bar between columns."""
    lines = [re.split(" {2,}", line.strip()) for line in said.splitlines() if re.match("  [a-z]", line)]
    return {stage: " | ".join(columns) for stage, *columns in lines}


def test_the_plan_counts_what_is_prepared_times_real_steps_and_writes_nothing(
    config: RunConfig,
    prepare: Prepare,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    prepare(config)
    before = tree(tmp_path)
    monkeypatch.setattr(sys, "argv", ["report.py", "--config", TINY, "--precision", "fp32", "--dry-run"])
    with pytest.raises(SystemExit) as exit_:
        parse_config("", stage="report")
    assert exit_.value.code == 0
    assert tree(tmp_path) == before
    said = capsys.readouterr().out
    lines = lines_of(said)
    assert lines["prepare"].startswith("finished | ")
    assert re.match(
        r"to do \| about .* s \| baseline: 20 steps of 16 windows, 13,440 tokens, measured 3", lines["pretrain"]
    )
    assert re.match(
        r"to do \| about .* \| 2 folds × 4 initialisations, 192 steps of 16 windows at most$", lines["finetune"]
    )
    assert "to do | about" in lines["encoders"]
    (total,) = (line for line in said.splitlines() if line.startswith("Left: about"))
    assert "not known" not in total


def test_nothing_is_timed_where_nothing_is_left(
    config: RunConfig, prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "measured_rates", None)  # a call would fail
    prepare(config)
    assert run_page(config, "prepare").text.endswith("Nothing is left to do.")


def test_what_is_refused_is_not_left(config: RunConfig, prepare: Prepare, finish: Finish) -> None:
    prepare(config)
    finish(config, "pretrain")
    said = run_page(replace(config, seed=5), "pretrain").text
    assert "\nNothing is left to do, but for the folder that is refused.\nRefused: /" in said
    assert run_page(replace(config, seed=5), "pretrain").refused
    assert not run_page(config, "pretrain").refused
    assert "Times are" not in said


@pytest.mark.usefixtures("rates")
def test_what_was_begun_is_counted_in_full_and_says_so(config: RunConfig, prepare: Prepare, finish: Finish) -> None:
    prepare(config)
    before = run_page(config, "pretrain").text
    assert "counted in full" not in before
    finish(config, "pretrain")
    (stage_folder(config, "pretrain") / runs.DONE).rename(stage_folder(config, "pretrain") / "metrics.jsonl")
    after = run_page(config, "pretrain").text
    assert "\nWhat is to go on with is counted in full.\n" in after
    assert lines_of(after)["pretrain"].split(" | ")[1:] == lines_of(before)["pretrain"].split(" | ")[1:]


def test_a_checkpoint_that_is_not_here_is_not_fetched(config: RunConfig) -> None:
    tuned = FinetuneConfig(initialisations=("baseline",))
    asked = replace(config, encoder=replace(config.encoder, init="510nt"), finetune=tuned)
    said = run_page(asked, "pretrain").text
    assert "baseline: 20 steps of 16 windows" in said
    assert "not known yet" in said
    assert "Times are" not in said


@pytest.mark.usefixtures("rates")
def test_room_is_that_of_the_disks_that_stages_write_to(
    config: RunConfig, prepare: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``runs`` is a link to a disk of 5 GB, on which the run itself is a link to one of 7 GB."""
    prepare(config)
    free = {tmp_path: 9e9, tmp_path / "five": 5e9, tmp_path / "seven": 7e9}
    for name in ("five", "seven"):
        (tmp_path / name).mkdir()
    (tmp_path / "runs").symlink_to("five")
    monkeypatch.setattr(Path, "is_mount", lambda path: path in free)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free[path]))
    room = 2 * 12 * 1000 + 3 * 4 * 1000

    def said() -> str:
        return run_page(config, "pretrain").text

    assert f"; {room // 1000} kB of disk on {tmp_path}/five, where 5.0 GB are free.\n" in said()
    (tmp_path / "five" / "tiny").symlink_to(tmp_path / "seven")
    assert f"; {room // 1000} kB of disk on {tmp_path}/seven, where 7.0 GB are free.\n" in said()
    shutil.rmtree(stage_folder(config, "prepare"))
    assert (
        f"; 0 kB of disk on {tmp_path}, where 9.0 GB are free; {room // 1000} kB of disk on {tmp_path}/seven, "
        "where 7.0 GB are free.\n" in said()
    )


STUDY = """\
run: s
precision: fp32
study:
  seeds: [4, 7]
  budgets: [{labels: 100, epochs: 2, batch_size: 8}, {labels: 0, epochs: 2, batch_size: 16}]
"""


@pytest.fixture
def study(
    config: RunConfig,
    rates: Rates,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[[], str]:
    """What the dry run of a study of two seeds and two numbers of labels says."""
    file = tmp_path / "study.yaml"
    file.write_text(f"base: {TINY}\n{STUDY}")
    monkeypatch.setattr(sys, "argv", ["compare.py", "--config", str(file), "--dry-run"])

    def said() -> str:
        with pytest.raises(SystemExit) as ended:
            compare.main()
        printed = capsys.readouterr().out
        assert ended.value.code == int("\nRefused: " in printed)
        return printed

    return said


def member(config: RunConfig, seed: int) -> RunConfig:
    """A run of the study, as far as what it shares with the others of its seed goes."""
    return replace(
        config, run=f"s-{seed}-100", pretrained=f"s-{seed}", seed=seed,
        data=replace(config.data, name=f"tiny-split-{seed}"), split=replace(config.split, seed=seed),
    )  # fmt: skip


def test_before_anything_is_prepared_a_study_knows_its_steps(study: Callable[[], str]) -> None:
    said = study()
    assert said.startswith("Plan of study s, 4 runs, on cpu, ")
    lines = lines_of(said)
    assert lines["prepare"] == "2 to do | not known yet | each 1 × a simulated genome of 40 genes"
    assert re.match(r"2 to do \| about \d+ s \| each baseline: 20 steps of 16 windows, ", lines["pretrain"])
    assert lines["finetune"].startswith("4 to do | not known yet | ")
    assert lines["finetune"].endswith("steps are known once the data are prepared")


def test_a_study_counts_shared_encoders_once(study: Callable[[], str], config: RunConfig, prepare: Prepare) -> None:
    """Seed 4 is prepared, and 7 splits the same windows. Seconds by the made-up rates, as in test_plan.py.

    A pre-training: 16 of steps, 14 + 6 × 0.82 of measurements; three encoders: 14 + 3 × 1.8. Fine-tuning with 100
    labels: 4 initialisations × 2 folds × (24 steps × 8 windows × 0.05 + 1.6), with all: 8 × (24 × 16 × 0.04 + 1.6). An
    evaluation: 7 + 0.64.
    """
    prepare(member(config, 4))
    said = study()
    lines = lines_of(said)
    assert lines["prepare"] == "1 finished, 1 to do | not known yet"
    assert lines["pretrain"].startswith(f"2 to do | about {round(2 * 34.92)} s | ")
    assert lines["encoders"].startswith(f"2 to do | about {round(2 * 19.4)} s | ")
    assert lines["finetune"] == "4 to do | about 7.5 minutes"
    assert lines["evaluation"].startswith("4 to do | about 31 s | ")
    assert lines["report"].startswith("4 to do | about 40 s | ")
    room = 2 * 36_000 + 2 * 76_800 + 4 * 863_200  # as in test_plan.py
    assert f"Left: about 10.5 minutes and what is not known yet; {room / 1e6:.1f} MB of disk on /" in said


def test_a_study_says_what_is_done_and_what_is_refused(
    study: Callable[[], str], config: RunConfig, prepare: Prepare, finish: Finish
) -> None:
    for seed in (4, 7):
        prepare(member(config, seed))
    finish(member(config, 7), "pretrain")
    finish(member(config, 7), "encoders")
    finish(replace(member(config, 4), seed=5), "pretrain")
    said = study()
    assert lines_of(said)["pretrain"].startswith("1 refused, 1 finished | each baseline: ")
    assert lines_of(said)["encoders"].startswith("1 to do, 1 finished | about ")
    assert "\nLeft, but for the folder that is refused: about " in said
    assert said.splitlines()[-1].endswith(
        "runs/s-4/pretrain: holds the output of other settings: settings.seed was 5, now 4. Give the settings "
        "that it was made with, choose another --run without --pretrained, or delete this folder."
    )
