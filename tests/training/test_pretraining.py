from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from matplotlib.figure import Figure
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import PreTrainedModel

from simcsp.config import EncoderConfig, PhaseConfig, RunConfig, ViewConfig
from simcsp.datasets.corpus import Corpus
from simcsp.datasets.pairs import LabelledPairs
from simcsp.datasets.windows import WindowTable, window_table
from simcsp.metrics.nmi import NmiSettings, nmi
from simcsp.metrics.sccs import sccs
from simcsp.model.embedding import embed
from simcsp.model.encoder import load_encoder
from simcsp.sequence.alphabet import A
from simcsp.training import pretraining
from simcsp.training.batches import Batch, PretrainingBatches
from simcsp.training.log import RunLog, read_metrics
from simcsp.training.loop import Plan
from simcsp.training.pretraining import NMI, SCCS, SelectionMeasure, run_phase

CONFIG = RunConfig(
    encoder=EncoderConfig(hidden=16, layers=1, heads=2, intermediate=32, local_attention=8),
    nmi=NmiSettings(seeds=2),
)
PHASE = PhaseConfig(steps=4, batch_size=4, evaluate_every=2, save_every=2, contrastive_weight=1.0)


@pytest.fixture(autouse=True)
def no_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures without the seconds that UMAP takes to compile."""

    def blank(*_: Any) -> dict[str, Figure]:
        figure = Figure(figsize=(1, 1))
        figure.subplots()
        return {"by label": figure}

    monkeypatch.setattr(pretraining, "umap_figures", blank)


@pytest.fixture(scope="module")
def selection() -> WindowTable:
    rng = np.random.default_rng(0)
    return window_table(
        rng.integers(A, A + 4, size=(60, 12), dtype=np.uint8),
        label=(np.arange(60) // 2 % 2).astype(np.uint8),
        site_type=(np.arange(60) % 2).astype(np.uint8),
        species="x",
        group=[str(row) for row in range(60)],
        origin=[str(row) for row in range(60)],
    )


@pytest.fixture
def encoder() -> PreTrainedModel:
    return load_encoder(CONFIG.encoder, 14, seed=0)


def test_measured_are_sccs_and_nmi_of_the_encoder_without_dropout(
    encoder: PreTrainedModel, selection: WindowTable, accelerator: Accelerator, tmp_path: Path
) -> None:
    measure = SelectionMeasure(encoder, selection, CONFIG, accelerator, last_step=9)
    with RunLog(tmp_path, 0) as log:
        values = measure(0, log)
        torch.manual_seed(1)
        assert measure(1, log) == values  # chance is that of the configuration's seed
    vectors = embed(encoder, selection.tokens, pooling="site", layer=-1, accelerator=accelerator)
    clusters = nmi(vectors, selection.label, selection.site_type, CONFIG.nmi, 0)
    assert values[SCCS] == sccs(vectors, selection.label, 0).value
    assert (values[NMI], values["validation/nmi_donor"]) == (clusters.value, clusters.donor)
    assert values["validation/sccs_ceiling"] == pytest.approx(0.866, abs=0.02)
    assert values["validation/mlm_loss"] == pytest.approx(np.log(10), abs=0.2)  # of ten tokens, untrained
    assert all(name.startswith("validation/") for name in values)


def test_other_weights_give_other_numbers(
    encoder: PreTrainedModel, selection: WindowTable, accelerator: Accelerator, tmp_path: Path
) -> None:
    other = load_encoder(CONFIG.encoder, 14, seed=1)
    with RunLog(tmp_path, 0) as log:
        first, second = (SelectionMeasure(e, selection, CONFIG, accelerator, 9)(0, log) for e in (encoder, other))
    for name in (SCCS, "validation/mlm_loss", "validation/uniformity", "validation/effective_rank"):
        assert first[name] != second[name]


def test_collapse_of_the_embedding_is_said(
    encoder: PreTrainedModel,
    selection: WindowTable,
    accelerator: Accelerator,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measure = SelectionMeasure(encoder, selection, CONFIG, accelerator, 9)
    monkeypatch.setattr(pretraining, "_COLLAPSED", 0.0)
    with RunLog(tmp_path, 0) as log:
        assert 0 < measure(0, log)["validation/spread"] <= 1
        assert "collapsed" not in capsys.readouterr().out
        monkeypatch.setattr(pretraining, "_COLLAPSED", 1.0)
        measure(1, log)
    assert "embeddings have collapsed at step 1: their spread is 0." in capsys.readouterr().out


def test_every_moment_has_a_picture_and_the_last_one_the_projector(
    encoder: PreTrainedModel, selection: WindowTable, accelerator: Accelerator, tmp_path: Path
) -> None:
    measure = SelectionMeasure(encoder, selection, CONFIG, accelerator, last_step=4)
    with RunLog(tmp_path, 0) as log:
        measure(0, log)
        assert not (tmp_path / "projector_config.pbtxt").exists()
        measure(4, log)
    assert (tmp_path / "projector_config.pbtxt").exists()
    (metadata,) = tmp_path.rglob("metadata.tsv")
    header, *rows = metadata.read_text().splitlines()
    assert header.split("\t") == ["window", "label", "site type", "species", "cluster", "origin"]
    assert sorted(int(row.split("\t")[-1]) for row in rows) == list(range(60))
    assert {tuple(row.split("\t")[:4]) for row in rows} == {
        ("donor", "splice site", "donor", "x"),
        ("decoy GT", "decoy", "donor", "x"),
        ("acceptor", "splice site", "acceptor", "x"),
        ("decoy AG", "decoy", "acceptor", "x"),
    }
    events = EventAccumulator(str(tmp_path)).Reload()
    assert events.Tags()["images"] == ["umap/layer 1 by label"]
    assert [event.step for event in events.Images("umap/layer 1 by label")] == [0, 4]


def test_every_layer_is_drawn_and_the_pooled_one_with_its_clusters(
    selection: WindowTable, accelerator: Accelerator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(CONFIG, encoder=replace(CONFIG.encoder, layers=3, layer=2))
    encoder = load_encoder(config.encoder, 14, seed=0)
    drawn: dict[str, tuple[np.ndarray, bool]] = {}

    def picture(vectors: np.ndarray, label: Any, site: Any, title: str, seed: int, clusters: Any) -> dict[str, Figure]:
        drawn[title] = (vectors, clusters is not None)
        return {how: Figure(figsize=(1, 1)) for how in ("by label", "by cluster")[: 1 if clusters is None else 2]}

    monkeypatch.setattr(pretraining, "umap_figures", picture)
    with RunLog(tmp_path, 0) as log:
        SelectionMeasure(encoder, selection, config, accelerator, last_step=9)(7, log)
    assert list(drawn) == [f"layer {layer} of 3, step 7" for layer in (1, 2, 3)]
    assert [clustered for _, clustered in drawn.values()] == [False, True, False]
    assert EventAccumulator(str(tmp_path)).Reload().Tags()["images"] == [
        "umap/layer 1 by label", "umap/layer 2 by label", "umap/layer 2 by cluster", "umap/layer 3 by label",
    ]  # fmt: skip
    rows = np.random.default_rng(config.seed).permutation(60)
    for layer, (vectors, _) in enumerate(drawn.values(), start=1):
        wanted = embed(encoder, selection.tokens[rows], pooling="site", layer=layer, accelerator=accelerator)
        np.testing.assert_allclose(vectors, wanted, atol=1e-5)


def test_measuring_the_last_step_again_leaves_one_projection(
    encoder: PreTrainedModel,
    selection: WindowTable,
    accelerator: Accelerator,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for start in (0, 2):  # killed after its last measurement, and resumed
        with RunLog(tmp_path, start) as log:
            SelectionMeasure(encoder, selection, CONFIG, accelerator, last_step=4)(4, log)
    assert "warning" not in capsys.readouterr().out
    assert (tmp_path / "projector_config.pbtxt").read_text().count("embeddings {") == 1
    assert len(list(tmp_path.rglob("tensors.tsv"))) == 1


def test_a_phase_keeps_the_best_of_each_metric_and_ends_with_the_last_weights(
    encoder: PreTrainedModel, selection: WindowTable, corpus: Corpus, accelerator: Accelerator, tmp_path: Path
) -> None:
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    select = {SCCS: tmp_path / "best_sccs", NMI: tmp_path / "best_nmi"}
    done = run_phase("contrast", encoder, PHASE, CONFIG, corpus, selection, tmp_path / "phase", accelerator, select)
    assert done.step == 4
    measured = {r["step"]: r for r in read_metrics(tmp_path / "phase") if SCCS in r}
    assert list(measured) == [0, 2, 4]
    for metric, folder in select.items():
        value, step = done.best[metric]
        assert value == max(measured[2][metric], measured[4][metric]) == measured[step][metric]
        assert (folder / "model.safetensors").exists()
    last = load_file(tmp_path / "phase" / "checkpoint-4" / "model.safetensors")
    assert all(torch.equal(encoder.state_dict()[name], weights) for name, weights in last.items())
    assert any(not torch.equal(encoder.state_dict()[name], weights) for name, weights in before.items())


def test_phases_differ_in_seed_and_follow_their_settings(
    encoder: PreTrainedModel,
    selection: WindowTable,
    corpus: Corpus,
    accelerator: Accelerator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class StopError(Exception):
        pass

    seen: list[tuple[Plan, PretrainingBatches]] = []

    def instead(objective: Any, batches: PretrainingBatches, measure: Any, plan: Plan, *_: Any) -> None:
        seen.append((plan, batches))
        raise StopError

    monkeypatch.setattr(pretraining, "train", instead)
    for name, config in (("baseline", CONFIG), ("contrast", CONFIG), ("baseline", replace(CONFIG, seed=1))):
        with pytest.raises(StopError):
            run_phase(name, encoder, PHASE, config, corpus, selection, tmp_path, accelerator, {})
    assert len({plan.seed for plan, _ in seen}) == len({batches.seed for _, batches in seen}) == 3
    plan, batches = seen[0]
    assert (plan.steps, plan.evaluate_every, plan.save_every, plan.optimiser) == (4, 2, 2, PHASE)
    assert plan.patience == 0
    assert batches.settings == CONFIG.pretrain


@pytest.mark.parametrize(
    "phase",
    [replace(PHASE, views=ViewConfig(shift=1, mutated=0.3, core=2)), replace(PHASE, positives="label", chunk=2)],
    ids=["views", "labels"],
)
def test_a_phase_of_other_contrasts_that_was_killed_ends_in_the_same_weights(
    phase: PhaseConfig,
    selection: WindowTable,
    corpus: Corpus,
    accelerator: Accelerator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pairs = LabelledPairs(selection) if phase.positives == "label" else None
    weights, draw = [], PretrainingBatches.__call__

    def killed(batches: PretrainingBatches, step: int) -> Batch:
        if step == 3:
            raise MemoryError
        return draw(batches, step)

    for folder in ("whole", "killed", "killed"):
        encoder = load_encoder(CONFIG.encoder, 14, seed=0)
        monkeypatch.setattr(PretrainingBatches, "__call__", draw)
        if folder == "killed" and not (tmp_path / folder).exists():
            monkeypatch.setattr(PretrainingBatches, "__call__", killed)
            with pytest.raises(MemoryError):
                run_phase("x", encoder, phase, CONFIG, corpus, selection, tmp_path / folder, accelerator, {}, pairs)
            continue
        run_phase("x", encoder, phase, CONFIG, corpus, selection, tmp_path / folder, accelerator, {}, pairs)
        weights.append(encoder.state_dict())
    whole, resumed = weights
    assert all(torch.equal(resumed[name], value) for name, value in whole.items())
