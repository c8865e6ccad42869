"""Two processes train as one does, and end together."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from simcsp.console import PEER_LOST
from simcsp.errors import InputError
from simcsp.training import processes
from simcsp.training.log import read_metrics
from simcsp.training.processes import in_own_processes

ROOT = Path(__file__).resolve().parents[2]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}


@pytest.mark.slow
def test_two_processes_have_the_losses_and_weights_of_one(tmp_path: Path) -> None:
    for count in (1, 2):
        subprocess.run(
            [
                sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count),
                str(ROOT / "tests" / "training" / "two_processes.py"), str(tmp_path / str(count)),
            ],
            env=environment(), check=True, capture_output=True,
        )  # fmt: skip
    trainings = sorted(path.name for path in (tmp_path / "1").iterdir())
    assert len(trainings) == 28
    for name in trainings:
        one, two = tmp_path / "1" / name, tmp_path / "2" / name
        (record,), (other,) = ([r for r in read_metrics(path) if "train/loss" in r] for path in (one, two))
        assert record.keys() == other.keys()
        for key in (key for key in record if not key.startswith("speed/")):
            assert other[key] == pytest.approx(record[key], rel=1e-4), (name, key)
        weights, others = (load_file(path / "checkpoint-10" / "model.safetensors") for path in (one, two))
        for key, value in weights.items():
            if key.endswith("key.bias"):
                continue  # softmax does not feel it: its gradient is rounding alone, which Adam makes steps of
            torch.testing.assert_close(others[key], value, rtol=1e-3, atol=2e-5, msg=f"{name}: {key}")


SCRIPT = """
import os, signal, sys, time
from simcsp.console import run_script
from simcsp.training.processes import in_own_processes

def main():
    if in_own_processes(2):
        return
    import torch
    from simcsp.training.devices import make_accelerator
    accelerator = make_accelerator("fp32")
    open(f"{sys.argv[1]}/{os.environ['RANK']}", "w").write(str(os.getpid()))
    for _ in range(100_000):
        accelerator.reduce(torch.ones(1), "sum")
        time.sleep(0.01)

run_script(main)
"""


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_if_one_process_is_killed_all_stop_with_one_message(tmp_path: Path, rank: int) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    with subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as parent:  # fmt: skip
        pids = [tmp_path / "0", tmp_path / "1"]
        while not all(path.exists() and path.read_text() for path in pids):
            assert parent.poll() is None
            time.sleep(0.05)
        victim, survivor = (int(pids[number].read_text()) for number in (rank, 1 - rank))
        os.kill(victim, signal.SIGKILL)
        output, errors = parent.communicate(timeout=120)
    assert parent.returncode == 1
    assert output == ""
    assert errors.strip() == (
        f"error: process {rank} of 2 was killed (SIGKILL), and the others stopped. "
        "Run the same command again to go on from the last checkpoint."
    )
    with pytest.raises(ProcessLookupError):
        os.kill(survivor, 0)


def test_one_of_several_processes_does_the_work_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    assert not in_own_processes(2)


@pytest.mark.parametrize(("asked", "gpus"), [(1, 8), (0, 0), (0, 1)])
def test_one_process_is_not_started_again(monkeypatch: pytest.MonkeyPatch, asked: int, gpus: int) -> None:
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(processes, "_started", lambda count: pytest.fail("started"))
    assert not in_own_processes(asked)


def test_every_visible_gpu_gets_a_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys\n"
        "names = ('RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'OMP_NUM_THREADS')\n"
        "open(f'{sys.argv[1]}/{os.environ[\"RANK\"]}', 'w').write(' '.join(os.environ[name] for name in names))\n"
    )
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(sys, "argv", [str(script), str(tmp_path)])
    assert in_own_processes(0)
    assert [(tmp_path / str(rank)).read_text() for rank in range(4)] == [f"{rank} {rank} 4 1" for rank in range(4)]


@pytest.mark.parametrize(
    ("statuses", "stopped", "said"),
    [
        (
            [PEER_LOST, -9],
            False,
            "process 1 of 2 was killed (SIGKILL), and the others stopped. Run the same command again",
        ),
        ([-6, -9], False, "process 1 of 2 was killed (SIGKILL)"),
        ([PEER_LOST, -6], False, "process 1 of 2 was killed (SIGABRT)"),
        ([PEER_LOST, PEER_LOST], False, "the processes lost each other. Run it with NCCL_DEBUG=INFO"),
        ([PEER_LOST, 1], False, 1),
        ([130, 130], True, 130),
        ([130, PEER_LOST], True, 130),
    ],
)
def test_what_happened_is_told_from_the_statuses(statuses: list[int], said: str | int, *, stopped: bool) -> None:
    if isinstance(said, str):
        with pytest.raises(InputError) as error:
            processes._raise(statuses, stopped=stopped)
        assert str(error.value).startswith(said)
    else:
        with pytest.raises(SystemExit) as end:
            processes._raise(statuses, stopped=stopped)
        assert end.value.code == said


@pytest.mark.slow
def test_processes_end_when_the_one_that_started_them_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    with subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)], env=environment(), stderr=subprocess.DEVNULL
    ) as parent:
        pids = [tmp_path / "0", tmp_path / "1"]
        while not all(path.exists() and path.read_text() for path in pids):
            assert parent.poll() is None
            time.sleep(0.05)
        parent.kill()
    workers = [int(path.read_text()) for path in pids]
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)
