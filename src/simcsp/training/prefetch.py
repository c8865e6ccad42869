"""Batches are made while the step before them is computed."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import torch

from simcsp.training.batches import Batch


@contextmanager
def prefetched(batch_at: Callable[[int], Batch], steps: int, device: torch.device) -> Iterator[Callable[[int], Batch]]:
    """Give a function step → batch on the device, that has the next one ready when the steps come in order.

    Args:
        batch_at: step → batch; a pure function.
        steps: the batch of the last one is not followed by another.
        device: where the batch is wanted.
    """
    pending: dict[int, Future[Batch]] = {}

    def prepare(step: int) -> Batch:
        batch = batch_at(step)
        return {name: part.pin_memory() for name, part in batch.items()} if device.type == "cuda" else batch

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches") as maker:

        def take(step: int) -> Batch:
            batch = (pending.pop(step, None) or maker.submit(prepare, step)).result()
            pending.clear()
            if step + 1 < steps:
                pending[step + 1] = maker.submit(prepare, step + 1)
            return {name: part.to(device, non_blocking=True) for name, part in batch.items()}

        yield take
