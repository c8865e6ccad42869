"""A copy of the checkout in which every program that a shell script calls is a recording stand-in."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ("run.sh", "pretrain.sh", "finetune.sh", "src/stages.sh", ".ci/run")
COPIED = (*SCRIPTS, "Dockerfile", ".dockerignore", "pyproject.toml", "constraints.txt", ".github/workflows/check.yml")
# All that the scripts may take for granted on a machine.
BASICS = ("bash", "cat", "cp", "cut", "dirname", "env", "head", "mkdir", "rm", "sha256sum", "shasum", "sleep")

# Stands in for Python and for what an environment holds: writes down each call, one argument in each pair of brackets.
RECORDER = """#!/usr/bin/env bash
name=${0##*/}
{ printf '%s' "$name"; printf ' [%s]' "$@"; echo; } >>"$LOG"
call="$name $*"
case $call in ${FAIL:-nothing}) exit 7 ;; esac
case $call in
  *version_info*) echo "${VERSION:-3.12}" ;;
  *"-m venv"*)
    mkdir -p .venv/bin
    for tool in python ruff mypy shellcheck hadolint check-jsonschema tensorboard; do cp "$0" ".venv/bin/$tool"; done ;;
esac
"""

DOCKER = """#!/usr/bin/env bash
{ printf 'docker'; printf ' [%s]' "$@"; echo; } >>"$LOG"
case $* in
  *SecurityOptions*) echo '[]' ;;
  info*) echo "${RUNTIMES-{\\"nvidia\\":{\\}\\}}"; exit "${INFO_STATUS:-0}" ;;
  ps*) echo "${RUNNING:-}" ;;
  "image inspect"*) exit "${INSPECT_STATUS:-1}" ;;
  port*) echo 127.0.0.1:6006 ;;
esac
"""


@dataclass
class Machine:
    """A checkout, and a folder of programs that is the whole PATH."""

    checkout: Path
    programs: Path
    log: Path

    def add(self, name: str, body: str = RECORDER) -> Path:
        program = self.programs / name
        program.write_text(body)
        program.chmod(0o755)
        return program

    def environment(self, **more: str) -> dict[str, str]:
        return {"PATH": str(self.programs), "LOG": str(self.log), **more}

    def bash(
        self, script: str, *arguments: str, typed: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.programs / "bash", self.checkout / script, *arguments],
            env=self.environment(**environment),
            cwd=self.checkout.parent,  # never the checkout itself: the scripts must find it
            input=typed,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def calls(self, start: str = "") -> list[str]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line for line in lines if line.startswith(start)]

    def forget(self) -> None:
        self.log.unlink(missing_ok=True)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path / "check out", tmp_path / "programs", tmp_path / "log")
    for name in COPIED:
        (made.checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, made.checkout / name)
    made.programs.mkdir()
    for tool in BASICS:
        if found := shutil.which(tool):
            (made.programs / tool).symlink_to(found)
    made.add("uname", "#!/usr/bin/env bash\necho Linux\n")
    made.add("id", "#!/usr/bin/env bash\n[[ $1 == -u ]] && echo 1234 || echo 5678\n")
    made.add("python3")
    return made


@pytest.fixture
def gpu_machine(machine: Machine) -> Machine:
    machine.add("nvidia-smi")
    machine.add("docker", DOCKER)
    return machine
