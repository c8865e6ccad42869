import sys
from pathlib import Path

import pytest

import compare
from simcsp import runs
from simcsp.config import BudgetConfig, RunConfig, StudyConfig
from simcsp.errors import InputError

BUDGETS = (BudgetConfig(labels=200, epochs=9, batch_size=8), BudgetConfig(labels=0, epochs=2, batch_size=32))


def test_plan_gives_every_seed_its_split_and_every_budget_its_run() -> None:
    config = RunConfig(run="s", study=StudyConfig(seeds=(4, 7), budgets=BUDGETS))
    lines = list(compare.plan(config))
    assert len(lines) == 4
    assert lines[1] == (
        "--run s-4-all --pretrained s-4 --seed 4 --split.seed 4 --data.name demo-split-4 --finetune.labels 0 "
        "--finetune.epochs 2 --finetune.batch_size 32 --finetune.validation 0"
    )
    assert lines[2].startswith("--run s-7-200 --pretrained s-7 --seed 7")


def test_a_study_can_share_the_pretraining_of_another() -> None:
    config = RunConfig(run="frozen", pretrained="s", study=StudyConfig(seeds=(4,), budgets=BUDGETS))
    assert next(compare.plan(config)).startswith("--run frozen-4-200 --pretrained s-4 --seed 4")


def test_a_study_without_budgets_is_refused() -> None:
    with pytest.raises(InputError, match=r"no study\.budgets"):
        list(compare.plan(RunConfig()))


def test_runs_must_have_been_evaluated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(runs, "ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["compare.py", "runs", "both", "one", "two"])
    with pytest.raises(InputError, match=r"runs/one: there is no such run\. Evaluated runs: none"):
        compare.main()
    (tmp_path / "runs" / "one").mkdir(parents=True)
    with pytest.raises(InputError, match="runs/one: this run has not been evaluated"):
        compare.main()
    monkeypatch.setattr(sys, "argv", ["compare.py", "runs", "both", "one"])
    with pytest.raises(InputError, match="too few runs"):
        compare.main()
