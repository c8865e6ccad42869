"""A plan looks and counts; its numbers are worked by hand from made-up rates."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch import nn

from simcsp import runs, storage
from simcsp.config import RunConfig
from simcsp.model.encoder import load_encoder, remove_top_layers, save_checkpoint
from simcsp.model.objectives import PretrainingObjective
from simcsp.planning import rates as rates_room
from simcsp.planning.plan import planned, stage_states
from simcsp.planning.rates import Rates, measured_rates
from simcsp.planning.work import phases
from simcsp.stages import stage_folder

Finish = Callable[..., None]
States = Callable[[RunConfig, str], dict[str, str]]
Prepare = Callable[..., None]
Seconds = Callable[..., dict[str, float | None]]


@pytest.fixture
def states(accelerator: Accelerator) -> States:
    """``states(config, stage)``: stage → how it is found on the CPU in fp32."""
    return lambda config, stage: {name: one.state for name, one in stage_states(config, stage, accelerator).items()}


def test_stages_are_found_as_they_are(
    config: RunConfig, prepare: Prepare, finish: Finish, states: States, accelerator: Accelerator
) -> None:
    assert states(config, "pretrain") == {"prepare": "to do", "pretrain": "to do"}
    prepare(config)
    finish(config, "pretrain")
    assert states(config, "pretrain") == {"prepare": "finished", "pretrain": "finished"}
    found = stage_states(replace(config, seed=5), "pretrain", accelerator)["pretrain"]
    assert found.state == "refused"
    assert "pretrain: holds the output of other settings: settings.seed was 0, now 5. " in found.problem
    folder = stage_folder(config, "pretrain")
    (folder / runs.DONE).rename(folder / "metrics.jsonl")
    assert states(config, "pretrain")["pretrain"] == "to go on with"
    (folder / runs.RECORD).rename(folder / "thesis.tex")
    assert states(config, "pretrain")["pretrain"] == "refused"


def test_a_stage_that_wrote_nothing_is_to_do(
    config: RunConfig, prepare: Prepare, finish: Finish, states: States
) -> None:
    prepare(config)
    finish(config, "pretrain")
    (stage_folder(config, "pretrain") / runs.DONE).unlink()
    assert states(replace(config, seed=5), "pretrain")["pretrain"] == "to do"


def test_a_report_is_made_anew_whatever_its_folder_holds(config: RunConfig, states: States) -> None:
    storage.write_text(stage_folder(config, "report") / "report.md", "# Run\n")
    assert states(config, "report")["report"] == "to do"


def test_no_stage_is_finished_before_those_that_it_needs(
    config: RunConfig, prepare: Prepare, finish: Finish, states: States
) -> None:
    prepare(config)
    for stage in ("pretrain", "encoders", "finetune", "evaluation"):
        finish(config, stage)
    for stage in ("encoders", "prepare"):
        (stage_folder(config, stage) / "output").touch()
    (stage_folder(config, "encoders") / runs.DONE).unlink()
    assert list(states(config, "report").values()) == [
        "finished", "finished", "to go on with", "finished", "to check after encoders", "to do",
    ]  # fmt: skip
    (stage_folder(config, "prepare") / runs.DONE).unlink()
    assert list(states(config, "finetune").values()) == ["to go on with", *2 * ["to check after prepare"]]


def test_a_stage_made_from_other_data_is_not_finished(
    config: RunConfig, prepare: Prepare, finish: Finish, accelerator: Accelerator
) -> None:
    prepare(config)
    finish(config, "pretrain")
    other = replace(config, data=replace(config.data, seed=3))
    for path in stage_folder(config, "prepare").iterdir():
        path.unlink()
    finish(other, "prepare")
    found = stage_states(other, "pretrain", accelerator)
    assert found["prepare"].state == "finished"
    assert "holds the output of other settings: inputs.prepare was " in found["pretrain"].problem


def test_a_stage_of_another_device_is_not_finished(
    config: RunConfig, prepare: Prepare, finish: Finish, accelerator: Accelerator, states: States
) -> None:
    """Pre-training records its processes, too."""
    prepare(config)
    finish(config, "pretrain", "2 × cpu, fp32")
    assert states(replace(config, processes=2), "pretrain")["pretrain"] == "finished"
    found = stage_states(config, "pretrain", accelerator)["pretrain"]
    assert "other settings: inputs.device was 2 × cpu, fp32, now cpu, fp32. " in found.problem


@pytest.fixture
def seconds(
    config: RunConfig, prepare: Prepare, accelerator: Accelerator, rates: Rates, monkeypatch: pytest.MonkeyPatch
) -> Seconds:
    """``seconds(manifest, **finetune)``: stage → its seconds with the made-up rates and two threads."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)

    def of(manifest: dict[str, Any], **finetune: Any) -> dict[str, float | None]:
        prepare(config, **manifest)
        asked = replace(config, finetune=replace(config.finetune, **finetune))
        return {one.stage: one.work.seconds for one in planned([asked], "report", accelerator)}

    return of


# Each of two folds takes 2 × 12 steps of 16 windows and predicts 200 windows four times, and 400 twice.
STEPS, PREDICTED = 24 * 16 * 4e-2, (4 * 200 + 2 * 400) * 1e-3


def test_times_are_counts_by_rates(seconds: Seconds) -> None:
    found = seconds({})
    look, picture = 200 * (2e-3 + 1e-4), 200 * 2e-3
    assert found["pretrain"] == pytest.approx(20 * 16 * 1e-2 + 20 * 32 * 2e-2 + (3 + 3) * (look + picture) + 2 * 7)
    # three encoders are read twice and scored in two states and their mixture × three poolings, and for a picture
    assert found["encoders"] == pytest.approx(3 * (200 * (2 * 2e-3 + 10 * 3e-4) + picture) + 2 * 7)
    assert found["finetune"] == pytest.approx(4 * 2 * (STEPS + PREDICTED))
    assert found["evaluation"] == pytest.approx(4 * 2 * 2 * 400 * 1e-4 + 7)


