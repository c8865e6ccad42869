"""run.sh: help, setup, demo and test; .ci/run."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml  # type: ignore[import-untyped]
from packaging.specifiers import SpecifierSet

if TYPE_CHECKING:
    from tests.shell.conftest import Machine

ROOT = Path(__file__).resolve().parents[2]


def test_help_lists_every_command(machine: Machine) -> None:
    commands = re.findall(r"^  ([a-z]+)\) ", (ROOT / "run.sh").read_text(), flags=re.MULTILINE)
    listed = machine.bash("run.sh", "help")
    assert listed.returncode == 0
    assert len(commands) >= 6
    assert [name for name in commands if name != "start" and f"\n  {name} " not in listed.stdout] == []


def test_unknown_command_is_one_sentence_and_status_2(machine: Machine) -> None:
    done = machine.bash("run.sh", "demmo")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == 'run.sh: there is no command "demmo"; `bash run.sh help` lists them.\n'


@pytest.mark.parametrize("command", ["demo", "experiment", "search", "study"])
def test_help_behind_a_command_is_the_usage_and_runs_nothing(machine: Machine, command: str) -> None:
    done = machine.bash("run.sh", command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: bash run.sh")
    assert machine.calls() == []


@pytest.mark.parametrize("command", ["start", "setup", "tensorboard"])
def test_what_takes_no_arguments_refuses_them(machine: Machine, command: str) -> None:
    done = machine.bash("run.sh", command, "--port", "7007")
    assert (done.returncode, done.stderr) == (1, f"run.sh: {command} takes no arguments, but was given: --port 7007.\n")
    assert machine.calls() == []


def test_setup_installs_once_until_a_pin_changes(machine: Machine) -> None:
    assert machine.bash("run.sh", "setup").returncode == 0
    torch, package = machine.calls("python [-m] [pip]")
    assert "[torch==" in torch
    assert package.endswith("[--constraint] [constraints.txt] [--editable] [.]")
    machine.forget()
    assert machine.bash("run.sh", "setup").stdout == ""
    assert machine.calls() == []
    with (machine.checkout / "constraints.txt").open("a") as pins:
        pins.write("new==1.0\n")
    assert machine.bash("run.sh", "setup").returncode == 0
    assert len(machine.calls("python3 [-m] [venv]")) == 1


@pytest.mark.parametrize("step", ["*-m venv*", "*torch==*", "*--editable*"])
def test_interrupted_setup_is_done_again_from_the_start(machine: Machine, step: str) -> None:
    assert machine.bash("run.sh", "setup", FAIL=step).returncode == 7
    (machine.checkout / ".venv/half-installed").touch()
    machine.forget()
    assert machine.bash("run.sh", "setup").returncode == 0
    assert len(machine.calls("python3 [-m] [venv]")) == 1
    assert not (machine.checkout / ".venv/half-installed").exists()


def test_setup_keeps_an_environment_it_did_not_make(machine: Machine) -> None:
    (machine.checkout / ".venv").mkdir()
    (machine.checkout / ".venv/mine").touch()
    done = machine.bash("run.sh", "setup")
    assert done.returncode == 1
    assert ".venv was not made by run.sh" in done.stderr
    assert (machine.checkout / ".venv/mine").exists()


@pytest.mark.parametrize(
    ("system", "gpu", "fail", "from_cpu_index"),
    [
        ("Linux", False, "", True),
        ("Linux", True, "", False),
        ("Linux", False, "*urllib*", False),  # the index cannot be reached
        ("Darwin", False, "", False),
    ],
)
def test_cpu_build_of_torch_is_for_linux_without_gpu(
    machine: Machine, *, system: str, gpu: bool, fail: str, from_cpu_index: bool
) -> None:
    machine.add("uname", f"#!/usr/bin/env bash\necho {system}\n")
    if gpu:
        machine.add("nvidia-smi")
    assert machine.bash("run.sh", "setup", FAIL=fail).returncode == 0
    torch = machine.calls("python [-m] [pip]")[0]
    assert ("[--extra-index-url] [https://download.pytorch.org/whl/cpu]" in torch) is from_cpu_index


def test_unsuitable_python_is_one_sentence_with_the_versions_found(machine: Machine) -> None:
    machine.add("python3.11", "#!/usr/bin/env bash\necho 3.14\n")
    done = machine.bash("run.sh", "setup", VERSION="3.9")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "python3 is 3.9, python3.11 is 3.14" in done.stderr
    assert not (machine.checkout / ".venv").exists()


def test_demo_goes_through_every_stage(machine: Machine) -> None:
    done = machine.bash("run.sh", "demo")
    assert done.returncode == 0, done.stderr
    stages = [call.split(".py]")[0] for call in machine.calls("python [src/")]
    assert stages == [f"python [src/{stage}" for stage in ALL]


def stages_of(machine: Machine) -> list[str]:
    """Stage and run of every call of a script in src/."""
    found = [
        re.search(r"\[src/(\w+)\.py\](?: \[(plan)\])?(?:.*\[--run\] \[(\S+)\])?", call) for call in machine.calls()
    ]
    return [" ".join(filter(None, match.groups())) for match in found if match]


ALL = ("prepare", "pretrain", "embed", "finetune", "evaluate", "report")


def test_experiment_is_both_scripts_on_one_configuration(machine: Machine) -> None:
    done = machine.bash("run.sh", "experiment", "configs/experiments/exp1.yaml", "--run", "mine")
    assert done.returncode == 0, done.stderr
    assert stages_of(machine) == [f"{stage} mine" for stage in ALL]
    assert all("[configs/experiments/exp1.yaml]" in call for call in machine.calls("python [src/"))


def test_search_follows_pretraining(machine: Machine) -> None:
    assert machine.bash("run.sh", "search", "configs/experiments/exp2.yaml").returncode == 0
    assert stages_of(machine) == ["prepare", "pretrain", "embed", "search"]


def test_a_dry_run_asks_for_plans_and_runs_nothing(machine: Machine) -> None:
    for command, asked in (("demo", "report"), ("experiment", "report"), ("search", "search"), ("study", "compare")):
        machine.forget()
        given = [] if command == "demo" else ["configs/experiments/answer.yaml"]
        done = machine.bash("run.sh", command, *given, "--dry-run")
        assert done.returncode == 0, done.stderr
        assert stages_of(machine) == [asked]
        assert all("[--dry-run]" in call for call in machine.calls("python [src/"))


def test_study_goes_through_its_plan_then_compares(machine: Machine) -> None:
    plan = "case $call in *'compare.py plan'*) echo --run answer-0-200; echo --run answer-0-all ;; esac\n"
    machine.add("python3", (machine.programs / "python3").read_text() + plan)
    assert machine.bash("run.sh", "study", "configs/experiments/answer.yaml").returncode == 0
    every = [f"{stage} {run}" for run in ("answer-0-200", "answer-0-all") for stage in ALL]
    assert stages_of(machine) == ["compare plan", *every, "compare"]


def test_study_stops_at_the_first_failure(machine: Machine) -> None:
    plan = "case $call in *'compare.py plan'*) echo --run answer-0-200; echo --run answer-0-all ;; esac\n"
    machine.add("python3", (machine.programs / "python3").read_text() + plan)
    assert machine.bash("run.sh", "study", "configs/experiments/answer.yaml", FAIL="*finetune.py*").returncode == 7
    started = ["prepare", "pretrain", "embed", "finetune"]
    assert stages_of(machine) == ["compare plan", *(f"{stage} answer-0-200" for stage in started)]


@pytest.mark.parametrize("command", ["experiment", "search", "study"])
def test_what_needs_a_configuration_says_so(machine: Machine, command: str) -> None:
    done = machine.bash("run.sh", command)
    assert done.returncode == 1
    assert done.stderr == f"run.sh: {command} needs a configuration, for instance configs/experiments/exp1.yaml.\n"
    assert machine.calls() == []


CHECKS = [
    "ruff [check]",
    "ruff [format] [--check]",
    "mypy",
    "shellcheck",
    "hadolint [Dockerfile]",
    "check-jsonschema [--quiet] [--builtin-schema] [vendor.github-workflows] [.github/workflows/check.yml]",
    "check-jsonschema [--quiet] [--builtin-schema] [vendor.citation-file-format] [CITATION.cff]",
    "python [-m] [pytest] [-k] [one]",
]


@pytest.mark.parametrize(
    ("fail", "reached"),
    [
        ("", 8),
        ("ruff check*", 1),
        ("ruff format*", 2),
        ("mypy*", 3),
        ("shellcheck*", 4),
        ("hadolint*", 5),
        ("*github-workflows*", 6),
        ("*citation*", 7),
    ],
)
def test_checks_run_in_order_and_stop_at_the_first_failure(machine: Machine, fail: str, reached: int) -> None:
    done = machine.bash("run.sh", "test", "-k", "one", FAIL=fail)
    assert done.returncode == (7 if fail else 0)
    assert machine.calls("python [-m] [pip]")[-1].endswith("[.[test]]")
    tools = ("ruff", "mypy", "shellcheck", "hadolint", "check-jsonschema", "python [-m] [pytest")
    ran = [call for call in machine.calls() if call.startswith(tools)]
    assert len(ran) == reached
    assert all(call.startswith(check) for call, check in zip(ran, CHECKS, strict=False))


def test_demo_does_not_undo_the_test_tools(machine: Machine) -> None:
    assert machine.bash("run.sh", "test").returncode == 0
    machine.forget()
    assert machine.bash("run.sh", "setup").returncode == 0
    assert machine.calls() == []


def test_ci_runs_the_tests_without_input(machine: Machine) -> None:
    (machine.checkout / "run.sh").write_text('echo "$* $CI $(cat)."\n')
    assert machine.bash(".ci/run", typed="no").stdout == "test true .\n"
    assert machine.bash(".ci/run", "--cov").stdout == "test --cov true .\n"


def test_workflow_is_ci_run_on_every_python() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/check.yml").read_text())
    (job,) = workflow["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == ["bash .ci/run --cov"]
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step["uses"]) for step in job["steps"] if "uses" in step)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pythons = SpecifierSet(project["requires-python"])
    assert job["strategy"]["matrix"]["python"] == [f"3.{n}" for n in range(30) if f"3.{n}" in pythons]


def test_doctor_takes_what_is_there(machine: Machine) -> None:
    assert machine.bash("run.sh", "doctor").returncode == 0
    assert machine.calls()[-1] == "python3 [src/doctor.py]"
    assert not (machine.checkout / ".venv").exists()
    machine.bash("run.sh", "setup")
    assert machine.bash("run.sh", "doctor", "configs/human.yaml", "--seed", "1").returncode == 0
    assert machine.calls()[-1] == "python [src/doctor.py] [--config] [configs/human.yaml] [--seed] [1]"
    assert machine.bash("run.sh", "doctor", PYTHON="python3").returncode == 0
    assert machine.calls()[-1] == "python3 [src/doctor.py]"


def test_doctor_ends_with_the_status_of_its_checks(machine: Machine) -> None:
    assert machine.bash("run.sh", "doctor", FAIL="*doctor.py*").returncode == 7
