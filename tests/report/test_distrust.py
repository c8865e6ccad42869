"""What applies to a run is said, with its numbers, and nothing else is."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from simcsp.config import (
    DataConfig,
    PhaseConfig,
    PretrainConfig,
    PublishedConfig,
    RecipeConfig,
    RunConfig,
    SplitConfig,
)
from simcsp.report.comparisons import Comparison
from simcsp.report.distrust import of_run, of_several_runs
from simcsp.report.joined import Scored
from simcsp.sequence.simulate import GenomeSettings

MANIFEST: dict[str, Any] = {
    "split": {
        "windows per part": [100, 100, 202],
        "groups in several parts": 0,
        "identical windows in several parts": 0,
    },
    "exposure": {"windows": 0, "of": 1000},
}
CONTRAST = PhaseConfig(steps=200, contrastive_weight=1, mlm_weight=0)
CONFIG = RunConfig(pretrain=PretrainConfig(contrast=CONTRAST))
Compared = Callable[..., Comparison]
Doubts = Callable[..., str]


@pytest.fixture
def doubts(compared: Compared) -> Doubts:
    """``doubts(config, measured, **manifest)``: what to distrust in a run without a control."""

    def say(config: RunConfig = CONFIG, measured: tuple[float, ...] = (0.1, 0.2), **manifest: Any) -> str:
        return "\n".join(of_run(config, {**MANIFEST, **manifest}, measured, [compared("best_sccs", 0.01, 0.5)]))

    return say


def test_numbers_are_those_of_the_run(doubts: Doubts) -> None:
    found = doubts()
    assert "The 5 folds share training windows." in found
    assert "differences from BASELINE of 0.023 to 0.023 would have been" in found
    assert "one draw of 101 pairs, the same for every encoder: its standard error is about 0.100" in found
    assert "The 2 checkpoints that BEST_SCCS was chosen from lie 0.100 apart, no more than chance may do." in found
    assert "more than two of them" in doubts(measured=(0.1, 0.4))
    assert "up to 200 steps" in found
    assert "probability 0.5" in found


@pytest.mark.parametrize(
    ("changed", "manifest", "words"),
    [
        ({"data": DataConfig(simulate=GenomeSettings())}, {}, "The genomes are simulated."),
        ({}, {"exposure": {"windows": 250, "of": 1000}}, "Pre-training has read 25.0% of the windows"),
        (
            {},
            {"split": {**MANIFEST["split"], "groups in several parts": 3}},
            "3 groups are in several parts of the split",
        ),
        ({"published": PublishedConfig(logit_threshold=True)}, {}, "Quirks of the published code are on (logit thr"),
        ({"published": PublishedConfig(logit_threshold=True)}, {}, "logit 0.5, a probability of 0.622"),
    ],
)
def test_what_does_not_apply_is_not_said(
    doubts: Doubts, changed: dict[str, Any], manifest: dict[str, Any], words: str
) -> None:
    assert words in doubts(replace(CONFIG, **changed), **manifest)
    assert words not in doubts()


def test_a_control_that_was_fine_tuned_settles_the_matter_of_steps(compared: Compared) -> None:
    recipes = (
        RecipeConfig(name="mlm_control"),
        RecipeConfig(name="supervised", contrastive_weight=1, positives="label"),
    )
    config = RunConfig(split=SplitConfig(pretraining=2), pretrain=PretrainConfig(contrast=CONTRAST, also=recipes))
    rows = [compared("best_sccs", 0.01, 0.5), compared("supervised", 0.01, 0.5)]
    without = "\n".join(of_run(config, MANIFEST, (), rows))
    with_control = "\n".join(of_run(config, MANIFEST, (), [*rows, compared("best_sccs", 0.0, 0.5, "mlm_control")]))
    assert "no control with as many steps" in without
    assert "no control" not in with_control
    assert "supervised SimCSP saw labelled or orthologous sites in pre-training" in with_control


def test_seeds_that_share_a_split_are_named(compared: Compared) -> None:
    def run(seed: int, split: int, **more: Any) -> Scored:
        return Scored(f"r{seed}", seed, {}, pd.DataFrame(), None, 0.3, split_seed=split, **more)

    controlled = [compared("best_sccs", 0.0, 0.5, "mlm_control")]
    apart = "\n".join(of_several_runs([run(0, 0), run(1, 1)], controlled))
    assert "Seeds share a split" not in apart
    assert "Folds of one seed share one pre-training" in apart
    assert "Of one seed only" not in apart
    uneven = [run(0, 0), run(1, 1), replace(run(0, 0), settings={"encoder.layers": 4})]
    assert "Of one seed only: layers 4. How much" in "\n".join(of_several_runs(uneven, controlled))
    assert "No control" not in apart
    lacking = [*controlled, compared("best_sccs", 0.0, 0.5, "baseline", "other")]
    assert "was fine-tuned for other: a recipe" in "\n".join(of_several_runs([run(0, 0), run(1, 1)], lacking))
    assert "simulated" not in apart
    assert "Seeds share a split" in "\n".join(of_several_runs([run(0, 0), run(1, 0)], controlled))
    crossed = [run(seed, split) for seed in (0, 1) for split in (0, 1)]
    assert "Seeds share a split" in "\n".join(of_several_runs(crossed, controlled))
    other = [run(0, 0), replace(run(1, 0), settings={"encoder.layers": 4})]
    assert "Seeds share a split" not in "\n".join(of_several_runs(other, controlled))
    alone = "\n".join(of_several_runs([run(0, 0, exposed=0.5, simulated=True)], [compared("best_sccs", 0.01, 0.5)]))
    assert "share one pre-training" not in alone
    for words in ("All runs have one seed", "up to 50.0% of the windows", "No control", "simulated"):
        assert words in alone
