"""The recipes of a run: what sets them apart, and how much each was trained, counted from its settings."""

import pandas as pd
import pytest

from simcsp.config import PhaseConfig, PretrainConfig, RecipeConfig, ViewConfig
from simcsp.report.comparisons import ONE_RUN, compare, of_one_run
from simcsp.report.recipes import recipes_section

CONTRAST = PhaseConfig(steps=200, batch_size=64, mlm_weight=0, contrastive_weight=1)
MODELS = ("baseline", "best_sccs", "mlm_control", "supervised")
FOLDS = pd.DataFrame(
    [(m, str(k), 0.8 + 0.01 * n * k, 0.9 + 0.001 * n * k) for n, m in enumerate(MODELS) for k in range(3)],
    columns=["model", "fold", "f1", "auroc"],
).set_index(["model", "fold"])


def section(control_batch: int, supervised_batch: int = 42) -> str:
    supervised = RecipeConfig(
        name="supervised", steps=200, batch_size=supervised_batch, contrastive_weight=1, contrastive_weight_end=0.5,
        positives="label", hard_negative_weight=2, keep="sccs",
    )  # fmt: skip
    control = RecipeConfig(name="mlm_control", steps=200, batch_size=control_batch)
    compared = compare(of_one_run(FOLDS), {ONE_RUN: 2 / 7}, ("f1", "auroc"), ["mlm_control"])
    return recipes_section(PretrainConfig(contrast=CONTRAST, also=(control, supervised)), compared)


@pytest.mark.parametrize(
    ("phase", "windows"),
    [
        (PhaseConfig(batch_size=8), 8),
        (PhaseConfig(batch_size=8, contrastive_weight=1), 16),
        (PhaseConfig(batch_size=8, contrastive_weight=1, mlm_weight=0), 16),
        (PhaseConfig(batch_size=8, contrastive_weight=1, mlm_weight=0, positives="label"), 16),
        (PhaseConfig(batch_size=8, contrastive_weight=1, positives="label"), 24),
        (PhaseConfig(batch_size=8, contrastive_weight=1, positives="orthologue"), 24),
    ],
)
def test_windows_per_step_are_all_that_the_encoder_reads(phase: PhaseConfig, windows: int) -> None:
    assert phase.windows_per_step == windows


def test_a_column_is_shown_where_it_sets_recipes_apart() -> None:
    text = section(128)
    assert "| positives | hard negatives |" in text
    assert "temperature" not in text
    assert "second views" not in text
    assert "| supervised | 200 | 42 | 126 | 0.001 | 1 | 1 to 0.5 | label | 2 | best SCCS |" in text
    assert "| mlm_control | 200 | 128 | 128 | 0.001 | 1 | 0 | – | – | last |" in text
    shifted = PhaseConfig(contrastive_weight=1, temperature=0.1, views=ViewConfig(shift=3))
    text = recipes_section(PretrainConfig(contrast=shifted), [])
    assert "### Against" not in text
    assert "| 0.1 | shifted by up to 3 nt |" in text


def test_who_read_as_much_as_the_control_is_counted() -> None:
    assert "read 25,600 windows, as in contrast; not so in supervised 200 steps, 25,200 windows." in section(128)
    unmatched = section(64)
    assert "12,800 windows; not so in contrast 200 steps, 25,600 windows; supervised" in unmatched
    assert "as in contrast" not in unmatched
