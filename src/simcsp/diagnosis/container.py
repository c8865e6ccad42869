"""Whether ``bash run.sh`` can start the container; nothing but TensorBoard's start depends on it."""

import os
import shutil
import subprocess

from simcsp import runs
from simcsp.diagnosis.finding import Finding, Level

_WAIT = 30  # seconds; a docker that hangs does not answer


def container() -> Finding:
    """What run.sh says is missing; only where there is a GPU anything is lost without it."""
    if os.environ.get("SIMCSP_CONTAINER"):
        return Finding(Level.OK, "container", "this is it")
    try:
        missing = subprocess.run(  # noqa: S603
            ["bash", str(runs.ROOT / "run.sh"), "container", "check"],  # noqa: S607
            capture_output=True, text=True, check=True, timeout=_WAIT,
        ).stdout.strip()  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        return Finding(Level.WARNING, "container", f"run.sh cannot tell whether it can be had ({error})")
    if not missing:
        return Finding(Level.OK, "container", "docker and the NVIDIA container toolkit are there")
    level = Level.OK if shutil.which("nvidia-smi") is None else Level.WARNING
    return Finding(level, "container", f"not used, because {missing}: everything runs in .venv as well")
