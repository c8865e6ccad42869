"""run.sh: container, TensorBoard and shell."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.shell.conftest import Machine

ROOT = Path(__file__).resolve().parents[2]


def test_container_sees_gpus_shared_memory_and_the_checkout_as_the_caller(gpu_machine: Machine) -> None:
    done = gpu_machine.bash("run.sh")
    assert done.returncode == 0, done.stderr
    (call,) = gpu_machine.calls("docker [run]")
    here = gpu_machine.checkout
    for expected in (
        "[--detach]",
        "[--name] [simcsp]",
        "[--gpus] [all]",
        "[--ipc=host]",
        "[--user] [1234:5678]",
        "[--publish] [127.0.0.1:6006:6006]",
        *(f"[--volume] [{here}/{room}:/workspace/{room}]" for room in ("data", "runs", "configs", "src")),
    ):
        assert expected in call
    assert all((here / room).is_dir() for room in ("data", "runs", "configs"))  # docker would make them as root
    assert "http://127.0.0.1:6006/#custom_scalars&_smoothingWeight=0\n" in done.stdout
    assert "bash run.sh shell" in done.stdout


def image_run(machine: Machine) -> str:
    machine.forget()
    assert machine.bash("run.sh", INSPECT_STATUS="0").returncode == 0
    found = re.search(r"\[(simcsp:[0-9a-f]{12})\]$", machine.calls("docker [run]")[0])
    assert found
    return found.group(1)


def test_image_is_built_when_it_is_missing_and_only_then(gpu_machine: Machine) -> None:
    assert gpu_machine.bash("run.sh").returncode == 0
    (build,) = gpu_machine.calls("docker [build]")
    image = image_run(gpu_machine)
    assert build == f"docker [build] [--tag] [{image}] [.]"
    assert gpu_machine.calls("docker [build]") == []


@pytest.mark.parametrize(
    ("file", "renews"),
    [("Dockerfile", True), ("pyproject.toml", True), ("constraints.txt", True), ("src/new.py", False)],
)
def test_image_changes_with_what_it_is_made_from(gpu_machine: Machine, *, file: str, renews: bool) -> None:
    before = image_run(gpu_machine)
    (gpu_machine.checkout / "src").mkdir(exist_ok=True)
    with (gpu_machine.checkout / file).open("a") as changed:
        changed.write("\n")
    assert (image_run(gpu_machine) != before) is renews


@pytest.mark.parametrize(("older", "says"), [(False, "already running"), (True, "docker rm -f simcsp")])
def test_running_container_is_left_alone(gpu_machine: Machine, *, older: bool, says: str) -> None:
    running = "simcsp:000000000000" if older else image_run(gpu_machine)
    gpu_machine.forget()
    done = gpu_machine.bash("run.sh", RUNNING=running)
    assert done.returncode == 0
    assert says in done.stdout
    assert not any(gpu_machine.calls(f"docker [{verb}]") for verb in ("run", "rm", "build"))


def without_docker(machine: Machine) -> dict[str, str]:
    (machine.programs / "docker").unlink()
    return {}


def without_gpu(machine: Machine) -> dict[str, str]:
    (machine.programs / "nvidia-smi").unlink()
    return {}


@pytest.mark.parametrize(
    ("lose", "reason"),
    [
        (without_docker, "docker is not installed"),
        (without_gpu, "no NVIDIA GPU was found"),
        (lambda _: {"INFO_STATUS": "1"}, "docker does not answer"),
        (lambda _: {"RUNTIMES": '{"runc":{}}'}, "docker lacks the NVIDIA container toolkit"),
    ],
)
def test_without_container_one_sentence_says_why_and_tensorboard_starts_here(
    gpu_machine: Machine, lose: Callable[[Machine], dict[str, str]], reason: str
) -> None:
    environment = lose(gpu_machine)
    assert gpu_machine.bash("run.sh", "setup").returncode == 0
    done = gpu_machine.bash("run.sh", **environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == (
        f"No container, because {reason}: TensorBoard is started from .venv instead."
    )
    assert gpu_machine.calls("tensorboard") == [
        "tensorboard [--logdir] [runs] [--host] [127.0.0.1] [--port] [6006] [--samples_per_plugin] [images=100]"
    ]
    assert gpu_machine.calls("docker [run]") == []


@pytest.mark.parametrize(
    ("lose", "reason"),
    [
        (without_gpu, "no NVIDIA GPU was found"),
        (lambda _: {"RUNTIMES": '{"runc":{}}'}, "docker lacks the NVIDIA container toolkit"),
    ],
)
def test_container_that_is_asked_for_does_without_a_gpu(
    gpu_machine: Machine, lose: Callable[[Machine], dict[str, str]], reason: str
) -> None:
    environment = lose(gpu_machine)
    done = gpu_machine.bash("run.sh", "container", **environment)
    assert done.returncode == 0, done.stderr
    assert f"The container gets no GPU, because {reason}.\n" in done.stdout
    (call,) = gpu_machine.calls("docker [run]")
    assert "[--gpus]" not in call
    assert "[--ipc=host]" not in call
    assert "[--publish] [127.0.0.1:6006:6006]" in call


def test_container_that_is_asked_for_gets_the_gpus(gpu_machine: Machine) -> None:
    assert gpu_machine.bash("run.sh", "container").returncode == 0
    (call,) = gpu_machine.calls("docker [run]")
    assert "[--gpus] [all] [--ipc=host]" in call


@pytest.mark.parametrize(
    ("lose", "reason"),
    [(without_docker, "docker is not installed"), (lambda _: {"INFO_STATUS": "1"}, "docker does not answer")],
)
def test_container_that_cannot_be_had_is_one_sentence(
    gpu_machine: Machine, lose: Callable[[Machine], dict[str, str]], reason: str
) -> None:
    environment = lose(gpu_machine)
    done = gpu_machine.bash("run.sh", "container", **environment)
    assert done.returncode == 1
    assert done.stderr == f"run.sh: there can be no container, because {reason}.\n"
    checked = gpu_machine.bash("run.sh", "container", "check", **environment)
    assert (checked.returncode, checked.stdout) == (0, f"{reason}\n")


def test_container_that_is_mistyped_starts_nothing(gpu_machine: Machine) -> None:
    done = gpu_machine.bash("run.sh", "container", "chekc")
    assert (done.returncode, done.stderr) == (1, 'run.sh: container takes nothing or "check", but was given: chekc.\n')
    assert gpu_machine.calls("docker") == []


def test_check_of_the_container_starts_nothing(gpu_machine: Machine) -> None:
    checked = gpu_machine.bash("run.sh", "container", "check")
    assert (checked.returncode, checked.stdout.strip()) == (0, "")
    assert {call.split("]")[0] for call in gpu_machine.calls("docker")} == {"docker [info"}


def test_development_container_is_the_same_image_with_the_test_tools() -> None:
    folder = ROOT / ".devcontainer"
    settings = json.loads((folder / "devcontainer.json").read_text())
    build = settings["build"]
    assert (folder / build["dockerfile"]).resolve() == ROOT / "Dockerfile"
    assert (folder / build["context"]).resolve() == ROOT
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert all(f"ARG {name}=" in dockerfile for name in build["args"])
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(build["args"]["EXTRAS"].strip("[]").split(",")) <= set(extras)
    assert f"WORKDIR {settings['workspaceFolder']}\n" in dockerfile
    assert f'useradd --uid 10001 --home-dir "$HOME" --create-home {settings["remoteUser"]} ' in dockerfile
    assert settings["hostRequirements"] == {"gpu": "optional"}
    assert not any("--gpus" in argument for argument in settings["runArgs"])


def test_tensorboard_inside_the_container_answers_the_published_port(machine: Machine) -> None:
    machine.add("tensorboard")
    assert machine.bash("run.sh", "tensorboard", SIMCSP_CONTAINER="1").returncode == 0
    assert machine.calls() == [
        "tensorboard [--logdir] [runs] [--bind_all] [--port] [6006] [--samples_per_plugin] [images=100]"
    ]


def test_shell_runs_a_command_in_the_container_or_else_in_the_environment(gpu_machine: Machine) -> None:
    assert gpu_machine.bash("run.sh", "shell", "python", "-V", RUNNING="simcsp:1").returncode == 0
    assert gpu_machine.calls("docker [exec]") == ["docker [exec] [--interactive] [simcsp] [python] [-V]"]
    assert gpu_machine.bash("run.sh", "shell", "python", "-V").returncode == 0
    assert gpu_machine.calls("python [-V]") == ["python [-V]"]
