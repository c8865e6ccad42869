"""Work is counted as the stages do it; tests/test_pipeline.py holds it against what a run logs."""

import numpy as np
import pytest

from simcsp.config import FinetuneConfig, PhaseConfig, PretrainConfig, RecipeConfig, RunConfig, SplitConfig
from simcsp.planning.work import FoldWork, embedded, folds, phases

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
        (0, 0, [FoldWork(3 * 3, 4, 13, 12, 21, 5), FoldWork(3 * 2, 4, 11, 10, 25, 5)]),
        (8, 5, [FoldWork(3 * 2, 4, 8, 5, 21, 5), FoldWork(3 * 2, 4, 8, 5, 25, 5)]),
        (3, 0, [FoldWork(3 * 1, 3, 3, 12, 21, 5), FoldWork(3 * 1, 3, 3, 10, 25, 5)]),
    ],
)
def test_folds_take_whole_batches_of_what_is_left_to_train_on(
    labels: int, validation: int, expected: list[FoldWork]
) -> None:
    """Fold 0 tests on parts 0 and 1, validates on 2 and trains on 3; fold 1 on 2 and 3, 0, and 1."""
    tuning = FinetuneConfig(epochs=3, batch_size=4, labels=labels, validation=validation)
    assert folds(RunConfig(split=SplitConfig(folds=2), finetune=tuning), SIZES) == expected


def test_a_fold_predicts_validation_at_every_look_and_test_before_and_after() -> None:
    assert FoldWork(9, 4, train=13, validation=12, test=21, looks=5).predicted == 5 * 12 + 2 * 21


def test_a_frozen_encoder_embeds_what_its_folds_use_once() -> None:
    tuning = FinetuneConfig(batch_size=4, labels=8, validation=5, frozen=True)
    config = RunConfig(split=SplitConfig(folds=2), finetune=tuning)
    three_encoders, two_random_starts = 3 * (10 + 11 + 12 + 13), (8 + 5 + 21) + (8 + 5 + 25)
    assert embedded(config, folds(config, SIZES)) == three_encoders + two_random_starts


def test_every_window_outside_the_selection_part_is_tested_once() -> None:
    sizes = [int(size) for size in np.random.default_rng(0).integers(50, 90, 11)]
    config = RunConfig(finetune=FinetuneConfig(epochs=1, batch_size=2, validation=1))
    assert sum(one.test for one in folds(config, sizes)) == sum(sizes[:-1])
