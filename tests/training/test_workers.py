from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
import torch
from tqdm import tqdm

from simcsp.errors import InputError
from simcsp.training.workers import concurrent_processes, run_jobs, threads_of_each

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SOURCE = '''
"""Jobs for other processes, which import this file: a job is what to do, and its number."""

import os, signal, sys, time
from dataclasses import dataclass
from pathlib import Path

import torch

from simcsp.console import progress, run_script, skip
from simcsp.errors import InputError
from simcsp.training.workers import run_jobs


@dataclass
class Work:
    folder: Path

    def __call__(self, job, bar):
        what, number = job
        (self.folder / f"began-{number}").write_text(f"{os.getpid()} {torch.get_num_threads()}")
        getattr(self, what)(number, bar)
        (self.folder / f"ended-{number}").touch()

    def steps(self, number, bar):
        skip(bar, number)
        for _ in range(10):
            bar.update()

    def wrong(self, number, bar):
        raise InputError("it is wrong", hint="Mend it")

    def bug(self, number, bar):
        raise ValueError("a bug")

    def killed(self, number, bar):
        os.kill(os.getpid(), signal.SIGKILL)

    def trains(self, number, bar):
        """As training does: a step at a time; SIGINT and SIGTERM are noted and honoured behind a step."""
        asked = []
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, lambda signum, _: asked.append(signum))
        (self.folder / f"trains-{number}").touch()
        while not asked:
            time.sleep(0.05)
            bar.update()
        (self.folder / f"saved-{number}").write_text(str(asked))
        raise KeyboardInterrupt


def main():
    with progress(None, "jobs", unit="step") as bar:
        run_jobs([("trains", 0), ("trains", 1)], Work(Path(sys.argv[1])), 2, bar)


if __name__ == "__main__":
    run_script(main)
'''


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., int]]:
    """``run("steps", "wrong", …)``: do such jobs, two at a time; gives the steps counted."""
    (tmp_path / "jobs_of_a_test.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)

    def call(*what: str, parallel: int = 2) -> int:
        work: Any = __import__("jobs_of_a_test").Work(tmp_path)
        jobs = [(name, number) for number, name in enumerate(what)]
        with tqdm(file=StringIO()) as bar:
            run_jobs(jobs, work, parallel, bar)
        return int(bar.n)

    yield call
    sys.modules.pop("jobs_of_a_test", None)


def began(folder: Path) -> dict[str, tuple[int, int]]:
    """Job → its process and the threads it had."""
    found = {path.name.removeprefix("began-"): path.read_text().split() for path in folder.glob("began-*")}
    return {job: (int(process), int(threads)) for job, (process, threads) in found.items()}


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until(reached: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < limit, "it never happened"
        time.sleep(0.02)


def test_jobs_are_shared_out_and_all_their_steps_are_counted(run: Callable[..., int], tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        assert run(*["steps"] * 4) == 4 * 10 + 0 + 1 + 2 + 3
    finally:
        torch.set_num_threads(threads)
    processes = {process for process, _ in began(tmp_path).values()}
    assert len(began(tmp_path)) == len(list(tmp_path.glob("ended-*"))) == 4
    assert 1 <= len(processes) <= 2
    assert os.getpid() not in processes
    assert {held for _, held in began(tmp_path).values()} == {2}
    assert not any(map(is_alive, processes))


def test_one_at_a_time_needs_no_other_process(run: Callable[..., int], tmp_path: Path) -> None:
    assert run("steps", "steps", parallel=1) == 21
    assert {process for process, _ in began(tmp_path).values()} == {os.getpid()}


def test_what_a_job_raises_stops_the_others_once_they_have_saved(run: Callable[..., int], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^it is wrong\. Mend it\.$"):
        run("trains", "wrong", "steps")
    assert not (tmp_path / "ended-2").exists()
    assert (tmp_path / "saved-0").exists() == (tmp_path / "trains-0").exists()
    assert not any(is_alive(process) for process, _ in began(tmp_path).values())


def test_a_bug_comes_with_the_traceback_of_its_process(run: Callable[..., int]) -> None:
    with pytest.raises(ValueError, match="a bug") as caught:
        run("bug")
    assert 'raise ValueError("a bug")' in caught.value.__notes__[0]


def test_a_killed_process_ends_the_run_with_one_sentence(run: Callable[..., int], tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        run("trains", "killed", "steps")
    assert str(caught.value) == (
        "the process of ('killed', 1) was killed by SIGKILL, and the others were stopped. Run the same command again "
        "to go on; if memory ran out, lower finetune.parallel in a new --run."
    )
    assert not (tmp_path / "ended-2").exists()
    assert not any(is_alive(process) for process, _ in began(tmp_path).values())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopping_the_first_process_stops_the_others(run: Callable[..., int], tmp_path: Path, number: int) -> None:
    # A test run in the background ignores SIGINT and would hand that on.
    ready = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); sys.argv.pop(0); "
    script = f"{ready}import runpy; runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-c", script, str(tmp_path / "jobs_of_a_test.py"), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        wait_until(lambda: len(list(tmp_path.glob("trains-*"))) == 2)
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does
        else:
            process.send_signal(number)
        _, shown = process.communicate(timeout=60)
    wait_until(lambda: not any(is_alive(worker) for worker, _ in began(tmp_path).values()))
    saved = sorted(path.name for path in tmp_path.glob("saved-*"))
    if number == signal.SIGKILL:
        assert (process.returncode, saved) == (-signal.SIGKILL, [])
        return
    assert (process.returncode, saved) == (130, ["saved-0", "saved-1"])
    assert {(tmp_path / name).read_text() for name in saved} == {"[15]"}  # asked once, whoever else got the signal
    assert shown.strip().splitlines()[-1] == "Interrupted. Run the same command again to go on from what is finished."
    assert "Traceback" not in shown


@pytest.mark.parametrize(
    ("threads", "gpus", "parallel", "each", "number"),
    [(8, 0, 4, 2, 4), (2, 0, 4, 1, 2), (2, 0, 1, 2, 1), (8, 2, 4, 2, 2), (8, 4, 3, 2, 3)],
)
def test_processes_share_threads_and_work_at_once_if_they_have_one_or_a_gpu_each(
    threads: int, gpus: int, parallel: int, each: int, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert (threads_of_each(parallel), concurrent_processes(parallel)) == (each, number)
