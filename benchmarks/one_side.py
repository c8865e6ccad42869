"""One side of a comparison in a process of its own: its time per window and its memory.

    python benchmarks/one_side.py peers mlm '{"batch": 8, "steps": 3}'    # one side alone, as for a profiler

The comparing scripts call :func:`run_side`, which does the same. Every side so begins with a fresh allocator, its own
imports and thread settings, and a peak of memory that is its own. The scripts themselves import nothing of this
project, which sets how torch allocates: the peers would inherit that. Sides are functions of ``engine.py`` (this
project) and ``peers.py`` (others); they take a :class:`Work` and give a :class:`Measured`.
"""

import importlib
import json
import os
import platform
import resource
import subprocess
import sys
import time
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import torch
from torch import nn

GIB = 1 << 30
_PRODUCT = 4096  # rows and columns of the matrices whose product sets the peak
_ERROR_LINES = 15


@dataclass(frozen=True)
class Work:
    """A model, SpliceBERT's if nothing else is said, and the batches it is given.

    Attributes:
        layers: of the BERT encoder.
        hidden: its width.
        heads: attention heads.
        intermediate: width of the feed-forward part.
        tokens: per window, with ``[CLS]`` and ``[SEP]``.
        batch: windows per step.
        chunk: windows per forward pass of a contrastive step here; 0 is the whole batch.
        warmup: steps before the clock starts, at least 1.
        steps: steps that count.
    """

    layers: int = 6
    hidden: int = 512
    heads: int = 16
    intermediate: int = 2048
    tokens: int = 512
    batch: int = 8
    chunk: int = 0
    warmup: int = 2
    steps: int = 3

    @property
    def positions(self) -> int:
        """Longest input of the model in tokens: the published 512, or more where more are needed."""
        return max(512, self.tokens)

    @property
    def windows(self) -> int:
        """In all steps together."""
        return (self.warmup + self.steps) * self.batch

    @property
    def weights(self) -> int:
        """Of the matrices of the layers."""
        return self.layers * (4 * self.hidden**2 + 2 * self.hidden * self.intermediate)

    @property
    def operations(self) -> float:
        """Of the layers' forward pass per token, at all tokens: 2 N + 4 L T D for N weights and L layers of width D."""
        return 2 * self.weights + 4 * self.layers * self.tokens * self.hidden


@dataclass(frozen=True)
class Measured:
    """What one side took.

    Attributes:
        seconds: per window, each counted once however many views are made of it.
        parameters: of the encoder, without pooler and heads.
        peak: largest memory in bytes: of the process, or on the GPU where there is one.
        idle: the same before the first step, with libraries, model and data in place.
        others: share of the processor's time that other processes took meanwhile; above a few per cent, measure again.
    """

    seconds: float
    parameters: int
    peak: int
    idle: int
    others: float


class StepClock:
    """Told at the end of every step; make it just before the first."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._ticks: list[tuple[float, float]] = []
        self._idle = _peak_memory()

    def tick(self) -> None:
        """A step has ended; waits until the GPU has ended it, too."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self._ticks.append((time.perf_counter(), _others_seconds()))

    def measured(self, model: nn.Module) -> Measured:
        """The mean over the steps after the warm-up."""
        work = self._work
        if len(self._ticks) != work.warmup + work.steps:
            raise RuntimeError(f"{len(self._ticks)} steps were run, {work.warmup + work.steps} were asked for")
        seconds, others = (
            end - start for start, end in zip(self._ticks[work.warmup - 1], self._ticks[-1], strict=True)
        )
        encoder = [p for name, p in model.named_parameters() if name.split(".")[-3:-2] != ["pooler"]]
        return Measured(
            seconds=seconds / work.steps / work.batch,
            parameters=sum(p.numel() for p in encoder),
            peak=_peak_memory(),
            idle=self._idle,
            others=max(0.0, others / seconds / psutil.cpu_count()),
        )


def run_side(module: str, function: str, work: Work) -> Measured:
    """Run one side in a fresh process.

    Raises:
        SystemExit: with the end of what the process said, if it failed; a process that was killed most often
            asked for more memory than there is.
    """
    command = [sys.executable, __file__, module, function, json.dumps(asdict(work))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = "\n".join(done.stderr.splitlines()[-_ERROR_LINES:])
        sys.exit(f"{module}.{function} ended with status {done.returncode} on {work}\n{said}")
    return Measured(**json.loads(done.stdout))


def matrix_product_peak() -> float:
    """Operations per second of a bf16 product of two matrices of 4096 × 4096: the best of five."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    left, right = (torch.randn(_PRODUCT, _PRODUCT, device=device, dtype=torch.bfloat16) for _ in range(2))
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        left @ right
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return 2 * _PRODUCT**3 / min(seconds)


def device_name() -> str:
    """The GPU if there is one, else the processor and its cores."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text(encoding="utf-8").splitlines() if listed.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores"


def available_memory() -> int:
    """Bytes that are free on the GPU, or in memory where there is none."""
    if torch.cuda.is_available():
        return torch.cuda.mem_get_info()[0]
    return psutil.virtual_memory().available


def _others_seconds() -> float:
    """Seconds that all processors together have worked so far for other processes than this."""
    every, own = psutil.cpu_times(), psutil.Process().cpu_times()
    return float(every.user + every.nice + every.system - own.user - own.system)


def _peak_memory() -> int:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_reserved()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    """Run the side that is named and print what it took as JSON."""
    module, function, work = sys.argv[1:]
    with redirect_stdout(sys.stderr):  # libraries print
        measured = getattr(importlib.import_module(module), function)(Work(**json.loads(work)))
    print(json.dumps(asdict(measured)))


if __name__ == "__main__":
    main()
