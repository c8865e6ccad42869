"""Trials without training: what is asked, pruned, failed and remembered."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from simcsp import storage
from simcsp.config import (
    EncoderConfig,
    PhaseConfig,
    PretrainConfig,
    PublishedConfig,
    RunConfig,
    SearchConfig,
    SplitConfig,
)
from simcsp.errors import InputError
from simcsp.training import trials
from simcsp.training.log import RunLog
from simcsp.training.loop import Measure
from simcsp.training.pretraining import SCCS
from simcsp.training.trials import FIXED, Search, TrialResult, require_searchable, search_space, with_settings

CONFIG = RunConfig(
    pretrain=PretrainConfig(contrast=PhaseConfig(steps=4, contrastive_weight=1.0)),
    search=SearchConfig(trials=9, startup=3, drop_layers=(0, 1)),
)
SETTINGS = {
    "pretrain.contrast.learning_rate": 1e-4,
    "pretrain.contrast.temperature": 0.1,
    "encoder.dropout": 0.2,
    "pretrain.contrast.mlm_weight": 0.5,
    "pretrain.contrast.batch_size": 32,
    "encoder.drop_layers": 1,
    "encoder.pooling": "mean",
}

Course = Callable[[RunConfig, int], float]


@pytest.fixture
def make_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Course], Search]:
    """``make_search(course)``: a search whose trainings have the SCCS ``course(settings, step)``."""

    def make(course: Course) -> Search:
        def run_phase(*arguments: Any, measure: Measure) -> None:
            *_, folder, _, _, _ = arguments
            with RunLog(folder, 0) as log:
                for step in (0, 2, 4):
                    log.scalars(step, measure(step, log))

        def measuring(encoder: Any, selection: Any, config: RunConfig, *_: Any) -> Any:
            return lambda step, log: {SCCS: course(config, step)}

        monkeypatch.setattr(trials, "run_phase", run_phase)
        monkeypatch.setattr(trials, "SelectionMeasure", measuring)
        monkeypatch.setattr(trials, "load_checkpoint", lambda *_, **__: SimpleNamespace())
        monkeypatch.setattr(trials, "remove_top_layers", lambda *_: None)
        nothing = cast("Any", None)
        return Search(CONFIG, nothing, nothing, tmp_path / "baseline", tmp_path / "search", nothing)

    return make


def test_settings_of_a_trial_reach_the_encoder_and_the_contrastive_phase() -> None:
    assert set(search_space(CONFIG.search)) == set(SETTINGS)
    changed = with_settings(CONFIG, SETTINGS)
    assert (changed.encoder.dropout, changed.encoder.drop_layers, changed.encoder.pooling) == (0.2, 1, "mean")
    phase = changed.pretrain.contrast
    assert (phase.learning_rate, phase.temperature, phase.mlm_weight, phase.batch_size) == (1e-4, 0.1, 0.5, 32)
    assert (phase.steps, phase.contrastive_weight) == (4, 1.0)
    assert changed.pretrain.baseline == CONFIG.pretrain.baseline
    assert FIXED == {"pretrain.contrast.contrastive_weight": 1.0}


LABELS = PhaseConfig(contrastive_weight=1.0, positives="label")
UNSPACED = {"encoder": EncoderConfig(pooling="cls"), "published": PublishedConfig(unspaced_contrast=True)}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"encoder": EncoderConfig(drop_layers=1)}, "lost layers to encoder.drop_layers already"),
        ({"search": SearchConfig(drop_layers=(0, 4))}, "drop_layers is 4, the encoder has 4 layers"),
        ({"encoder": EncoderConfig(layer=4)}, "layer is 4, the encoder has 3 layers once"),
        ({"pretrain": PretrainConfig(contrast=PhaseConfig(mlm_weight_end=0.5))}, "weights are constant in a trial"),
        (
            {
                "pretrain": PretrainConfig(contrast=LABELS),
                "split": SplitConfig(pretraining=1),
                "search": SearchConfig(batch_size=(32, 3)),
            },
            "batch_size must be at least 4 .* Narrow the search; it holds a trial with .*batch_size 3",
        ),
        ({"published": PublishedConfig(minus_strand_offset=True)}, "encoder.pooling must be site"),
        (
            UNSPACED
            | {
                "pretrain": PretrainConfig(contrast=PhaseConfig(mlm_weight=0, contrastive_weight=1)),
                "search": SearchConfig(pooling=("cls",)),
            },
            "mlm_weight must be 0",
        ),
    ],
)
def test_what_some_trial_could_not_have_is_refused_before_the_first(
    changes: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    storage.write_json(tmp_path / "config.json", {"num_hidden_layers": 4})
    require_searchable(CONFIG, tmp_path)
    with pytest.raises(InputError, match=problem):
        require_searchable(replace(CONFIG, **changes), tmp_path)


def test_a_trial_is_worth_its_best_sccs_after_step_0(make_search: Callable[[Course], Search]) -> None:
    values = {0: 0.9, 2: 0.4, 4: 0.3}
    search = make_search(lambda config, step: values[step])
    result = search.run_next()
    assert result == TrialResult(0, "complete", result.settings, 0.4, values)
    assert search.finished() == [result]


def test_tensorboard_tells_trials_and_settings_apart_by_short_names(make_search: Callable[[Course], Search]) -> None:
    search = make_search(lambda config, step: step / 10)
    for number in range(2):
        settings = search.run_next().settings
        events = EventAccumulator(str(search.folder / f"trial-00{number}")).Reload()
        stored = {name: data.plugin_data.content for name, data in events.summary_metadata.items() if "hparams" in name}
        page = HParamsPluginData.FromString(stored["_hparams_/experiment"]).experiment
        trial = HParamsPluginData.FromString(stored["_hparams_/session_start_info"]).session_start_info
        assert trial.group_name == f"trial {number} (demo)"
        assert {column.name for column in page.hparam_infos} == set(trial.hparams) == set(settings)
        assert {column.display_name for column in page.hparam_infos} == {
            "learning rate", "temperature", "batch size", "mlm weight", "dropout", "drop layers", "pooling",
        }  # fmt: skip
        (metric,) = page.metric_infos
        assert [event.value for event in events.Scalars(metric.name.tag)] == pytest.approx([0.4])


@pytest.mark.parametrize("baseline", [0.0, 0.95])
def test_later_trials_below_the_median_are_stopped_whatever_baseline_has(
    make_search: Callable[[Course], Search], baseline: float
) -> None:
    rank = iter([0.5, 0.6, 0.7, 0.1, 0.9])
    current: dict[str, float] = {}

    def course(config: RunConfig, step: int) -> float:
        if step == 0:
            current["level"] = next(rank)
            return baseline
        return current["level"]

    search = make_search(course)
    states = [search.run_next() for _ in range(5)]
    assert [result.state for result in states] == ["complete", "complete", "complete", "pruned", "complete"]
    assert states[3].course == {0: baseline, 2: 0.1}
    assert search.finished() == states


def test_trials_that_diverge_are_remembered_as_failed(
    make_search: Callable[[Course], Search], capsys: pytest.CaptureFixture[str]
) -> None:
    def diverge(config: RunConfig, step: int) -> float:
        raise InputError("the loss is nan at step 1")

    search = make_search(diverge)
    first, second = search.run_next(), search.run_next()
    assert (first.state, second.state) == ("failed", "failed")
    assert math.isnan(first.sccs)
    assert first.settings != second.settings
    assert "the loss is nan" in capsys.readouterr().out


def test_what_is_asked_follows_from_the_seed_and_the_trials_before(
    make_search: Callable[[Course], Search], tmp_path: Path
) -> None:
    search = make_search(lambda config, step: config.encoder.dropout * step)
    first = [search.run_next().settings for _ in range(5)]
    for other, seed in (("again", 0), ("other", 1)):
        search.config, search.folder = replace(CONFIG, seed=seed), tmp_path / other
        assert ([search.run_next().settings for _ in range(5)] == first) is (seed == 0)
