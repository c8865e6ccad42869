"""pretrain.sh and finetune.sh; how they and the commands of run.sh are stopped."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.shell.conftest import Machine

STAGES = {"pretrain.sh": ("prepare", "pretrain", "embed"), "finetune.sh": ("finetune", "evaluate", "report")}
ALL = (*STAGES["pretrain.sh"], *STAGES["finetune.sh"])
RUN_SH = {
    "run.sh demo": ALL,
    "run.sh experiment configs/my.yaml": ALL,
    "run.sh search configs/my.yaml": (*STAGES["pretrain.sh"], "search"),
    "run.sh study configs/my.yaml": ("compare", *ALL),  # it asks for its plan first
}
COMMANDS = {**STAGES, **RUN_SH}


@pytest.mark.parametrize("script", STAGES)
def test_config_and_overrides_reach_every_stage_in_order(machine: Machine, script: str) -> None:
    done = machine.bash(script, "configs/my set.yaml", "--train.steps=5", "--name=two words", PYTHON="python3")
    assert done.returncode == 0, done.stderr
    assert machine.calls("python3 [src/") == [
        f"python3 [src/{stage}.py] [--config] [configs/my set.yaml] [--train.steps=5] [--name=two words]"
        for stage in STAGES[script]
    ]


@pytest.mark.parametrize("script", STAGES)
@pytest.mark.parametrize("overrides", [(), ("--train.steps=5",)])
def test_config_is_the_demo_unless_named(machine: Machine, script: str, overrides: tuple[str, ...]) -> None:
    assert machine.bash(script, *overrides).returncode == 0
    rest = "".join(f" [{override}]" for override in overrides)
    assert machine.calls("python3 [src/") == [
        f"python3 [src/{stage}.py] [--config] [configs/demo.yaml]{rest}" for stage in STAGES[script]
    ]


@pytest.mark.parametrize("script", STAGES)
def test_a_dry_run_asks_the_last_stage_for_the_plan_of_all(machine: Machine, script: str) -> None:
    assert machine.bash(script, "configs/my.yaml", "--seed=5", "--dry-run").returncode == 0
    assert machine.calls("python3 [src/") == [
        f"python3 [src/{STAGES[script][-1]}.py] [--config] [configs/my.yaml] [--seed=5] [--dry-run]"
    ]


@pytest.mark.parametrize("command", [*STAGES, *RUN_SH])
@pytest.mark.parametrize("word", ["--help-settings", "--print-config", "--print-config=skip_default"])
def test_settings_are_shown_once(machine: Machine, command: str, word: str) -> None:
    done = machine.bash(*command.split(), word, PYTHON="python3", SIMCSP_CONTAINER="yes")
    assert done.returncode == 0, done.stderr
    (call,) = machine.calls("python3 [src/")
    assert call.endswith(f".yaml] [{word}]")


@pytest.mark.parametrize("script", STAGES)
@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_is_the_head_of_the_script_and_starts_no_stage(machine: Machine, script: str, word: str) -> None:
    done = machine.bash(script, word, FAIL="*find_spec*")  # nothing has to be installed for it
    assert done.returncode == 0
    assert f"  bash {script} configs/my.yaml " in done.stdout
    assert "set -euo" not in done.stdout
    assert machine.calls("python3 [src/") == []


@pytest.mark.parametrize("script", STAGES)
def test_failing_first_stage_stops_the_chain_with_its_status(machine: Machine, script: str) -> None:
    first = STAGES[script][0]
    assert machine.bash(script, FAIL=f"*src/{first}.py*").returncode == 7
    assert [re.findall(r"src/(\w+)", call) for call in machine.calls("python3 [src/")] == [[first]]


@pytest.mark.parametrize("script", STAGES)
def test_missing_packages_are_one_sentence_that_names_setup(machine: Machine, script: str) -> None:
    done = machine.bash(script, FAIL="*find_spec*")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "bash run.sh setup" in done.stderr
    assert machine.calls("python3 [src/") == []


@pytest.mark.parametrize("script", STAGES)
def test_environment_of_the_checkout_comes_before_python3(machine: Machine, script: str) -> None:
    (machine.checkout / ".venv/bin").mkdir(parents=True)
    machine.add("python").rename(machine.checkout / ".venv/bin/python")
    assert machine.bash(script).returncode == 0
    assert len(machine.calls("python [src/")) == len(STAGES[script])
    assert machine.calls("python3") == []


# Stands in for a stage that runs until it is stopped; all others end at once.
STOPPABLE = """#!/usr/bin/env bash
[[ $1 == -c ]] && exit
echo "$1" >>"$LOG"
[[ $2 == plan ]] && echo --run one
[[ $1 == "src/$STAGE.py" ]] || exit 0
{on_term}
while :; do sleep 0.05; done
"""
SAVES = 'trap \'trap "" TERM; echo saved >>"$LOG"; echo Interrupted by the stage. >&2; sleep 0.2; exit 130\' TERM'


def stop(machine: Machine, command: str, stage: str, number: signal.Signals, *, group: bool) -> tuple[int, str]:
    """Send a signal to the script, or to all processes that it started, too, while a stage runs; status and stderr."""
    script, *arguments = command.split()
    # A test run in the background ignores SIGINT and would hand that on.
    start = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
    with subprocess.Popen(
        [sys.executable, "-c", start, str(machine.checkout / script), *arguments],
        env=machine.environment(STAGE=stage, SIMCSP_CONTAINER="yes"),  # where run.sh has nothing to set up
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        waited_until = time.monotonic() + 20
        while f"src/{stage}.py" not in machine.calls() and time.monotonic() < waited_until:
            time.sleep(0.02)
        time.sleep(0.1)  # the stage has to set its trap
        (os.killpg if group else os.kill)(process.pid, number)
        try:
            _, said = process.communicate(timeout=20)
        finally:
            with suppress(ProcessLookupError):  # it has ended, as it should
                os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, said


ANY_STAGE = [(script, stage) for script, stages in STAGES.items() for stage in stages]
LAST_STAGE = [(command, stages[-1]) for command, stages in RUN_SH.items()]


@pytest.mark.parametrize(("command", "stage"), [*ANY_STAGE, *LAST_STAGE])
@pytest.mark.parametrize(
    ("number", "group"),
    [(signal.SIGINT, True), (signal.SIGTERM, False), (signal.SIGTERM, True)],
    ids=["Ctrl-C", "SIGTERM to the script", "SIGTERM to all"],
)
def test_stopped_stage_saves_and_ends_the_script_with_130(
    machine: Machine, command: str, stage: str, number: signal.Signals, *, group: bool
) -> None:
    machine.add("python3", STOPPABLE.format(on_term=SAVES))
    status, said = stop(machine, command, stage, number, group=group)
    assert status == 130
    assert re.findall("Interrupted.*", said) == ["Interrupted by the stage."]
    started = COMMANDS[command][: COMMANDS[command].index(stage) + 1]
    assert machine.calls() == [*(f"src/{name}.py" for name in started), "saved"]


@pytest.mark.parametrize("command", [*STAGES, "run.sh demo"])
@pytest.mark.parametrize("on_term", ["", "trap 'exit 0' TERM", "trap 'exit 1' TERM"], ids=["dies", "ends", "fails"])
def test_script_says_how_to_go_on_where_the_stage_did_not(machine: Machine, command: str, on_term: str) -> None:
    machine.add("python3", STOPPABLE.format(on_term=on_term))
    first = COMMANDS[command][0]
    status, said = stop(machine, command, first, signal.SIGTERM, group=False)
    assert status == 130
    assert said == "Interrupted. Run the same command again to go on from what is finished.\n"
    assert machine.calls() == [f"src/{first}.py"]


@pytest.mark.parametrize("command", [*STAGES, "run.sh demo"])
def test_signal_before_the_first_stage_starts_none(machine: Machine, command: str) -> None:
    machine.add("python3", '#!/usr/bin/env bash\nkill -TERM "$PPID"\n')  # while packages are looked for
    done = machine.bash(*command.split(), SIMCSP_CONTAINER="yes")
    assert done.returncode == 130
    assert done.stderr == "Interrupted. Run the same command again to go on from what is finished.\n"


def test_signal_while_a_study_is_planned_starts_none(machine: Machine) -> None:
    machine.add("python3", '#!/usr/bin/env bash\necho "$1" >>"$LOG"\n[[ $2 != plan ]] || kill -TERM "$PPID" $$\n')
    done = machine.bash("run.sh", "study", "configs/my.yaml", SIMCSP_CONTAINER="yes")
    assert done.returncode == 130
    assert done.stderr == "Interrupted. Run the same command again to go on from what is finished.\n"
    assert machine.calls("src/") == ["src/compare.py"]
