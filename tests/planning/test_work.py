"""Work is counted as the stages do it; tests/test_pipeline.py holds it against what a run logs."""

import numpy as np
import pytest

from simcsp.config import FinetuneConfig, PhaseConfig, PretrainConfig, RecipeConfig, RunConfig, SplitConfig
from simcsp.planning.work import FoldWork, folds, phases

SIZES = [10, 11, 12, 13, 14]  # of two folds and the selection part
BASELINE = PhaseConfig(steps=20, batch_size=16, evaluate_every=10)
CONTRAST = PhaseConfig(steps=25, batch_size=8, evaluate_every=10, contrastive_weight=1, mlm_weight=0)


def test_phases_are_counted_in_steps_windows_and_tokens() -> None:
    config = RunConfig(
        pretrain=PretrainConfig(
            baseline=BASELINE, contrast=CONTRAST, also=(RecipeConfig(name="more", steps=1, batch_size=2),),
            lengths=(40, 60),
        )
    )  # fmt: skip
    found = {one.name: one for one in phases(config)}
    assert list(found) == ["baseline", "contrast", "more"]
    assert (found["baseline"].windows, found["baseline"].tokens) == (20 * 16, 20 * 16 * 52)
    assert found["contrast"].windows == 25 * 8 * 2  # two views
    assert [one.measurements for one in found.values()] == [3, 4, 2]  # at 0, 10, 20; 0, 10, 20, 25; 0, 1


def test_a_phase_without_steps_is_none() -> None:
    config = RunConfig(pretrain=PretrainConfig(baseline=PhaseConfig(steps=0), contrast=CONTRAST))
    assert [one.name for one in phases(config)] == ["contrast"]


@pytest.mark.parametrize(
    ("labels", "validation", "expected"),
    [
        (0, 0, [FoldWork(3 * 3, 4, 5 * 12 + 2 * 21), FoldWork(3 * 2, 4, 5 * 10 + 2 * 25)]),
        (8, 5, [FoldWork(3 * 2, 4, 5 * 5 + 2 * 21), FoldWork(3 * 2, 4, 5 * 5 + 2 * 25)]),
        (3, 0, [FoldWork(3 * 1, 3, 5 * 12 + 2 * 21), FoldWork(3 * 1, 3, 5 * 10 + 2 * 25)]),
    ],
)
def test_folds_take_whole_batches_of_what_is_left_to_train_on(
    labels: int, validation: int, expected: list[FoldWork]
) -> None:
    """Fold 0 tests on parts 0 and 1, validates on 2 and trains on 3; fold 1 on 2 and 3, 0, and 1."""
    tuning = FinetuneConfig(epochs=3, batch_size=4, labels=labels, validation=validation)
    assert folds(RunConfig(split=SplitConfig(folds=2), finetune=tuning), SIZES) == expected


def test_every_window_outside_the_selection_part_is_tested_once() -> None:
    sizes = [int(size) for size in np.random.default_rng(0).integers(50, 90, 11)]
    config = RunConfig(finetune=FinetuneConfig(epochs=1, batch_size=2, validation=1))
    assert sum(one.predicted - 3 for one in folds(config, sizes)) == 2 * sum(sizes[:-1])
