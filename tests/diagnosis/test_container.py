import subprocess
from pathlib import Path
from typing import Any

import pytest

from simcsp import runs
from simcsp.diagnosis.container import container
from simcsp.diagnosis.finding import Level


@pytest.fixture
def answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run.sh to be written, outside of the container."""
    monkeypatch.setattr(runs, "ROOT", tmp_path)
    monkeypatch.delenv("SIMCSP_CONTAINER", raising=False)
    return tmp_path / "run.sh"


def test_what_run_sh_lacks_is_handed_on(answer: Path) -> None:
    answer.write_text('[[ $* == "container check" ]] && echo "docker does not answer"')
    assert container().text == "not used, because docker does not answer: everything runs in .venv as well"


@pytest.mark.parametrize("gpu", [False, True])
def test_lack_matters_only_with_a_gpu(answer: Path, tmp_path: Path, *, gpu: bool, monkeypatch: Any) -> None:
    answer.write_text("echo docker is not installed")
    if gpu:
        (tmp_path / "nvidia-smi").touch(mode=0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert container().level is (Level.WARNING if gpu else Level.OK)


def test_nothing_lacks(answer: Path) -> None:
    answer.write_text("echo")
    assert container().level is Level.OK


def test_docker_that_hangs_does_not_keep_the_doctor(answer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer.write_text("sleep 20")
    monkeypatch.setattr("simcsp.diagnosis.container._WAIT", 0.2)
    found = container()
    assert found.level is Level.WARNING
    assert "timed out" in found.text


def test_inside_there_is_nothing_to_look_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMCSP_CONTAINER", "1")
    monkeypatch.setattr(subprocess, "run", None)
    assert container().level is Level.OK
