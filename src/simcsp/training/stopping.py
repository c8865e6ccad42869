"""SIGINT and SIGTERM as requests that a training honours between two steps."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import torch
from accelerate import Accelerator

from simcsp.console import say

ONE_SIGNAL = 2.0  # seconds within which signals are one request to stop

StopRequested = Callable[..., bool]


@contextmanager
def stop_requests(accelerator: Accelerator) -> Iterator[StopRequested]:
    """Turn SIGINT and SIGTERM into a request that is honoured between two steps; a second one later acts at once.

    A signal that is ignored stays so. One signal may arrive twice, from a scheduler and handed on by pretrain.sh.
    Several processes must stop at the same step, so there the function that this gives says no except where all of
    them ask with ``agree``; and a second signal is their launcher's, which repeats it.
    """
    requested: list[float] = []

    def note(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        if not requested and accelerator.is_main_process:
            say("stopping after this step, once a checkpoint is written")
        requested.append(time.monotonic())
        if requested[-1] - requested[0] > ONE_SIGNAL and accelerator.num_processes == 1:
            raise KeyboardInterrupt

    def stop_requested(*, agree: bool) -> bool:
        if accelerator.num_processes == 1:
            return bool(requested)
        if not agree:
            return False
        return bool(accelerator.reduce(torch.tensor(float(len(requested)), device=accelerator.device), "sum") > 0)

    heard = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, note) for number in heard}
    try:
        yield stop_requested
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