def test_windows_of_other_species_are_predicted_in_every_fold(seconds: Seconds) -> None:
    assert seconds({"transfer": 500})["finetune"] == pytest.approx(8 * (STEPS + PREDICTED + 500 * 1e-3))


def test_a_frozen_encoder_embeds_before_and_predicts_other_species_only(seconds: Seconds) -> None:
    """Three encoders embed 800 windows each, and a random start in each of two folds as many."""
    before = 5 * 800 * 2e-3
    assert seconds({}, frozen=True)["finetune"] == pytest.approx(before + 8 * STEPS)
    assert seconds({"transfer": 500}, frozen=True)["finetune"] == pytest.approx(before + 8 * (STEPS + 500 * 1e-3))
    assert seconds({}, frozen=True, parallel=2)["finetune"] == pytest.approx(before + 4 * STEPS)


def test_processes_without_a_thread_of_their_own_gain_nothing(seconds: Seconds) -> None:
    alone = 8 * (STEPS + PREDICTED)
    assert seconds({}, parallel=2)["finetune"] == pytest.approx(alone / 2)
    assert seconds({}, parallel=8)["finetune"] == pytest.approx(alone / 2)


def test_following_costs_an_nmi_at_every_look(seconds: Seconds) -> None:
    assert seconds({}, follow=True)["finetune"] == pytest.approx(8 * (STEPS + PREDICTED + 4 * 200 * 1e-4))


def test_gpus_share_the_steps_of_pretraining(seconds: Seconds, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = seconds({})["pretrain"]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    steps = 20 * 16 * 1e-2 + 20 * 32 * 2e-2
    assert seconds({})["pretrain"] == pytest.approx((alone or 0) - steps + steps / 4)


def test_a_convolutional_network_has_rates_and_a_size_of_its_own(
    config: RunConfig, seconds: Seconds, accelerator: Accelerator
) -> None:
    asked = ("baseline", "cnn")
    cnn = 24 * 16 * 1e-2 + (4 * 200 + 2 * 400) * 5e-4
    assert seconds({}, initialisations=asked)["finetune"] == pytest.approx(2 * (STEPS + PREDICTED) + 2 * cnn)
    tuned = replace(config, finetune=replace(config.finetune, initialisations=asked))
    (room,) = (one.work.room for one in planned([tuned], "finetune", accelerator) if one.stage == "finetune")
    encoder, network = 4 * 1000 + 2 * 400 * 32 * 4, 4 * 500 + 2 * 400 * 64 * 4
    assert room == 2 * encoder + 2 * network + 12 * 1000


@pytest.mark.parametrize(("highest", "per_window"), [(0.0, 2e-2), (0.5, 3e-2)])
@pytest.mark.usefixtures("rates")
def test_trials_have_their_own_batches_and_losses_and_are_measured(
    config: RunConfig, prepare: Prepare, accelerator: Accelerator, highest: float, per_window: float
) -> None:
    """Five trials of 20 steps of 16 pairs; at 0, 10 and 20 their 200 windows are embedded, clustered and laid out."""
    prepare(config)
    search = replace(config.search, trials=5, batch_size=(8, 24), mlm_weight=(0.0, highest))
    contrast = replace(config.pretrain.contrast, batch_size=64)
    asked = replace(config, search=search, pretrain=replace(config.pretrain, contrast=contrast))
    (found,) = (one for one in planned([asked], "search", accelerator) if one.stage == "search")
    look = 200 * (2e-3 + 1e-4) + 200 * 2e-3
    assert found.work.what == "5 trials of 20 steps at most, each measured 3 times"
    assert found.work.seconds == pytest.approx(2 * 7 + 5 * (20 * 32 * per_window + 3 * look))
    assert found.work.room == 12 * 1000  # one checkpoint at a time


@pytest.mark.usefixtures("rates")
def test_room_is_that_of_weights_and_test_embeddings(
    config: RunConfig, prepare: Prepare, accelerator: Accelerator
) -> None:
    prepare(config)
    room = {one.stage: one.work.room for one in planned([config], "report", accelerator)}
    assert room["pretrain"] == 2 * 12 * 1000 + 3 * 4 * 1000  # a checkpoint per phase, three encoders
    assert room["encoders"] == 3 * 200 * 32 * 4
    assert room["finetune"] == 4 * 2 * (4 * 1000 + 2 * 400 * 32 * 4) + 12 * 1000


def test_only_the_first_phase_is_timed_with_the_layers_that_baseline_lacks(
    config: RunConfig, accelerator: Accelerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    larger = load_encoder(replace(config.encoder, hidden=32, layers=3), 42, seed=0)
    save_checkpoint(larger, runs.ROOT / "larger")
    asked = replace(config, encoder=replace(config.encoder, init=str(runs.ROOT / "larger"), drop_layers=1))
    depths: dict[tuple[bool, bool], int] = {}

    def stepped(objective: nn.Module, *_: Any) -> float:
        if isinstance(objective, PretrainingObjective):
            phase = objective.phase
            depths[phase.has_mlm, phase.has_contrast] = objective.encoder.config.num_hidden_layers
        return 1.0

    monkeypatch.setattr(rates_room, "_stepped", stepped)
    found = measured_rates([asked], phases(asked), accelerator)
    assert depths == {(True, False): 3, (False, True): 2}
    assert found is not None
    remove_top_layers(larger, 1)
    assert (found.encoder.parameters, found.encoder.width) == (larger.num_parameters(), 2 * 32)
    assert found.layers == 2
