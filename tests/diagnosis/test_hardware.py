import os
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from accelerate import Accelerator

from simcsp.diagnosis.finding import Level
from simcsp.diagnosis.hardware import device, disk, memory


@pytest.mark.parametrize(
    ("free", "level"), [(10_000_000, Level.PROBLEM), (2_000_000_000, Level.WARNING), (90_000_000_000, Level.OK)]
)
def test_disk_that_fills_up(free: int, level: Level, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def disk_usage(path: Path) -> SimpleNamespace:
        asked.append(path)
        return SimpleNamespace(free=free)

    monkeypatch.setattr(shutil, "disk_usage", disk_usage)
    found = disk(tmp_path / "runs" / "not there yet", "runs/")
    assert found.level is level
    assert asked == [tmp_path]
    assert f"{free / 1e9:,.1f} GB is free for runs/" in found.text
    assert ("Make room" in found.text) is (level is not Level.OK)


def test_free_space_is_what_the_system_says(tmp_path: Path) -> None:
    system = os.statvfs(tmp_path)
    stated = re.match(r"([\d,.]+) GB", disk(tmp_path, "data/").text)
    assert stated
    assert float(stated[1].replace(",", "")) == pytest.approx(system.f_bavail * system.f_frsize / 1e9, abs=1)


def test_folder_that_may_not_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    found = disk(tmp_path, "data/")
    assert found.level is Level.PROBLEM
    assert str(tmp_path) in found.text


@pytest.mark.parametrize(("left", "level"), [(1.0e9, Level.PROBLEM), (3.0e9, Level.WARNING), (8.0e9, Level.OK)])
def test_memory_that_is_left(
    left: float, level: Level, accelerator: Accelerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=left, total=16e9))
    (found,) = memory(accelerator)
    assert found.level is level
    assert found.text.startswith(f"{left / 1e9:.1f} GB of 16.0 GB is free")


def test_processor_is_a_device_like_any_other(accelerator: Accelerator, programs: Path) -> None:
    found = device(accelerator)
    assert found.level is Level.OK
    assert found.text.startswith("cpu, fp32, ")


def test_gpu_that_torch_cannot_use_is_a_warning(accelerator: Accelerator, programs: Path) -> None:
    (programs / "nvidia-smi").write_text("#!/bin/sh\nexit 0\n")
    (programs / "nvidia-smi").chmod(0o755)
    found = device(accelerator)
    assert found.level is Level.WARNING
    assert "There is an NVIDIA GPU, but torch" in found.text
