"""pretrain.sh and finetune.sh."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.shell.conftest import Machine

STAGES = {"pretrain.sh": ("prepare", "pretrain"), "finetune.sh": ("finetune", "evaluate", "report")}


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


@pytest.mark.parametrize("script", STAGES)
def test_last_stage_takes_the_place_of_the_script(machine: Machine, script: str) -> None:
    machine.add("python3", '#!/usr/bin/env bash\n[[ $1 == -c ]] || echo "$$" >>"$LOG"\n')
    with subprocess.Popen([machine.checkout / script], env=machine.environment()) as process:
        process.wait(timeout=30)
    *earlier, last = (int(line) for line in machine.calls())
    assert last == process.pid
    assert process.pid not in earlier


@pytest.mark.parametrize("script", STAGES)
def test_interrupt_in_the_first_stage_ends_the_script_with_130(machine: Machine, script: str) -> None:
    # The stage answers Ctrl-C by ending in good order, which must not start the next one.
    stage = '[[ $1 == -c ]] && exit\ntrap "exit 0" INT\necho "$1" >>"$LOG"\nsleep 20\n'
    machine.add("python3", f"#!/usr/bin/env bash\n{stage}")
    # A test run in the background ignores SIGINT and would hand that on.
    start = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
    command = [sys.executable, "-c", start, str(machine.checkout / script)]
    with subprocess.Popen(command, env=machine.environment(), start_new_session=True) as process:
        waited_until = time.monotonic() + 20
        while not machine.calls() and time.monotonic() < waited_until:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=10) == 130
    assert machine.calls() == [f"src/{STAGES[script][0]}.py"]
