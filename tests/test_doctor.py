"""src/doctor.py: one line per check, status 1 if one of them is a problem, also where packages are missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from simcsp.diagnosis import command
from simcsp.diagnosis.command import diagnose
from simcsp.diagnosis.finding import Finding, Level
from simcsp.diagnosis.trial import Trial
from simcsp.errors import InputError
from simcsp.model import splicebert

ROOT = Path(__file__).resolve().parents[1]


def doctor(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *options, ROOT / "src" / "doctor.py"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_without_any_package_it_says_which_are_missing() -> None:
    done = doctor("-S", PYTHONPATH="")  # Python without site-packages
    assert (done.returncode, done.stderr) == (1, "")
    (line,) = done.stdout.splitlines()
    assert line.startswith("problem  packages ")
    assert " lacks torch, transformers, " in line
    assert "bash run.sh setup" in line


def test_package_that_cannot_be_loaded_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise OSError('libcudart.so.13: cannot open shared object file')")
    done = doctor(PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stderr) == (1, "")
    assert "cannot be loaded: libcudart.so.13: cannot open shared object file. Delete .venv" in done.stdout


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No training, nothing asked of docker or of the machine; an empty folder."""
    monkeypatch.setattr(command, "train_briefly", lambda *settings: Trial(1000, 20, 5.0, 4000.0))
    monkeypatch.setattr(command, "container", lambda: Finding(Level.OK, "container", "none"))
    monkeypatch.setattr(command, "device", lambda accelerator: Finding(Level.OK, "device", "cpu"))
    monkeypatch.setattr(command, "memory", lambda accelerator: [Finding(Level.OK, "memory", "enough")])
    monkeypatch.setattr(command, "disk", lambda folder, name: Finding(Level.OK, "disk", "enough"))
    monkeypatch.setattr(sys, "argv", ["doctor.py"])
    return tmp_path


def test_all_is_well(quick: Path, capsys: pytest.CaptureFixture[str]) -> None:
    diagnose("")
    *lines, summary = capsys.readouterr().out.splitlines()
    checks = [line.split()[1] for line in lines]
    expected = ["Python", "packages", "device", "memory", "disk", "disk", "disk", "data", "container", "training"]
    assert checks == expected
    assert lines[-1].endswith("20 steps of MLM and SimCSP with 1,000 parameters in 5.0 s: 4,000 tokens/s")
    assert summary.endswith("problems: 0, warnings: 0. SimCSP works here.")


def test_a_checkpoint_that_would_be_fetched_is_named(
    quick: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(splicebert, "_RAW", quick)
    monkeypatch.setattr(sys, "argv", ["doctor.py", "--encoder.init", "510nt"])
    diagnose("")
    assert "4,000 tokens/s (from scratch: 510nt is not here yet)" in capsys.readouterr().out


def test_missing_data_end_in_an_error_after_all_checks(
    quick: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--config", str(ROOT / "configs" / "human.yaml"), "--data.root", str(quick)]
    monkeypatch.setattr(sys, "argv", ["doctor.py", *arguments])
    with pytest.raises(InputError, match=r"problems: \d+, .* Mend what is called a problem"):
        diagnose("")
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("problem  data ") and "hg38.chr1.partial.fa.gz" in line for line in lines)
    assert lines[-1].startswith("ok       training ")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (RuntimeError("CUDA error: no kernel image is available\nfor execution"), "no kernel image is available"),
        (InputError("the loss is nan at step 1", hint="Lower the learning rate"), "the loss is nan at step 1"),
        (OSError(28, "No space left on device"), "No space left on device"),
    ],
)
def test_training_that_fails_is_a_problem(
    error: Exception, says: str, quick: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*settings: object) -> Trial:
        raise error

    monkeypatch.setattr(command, "train_briefly", fail)
    with pytest.raises(InputError, match="problems: 1,"):
        diagnose("")
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith("problem  training ")
    assert says in line
