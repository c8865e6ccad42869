"""One training in several processes: this script is started again once per device.

The processes find each other as those of ``torchrun`` do, by the same variables of the environment; ``torchrun`` itself
serves for several hosts. Starting them here lets one sentence say what went wrong, and lets a step or a measurement of
any length end before the work is saved.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import torch

from simcsp.console import INTERRUPTED, PEER_LOST
from simcsp.errors import InputError

_PARENT = "SIMCSP_PARENT"  # process that started this one
_LOOK = 0.2  # seconds between looks at the processes
_GRACE = 30.0  # seconds that the others have to end once one has failed


def in_own_processes(count: int) -> bool:
    """Run this script in several processes, and come back when all have ended.

    Args:
        count: of processes; 0 for one per visible GPU.

    Returns:
        Whether that was done. If not, this process is to do the work: it is one of several already (of ``torchrun`` on
        one or many hosts, or of this function), or one is enough.

    Raises:
        InputError: if a process was killed, or the processes lost each other.
        SystemExit: if one ended by itself with an error, or after SIGINT or SIGTERM, once all have ended.
    """
    if "RANK" in os.environ:
        if _PARENT in os.environ:
            threading.Thread(target=_end_with_parent, daemon=True).start()
        return False
    if (count := process_count(count)) == 1:
        return False
    processes = _started(count)
    with _handed_on(processes) as asked_to_stop:
        statuses = _ends_of(processes)
    if any(statuses):
        _raise(statuses, stopped=bool(asked_to_stop))
    return True


def process_count(count: int) -> int:
    """So many processes or, for 0, one per visible GPU."""
    return count or max(1, torch.cuda.device_count())


def _started(count: int) -> list["subprocess.Popen[bytes]"]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    threads = os.environ.get("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
    shared = {
        **os.environ, "OMP_NUM_THREADS": threads, "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), _PARENT: str(os.getpid()),
    }  # fmt: skip
    return [
        subprocess.Popen([sys.executable, *sys.argv], env={**shared, "RANK": str(k), "LOCAL_RANK": str(k)})  # noqa: S603
        for k in range(count)
    ]


@contextmanager
def _handed_on(processes: list["subprocess.Popen[bytes]"]) -> Iterator[list[int]]:
    """Hand SIGINT and SIGTERM on, which processes save and end by; gives the signals that came."""
    came: list[int] = []

    def hand_on(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        came.append(number)
        for process in processes:
            process.send_signal(number)

    previous = {number: signal.signal(number, hand_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _ends_of(processes: list["subprocess.Popen[bytes]"]) -> list[int]:
    """Exit statuses once all have ended; the others of one that failed notice it, or are made to end.

    The status of a process that was ended here is that of one whose peer is lost.
    """
    deadline = float("inf")
    killed: set[int] = set()
    while any(process.poll() is None for process in processes):
        time.sleep(_LOOK)
        if deadline == float("inf") and any(process.poll() not in (None, 0, INTERRUPTED) for process in processes):
            deadline = time.monotonic() + _GRACE
        if time.monotonic() > deadline:
            killed |= {k for k, process in enumerate(processes) if process.poll() is None}
            for k in killed:
                processes[k].kill()
    return [PEER_LOST if k in killed else process.returncode for k, process in enumerate(processes)]


def _raise(statuses: list[int], *, stopped: bool) -> None:
    """Say what happened, unless a process has said it."""
    again = "Run the same command again to go on from the last checkpoint"
    killed = [rank for rank, status in enumerate(statuses) if status < 0]
    if killed:
        # NCCL aborts a process whose peer is gone: one that was killed otherwise comes first
        rank = min(killed, key=lambda k: statuses[k] == -signal.SIGABRT)
        how = signal.Signals(-statuses[rank]).name
        raise InputError(f"process {rank} of {len(statuses)} was killed ({how}), and the others stopped", hint=again)
    spoken = [status for status in statuses if status not in (0, PEER_LOST)]
    if spoken:
        sys.exit(INTERRUPTED if stopped else spoken[0])
    raise InputError("the processes lost each other", hint="Run it with NCCL_DEBUG=INFO to see why")


def _end_with_parent() -> None:
    """Never go on training where the next run may have begun."""
    while os.getppid() == int(os.environ[_PARENT]):
        time.sleep(_LOOK)
    os._exit(1)
