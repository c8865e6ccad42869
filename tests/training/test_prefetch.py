import threading

import pytest
import torch

from simcsp.training.batches import Batch
from simcsp.training.prefetch import prefetched

CPU = torch.device("cpu")


class Made:
    """Notes which batches were made, and in which thread."""

    def __init__(self, fails_at: int = -1) -> None:
        self.steps: list[int] = []
        self.threads: set[int] = set()
        self.fails_at = fails_at

    def __call__(self, step: int) -> Batch:
        self.steps.append(step)
        self.threads.add(threading.get_ident())
        if step == self.fails_at:
            raise ValueError(f"no batch {step}")
        return {"tokens": torch.tensor([step])}


def test_batches_come_in_the_order_they_are_asked_for_and_none_after_the_last_is_made() -> None:
    made = Made()
    with prefetched(made, 5, CPU) as take:
        assert [int(take(step)["tokens"]) for step in (2, 3, 4)] == [2, 3, 4]
    assert made.steps == [2, 3, 4]
    assert threading.get_ident() not in made.threads


def test_next_batch_is_made_before_it_is_asked_for() -> None:
    second = threading.Event()

    def made(step: int) -> Batch:
        if step == 1:
            second.set()
        return {"tokens": torch.tensor([step])}

    with prefetched(made, 5, CPU) as take:
        take(0)
        assert second.wait(timeout=60)


def test_steps_may_be_taken_in_any_order() -> None:
    with prefetched(Made(), 100, CPU) as take:
        assert [int(take(step)["tokens"]) for step in (7, 3, 3, 50)] == [7, 3, 3, 50]


def test_error_is_raised_for_the_step_it_belongs_to() -> None:
    with prefetched(Made(fails_at=1), 5, CPU) as take:
        take(0)
        with pytest.raises(ValueError, match="no batch 1"):
            take(1)
