"""Run stages in forked children that meet a fault at a chosen moment; started as a process of its own.

Each line of standard input asks for one stage: ``{"stage", "config", "fault", "place", "moment"}``. Everything is
imported once, so a child costs what the stage costs and not the seconds of its imports. A moment is a call of one of
the project's functions, or Python opening, renaming or removing something in ``data`` or ``runs``; the fault happens at
the so-many-th moment inside the function called ``place``. The answer is one line: exit status and standard error.

Faults:
    kill: SIGKILL.
    SIGINT, SIGTERM: that signal.
    full: from this moment on no file can grow.
    none: nothing happens.
"""

import importlib
import json
import os
import resource
import runpy
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path.cwd()
SOURCES = str(ROOT / "src") + os.sep
WRITTEN = (str(ROOT / "data") + os.sep, str(ROOT / "runs") + os.sep)
FILE_EVENTS = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree"}


def no_more_room() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


FAULTS: dict[str, Callable[[], None]] = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "SIGINT": lambda: os.kill(os.getpid(), signal.SIGINT),
    "SIGTERM": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "full": no_more_room,
}


def inside(place: str, frame: FrameType | None) -> bool:
    """Whether a function of the project with this name is at work."""
    while frame is not None:
        if frame.f_code.co_name == place and frame.f_code.co_filename.startswith(SOURCES):
            return True
        frame = frame.f_back
    return False


def arm(fault: str, place: str, moment: int) -> Callable[[], None]:
    """Let the fault happen when the process comes to its moment; what is returned calls it off."""
    left = moment

    def disarm() -> None:
        nonlocal left
        left = 0
        sys.setprofile(None)

    def pass_moment(frame: FrameType | None) -> None:
        nonlocal left
        if inside(place, frame):
            left -= 1
            if not left:
                sys.setprofile(None)
                FAULTS[fault]()

    def on_call(frame: FrameType, event: str, argument: Any) -> None:
        named = not frame.f_code.co_name.startswith(
            "<"
        )  # an expression that is given up swallows what a handler raises
        if event == "call" and named and frame.f_code.co_filename.startswith(SOURCES):
            pass_moment(frame)

    def on_event(event: str, arguments: tuple[Any, ...]) -> None:
        path = arguments[0] if left and event in FILE_EVENTS else 0
        if not isinstance(path, int) and str(ROOT / os.fsdecode(path)).startswith(WRITTEN):  # a number is an open file
            pass_moment(sys._getframe(1))

    if fault != "none":  # watching costs more than the stage
        sys.addaudithook(on_event)
        sys.setprofile(on_call)
    return disarm


def run_stage(request: dict[str, Any], said: int) -> None:
    """The whole life of a child."""
    os.dup2(said, 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    script = f"{SOURCES}{request['stage']}.py"
    sys.argv = [script, "--config", request["config"]]
    disarm = arm(request["fault"], request["place"], request["moment"])
    try:
        runpy.run_path(script, run_name="__main__")
    finally:
        disarm()


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Run a stage in a child and tell how it ended."""
    heard, said = os.pipe()
    if (pid := os.fork()) == 0:
        run_stage(request, said)
    os.close(said)
    with os.fdopen(heard, encoding="utf-8") as stream:
        stderr = stream.read()
    _, status = os.waitpid(pid, 0)
    return {"status": os.waitstatus_to_exitcode(status), "stderr": stderr}


def compile_ahead() -> None:
    """Let numba compile what takes it seconds once for all children."""
    import numpy as np  # noqa: PLC0415

    from simcsp.metrics.nmi import NmiSettings, nmi  # noqa: PLC0415
    from simcsp.report.layout import umap_layout  # noqa: PLC0415

    rows = np.arange(64)
    vectors = np.random.default_rng(0).normal(size=(64, 16)).astype(np.float32)
    nmi(vectors, rows % 2, rows // 2 % 2, NmiSettings(seeds=1), seed=0)
    umap_layout(vectors, seed=0)


def main() -> None:
    """Answer until standard input ends."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a test run in the background would ignore it
    sys.path.insert(0, SOURCES)
    for script in ("prepare", "pretrain", "finetune", "evaluate", "report"):
        importlib.import_module(script)
    compile_ahead()
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
