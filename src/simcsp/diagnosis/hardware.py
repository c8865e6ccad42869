"""Device, memory and disk."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import torch
from accelerate import Accelerator

from simcsp import runs
from simcsp.diagnosis.finding import Finding, Level
from simcsp.training.devices import describe

# The demo takes 1.3 GB of memory and 50 MB of disk. Pre-training SpliceBERT's model takes 1.7 to 3.8 GB of memory
# (README.md), a run of it with four initialisations, five folds and checkpoints some 2 GB of disk.
_MEMORY = (1.5e9, 4e9)  # below the first a problem, below the second a warning
_DISK = (0.5e9, 5e9)


def device(accelerator: Accelerator) -> Finding:
    """What training runs on; a GPU that torch cannot use is a warning."""
    cuda = accelerator.device.type == "cuda"
    found = describe(accelerator) if cuda else f"{describe(accelerator)}, {torch.get_num_threads()} threads"
    if cuda or not _has_gpu():
        return Finding(Level.OK, "device", found)
    text = (
        f"{found}. There is an NVIDIA GPU, but torch {torch.__version__} cannot use it. Delete .venv and run "
        "bash run.sh setup, or update the driver."
    )
    return Finding(Level.WARNING, "device", text)


def memory(accelerator: Accelerator) -> Iterator[Finding]:
    """What is left of the machine's memory, and of the GPU's."""
    now = psutil.virtual_memory()
    yield _enough("memory", now.available, f"of {now.total / 1e9:,.1f} GB is free", _MEMORY, "End other programs")
    if accelerator.device.type == "cuda":
        free, total = torch.cuda.mem_get_info(accelerator.device)
        advice = "End other programs on it, or set pretrain.contrast.chunk"
        yield _enough("GPU memory", free, f"of {total / 1e9:,.1f} GB is free", _MEMORY, advice)


def disk(folder: Path, name: str) -> Finding:
    """What is left where a folder is, or will be made."""
    place = runs.nearest_existing(folder)
    if not os.access(place, os.W_OK | os.X_OK):
        return Finding(Level.PROBLEM, "disk", f"{name} may not be written to. Change the permissions of {place}.")
    free = shutil.disk_usage(place).free
    return _enough("disk", free, f"is free for {name}", _DISK, f"Make room, or make {name} a link to another disk")


def _enough(check: str, size: float, what: str, limits: tuple[float, float], advice: str) -> Finding:
    too_little, little = limits
    level = Level.PROBLEM if size < too_little else Level.WARNING if size < little else Level.OK
    text = f"{size / 1e9:,.1f} GB {what}"
    return Finding(level, check, text if level is Level.OK else f"{text}. {advice}.")


def _has_gpu() -> bool:
    program = shutil.which("nvidia-smi")
    if program is None:
        return False
    try:
        return subprocess.run([program, "-L"], capture_output=True, check=False, timeout=30).returncode == 0  # noqa: S603
    except subprocess.TimeoutExpired:
        return False
