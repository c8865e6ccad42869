"""Jobs in processes of their own; one process hands them out and shows how far all of them have come.

Every process has a pipe of its own: one that is killed leaves no lock behind that the others would wait for.
"""

import os
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import StringIO
from multiprocessing import get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, NamedTuple, TypeVar, cast

import torch
from tqdm import tqdm

from simcsp.console import quiet_libraries, skip
from simcsp.errors import InputError

Job = TypeVar("Job")
Work = Callable[[Job, "tqdm[None]"], None]


class Steps(NamedTuple):
    """What a job has advanced since it last said so; see :func:`simcsp.console.skip`."""

    done: int
    skipped: int


def run_jobs(jobs: Sequence[Job], work: Work[Job], parallel: int, bar: "tqdm[None]") -> None:
    """Call ``work(job, bar)`` for every job.

    ``parallel`` jobs run at the same time, each in a process with its share of this one's threads and, on CUDA, with
    the GPU of its number (of those there are). With 1 they run in this process.

    Args:
        jobs: what to do, in this order; each says what it is as text.
        work: does one; pickled for other processes.
        parallel: jobs at the same time.
        bar: advanced by all of them.

    Raises:
        InputError: as a job raised it, or if a process was killed.
        KeyboardInterrupt: after SIGINT or SIGTERM.

        Other processes get SIGTERM then, and have ended when this returns.
    """
    if parallel == 1:
        for job in jobs:
            bar.set_description(f"finetune: {job}")
            work(job, bar)
    elif jobs:
        _Workers(min(parallel, len(jobs)), threads_of_each(parallel)).run(jobs, work, bar)


def threads_of_each(parallel: int) -> int:
    """Threads of each of so many processes: its share of this one's."""
    return max(1, torch.get_num_threads() // parallel)


def concurrent_processes(parallel: int) -> int:
    """How many of so many processes have a GPU of their own or, without any, a thread; the others only share them."""
    return min(parallel, torch.cuda.device_count() or torch.get_num_threads())


class _Workers:
    """Processes that wait for jobs."""

    def __init__(self, number: int, threads: int) -> None:
        self.number, self.threads = number, threads
        self.processes: dict[Connection, SpawnProcess] = {}

    def run(self, jobs: Sequence[Job], work: Work[Job], bar: "tqdm[None]") -> None:
        """Do all jobs, and end."""
        terminate = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            self._start(work)
            self._hand_out(deque(jobs), bar)
        except BaseException:
            self._stop()
            raise
        finally:
            signal.signal(signal.SIGTERM, terminate)

    def _start(self, work: Any) -> None:
        context = get_context("spawn")
        resource_tracker.ensure_running()  # the first process would start it, which unblocks SIGINT
        for number in range(self.number):
            connection, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, number, self.threads), daemon=True)
            # Ctrl-C goes to all processes of a terminal: this one alone answers, and asks the others to stop.
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                process.start()
                self.processes[connection] = process
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            theirs.close()  # so that the pipe ends with the process
            connection.send(work)

    def _hand_out(self, jobs: "deque[Any]", bar: "tqdm[None]") -> None:
        total, doing = len(jobs), dict.fromkeys(self.processes, "")
        while doing:
            for connection in cast("list[Connection]", wait(list(doing))):
                match self._received(connection, doing[connection]):
                    case Steps(done, skipped):
                        skip(bar, skipped)
                        bar.update(done)
                    case BaseException() as error:
                        raise error
                    case _ if jobs:
                        if len(jobs) == total:
                            bar.unpause()  # processes take a while to start
                        bar.set_description(f"finetune: {len(doing)} at a time, {total - len(jobs) + 1} of {total}")
                        doing[connection] = str(jobs[0])
                        with suppress(BrokenPipeError):  # killed just now, as the next look at the pipe tells
                            connection.send(jobs.popleft())
                    case _:
                        del doing[connection]
                        connection.close()
                        self.processes[connection].join()

    def _received(self, connection: Connection, doing: str) -> Any:
        try:
            return connection.recv()
        except (EOFError, ConnectionResetError):
            process = self.processes[connection]
            process.join()
            status = process.exitcode or 0
            how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
            raise InputError(
                f"the process of {doing or 'a job'} {how}, and the others were stopped",
                hint="Run the same command again to go on; if memory ran out, lower finetune.parallel in a new --run",
            ) from None

    def _stop(self) -> None:
        """Let every process save what it does; when interrupted once more, do not wait for that."""
        for process in self.processes.values():
            process.terminate()
        try:
            for process in self.processes.values():
                process.join()
        except KeyboardInterrupt:
            for process in self.processes.values():
                process.kill()


class _Reported(tqdm):  # type: ignore[misc]
    """A bar that another process shows."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._told = connection, Steps(0, 0)
        super().__init__(file=StringIO())

    def display(self, *_: Any, **__: Any) -> None:
        """Tell what is new."""
        now = Steps(self.n - self.initial, self.initial)
        if now != self._told:
            self._connection.send(Steps(now.done - self._told.done, now.skipped - self._told.skipped))
            self._told = now


def _serve(connection: Connection, number: int, threads: int) -> None:
    """Do jobs until there are no more."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    tqdm.monitor_interval = 0  # its thread would write into the pipe, too
    quiet_libraries()
    torch.set_num_threads(threads)
    if torch.cuda.is_available():
        torch.cuda.set_device(number % torch.cuda.device_count())
    with suppress(EOFError, BrokenPipeError):  # there is nobody left to work for
        try:
            work = connection.recv()
            while True:
                connection.send(None)
                job = connection.recv()
                with _Reported(connection) as bar:
                    work(job, bar)
        except (EOFError, BrokenPipeError):
            raise
        except BaseException as error:
            error.add_note(f"In another process:\n{traceback.format_exc()}")
            connection.send(error)


def _end_with_parent() -> None:
    """Never write where the next run may be writing already."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
