"""Trains a small model with each loss; started once per process by test_processes.py.

torchrun --nproc-per-node 2 tests/training/two_processes.py FOLDER
"""

import sys
from pathlib import Path
from typing import Any

import torch
from tests.training.test_gradients import PHASES, WINDOWS, batches_of, objective_of
from tqdm import tqdm

from simcsp.config import PhaseConfig
from simcsp.training.devices import make_accelerator
from simcsp.training.gradients import InChunks
from simcsp.training.loop import Plan, train


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    for name, losses in PHASES.items():
        for architecture in ("bert", "modernbert"):
            for chunk, dropout in ((3, 0.2), (0, 0.0)):  # whose dropout would depend on the number of processes
                _train(folder / f"{name}-{architecture}-{chunk}", losses, architecture, chunk, dropout)


def _train(target: Path, losses: dict[str, Any], architecture: str, chunk: int, dropout: float) -> None:
    accelerator = make_accelerator("fp32")
    phase = PhaseConfig(batch_size=WINDOWS, chunk=chunk, learning_rate=1e-2, **losses)
    objective = objective_of(phase, architecture, dropout=dropout)
    plan = Plan(steps=10, optimiser=phase, evaluate_every=5, save_every=5, seed=1, select={})
    backward = InChunks(objective, phase.chunk, WINDOWS, accelerator)
    bar = tqdm(disable=True)
    train(objective, batches_of(phase), lambda step, log: {}, plan, target, accelerator, bar, backward)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
