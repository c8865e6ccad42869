"""What is stored of an encoder is what its vectors score; quirks reach the vectors that they are about."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from accelerate.state import AcceleratorState

import embed as script
from simcsp import runs
from simcsp.config import PRETRAINED, DataConfig, EncoderConfig, PublishedConfig, RunConfig
from simcsp.datasets.windows import WindowTable, save_windows, window_table
from simcsp.metrics.layers import Sites, embedding_scores
from simcsp.metrics.nmi import NmiSettings, cluster
from simcsp.metrics.probe import held_out_probabilities
from simcsp.model.encoder import load_encoder, save_checkpoint

NAMES = ["chr1:1-3:+", "chr1:5-7:-", "windows:3", "chr-:1-3:+"]
SETTINGS = """
run: small
data: {name: small, window: 20, windows: [{format: gue, species: x, sequences: x.csv}]}
split: {folds: 2}
encoder: {hidden: 16, heads: 2, layers: 1, intermediate: 32}
nmi: {seeds: 1}
"""


def windows(names: list[str]) -> WindowTable:
    tokens = np.random.default_rng(0).integers(6, 10, (len(names), 20), dtype=np.uint8)
    kinds = np.arange(len(names), dtype=np.uint8) % 2
    return window_table(tokens, label=kinds, site_type=kinds, species="x", group=names, origin=names)


def config_with(**quirks: bool) -> RunConfig:
    return RunConfig(data=DataConfig(window=20), published=PublishedConfig(**quirks))


@pytest.fixture
def pretrained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Path]:
    """A run that has been pre-trained; called, it lets the script score it and gives the folder of the scores."""
    monkeypatch.setattr(runs, "ROOT", tmp_path)
    monkeypatch.setattr(runs, "lock", lambda folder: None)  # one process enters twice
    monkeypatch.setattr(script, "finished_before", lambda *_: {})
    monkeypatch.setattr("simcsp.stages.finished_before", lambda *_: {})
    monkeypatch.setattr(script, "umap_layout", lambda vectors, seed: vectors[:, :2])
    table = windows([f"w{row}" for row in range(300)])
    table = table._replace(
        label=(np.arange(300) // 2 % 2).astype(np.uint8), part=np.array([row % 5 for row in range(300)], dtype=np.int8)
    )
    save_windows(table, tmp_path / "data" / "prepared" / "small" / "windows")
    for seed, name in enumerate(PRETRAINED):
        small = EncoderConfig(hidden=16, heads=2, layers=1, intermediate=32)
        save_checkpoint(load_encoder(small, 22, seed), tmp_path / "runs" / "small" / "pretrain" / name)
    (tmp_path / "small.yaml").write_text(SETTINGS)
    monkeypatch.setattr(sys, "argv", ["embed.py", "--config", str(tmp_path / "small.yaml")])

    def call() -> Path:
        script.main()
        AcceleratorState._reset_state(reset_partial_state=True)
        return tmp_path / "runs" / "small" / "encoders"

    return call


def test_what_is_stored_of_an_encoder_is_what_its_vectors_score(pretrained: Callable[[], Path]) -> None:
    folder = pretrained()
    scores, layers = (pd.read_csv(folder / name) for name in (runs.SCORES, runs.LAYERS))
    assert list(dict.fromkeys(scores.model)) == list(dict.fromkeys(layers.model)) == list(PRETRAINED)
    assert set(layers.layer) == {"0", "1", "mixture"}
    layout = pd.read_csv(folder / "baseline" / runs.LAYOUT)
    assert (layout.row % 5 == 4).all()  # the selection part
    vectors = np.load(folder / "baseline" / "embeddings.npy")
    sites = Sites(layout.label.to_numpy(), layout.site_type.to_numpy(), layout.origin.to_numpy(dtype=str))
    expected = embedding_scores(vectors, sites, NmiSettings(seeds=1), 0)
    assert scores[scores.model == "baseline"].set_index("metric").value.to_dict() == pytest.approx(
        expected, nan_ok=True
    )
    in_layers = layers[(layers.model == "baseline") & (layers.layer == "1") & (layers.pooling == "site")]
    assert in_layers[list(expected)].iloc[0].to_dict() == pytest.approx(expected, abs=1e-5, nan_ok=True)


def test_every_layer_has_the_layout_clusters_and_scores_of_its_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "umap_layout", lambda vectors, seed: vectors[:, :2])
    table = windows([f"w{row}" for row in range(40)])
    table = table._replace(label=(np.arange(40) // 2 % 2).astype(np.uint8))
    config = RunConfig(data=DataConfig(window=20), encoder=EncoderConfig(layers=3, layer=2), nmi=NmiSettings(seeds=1))
    states = np.random.default_rng(0).normal(size=(40, 4, 8)).astype(np.float32)
    some = np.array([0, 3, 17, 39])
    layout = script._layout(
        states[:, 2] + 100, 1000 + np.arange(40), some, table, config
    )  # what is stored of the pooled one
    found = script._layer_layouts(states, layout, some, table, config).set_index("layer")
    assert list(dict.fromkeys(found.index)) == [1, 2, 3]
    assert found.pooled.groupby("layer").unique().map(list).to_dict() == {1: [False], 2: [True], 3: [False]}
    for layer in (1, 2, 3):
        rows, vectors = found.loc[layer], states[:, layer]
        assert rows.row.tolist() == (1000 + some).tolist()
        shift = 100 if layer == 2 else 0
        assert rows[["umap_1", "umap_2"]].to_numpy() == pytest.approx(vectors[some, :2] + shift)
        probe = held_out_probabilities(vectors, *script._sites(table), seed=0)
        assert rows.probe.to_numpy() == pytest.approx(probe[some], nan_ok=True)
        if layer != 2:
            assert rows.cluster.tolist() == cluster(vectors, config.nmi, 0)[some].tolist()


def test_an_encoder_that_was_scored_before_a_kill_is_not_scored_again(
    pretrained: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    scored: list[str] = []
    score = script._score_encoder

    def score_and_die_at_the_second(name: str, *rest: Any) -> None:
        if scored == ["baseline"]:
            scored.append("killed")
            raise KeyboardInterrupt
        scored.append(name)
        score(name, *rest)

    monkeypatch.setattr(script, "_score_encoder", score_and_die_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        pretrained()
    folder = pretrained()
    assert scored == ["baseline", "killed", *PRETRAINED[1:]]
    assert {path.name for path in folder.iterdir()} >= {*PRETRAINED, runs.SCORES, runs.LAYERS, runs.DONE}


@pytest.mark.parametrize("asked", [False, True])
def test_windows_of_the_minus_strand_are_told_by_their_origin(monkeypatch: pytest.MonkeyPatch, asked: bool) -> None:
    called: dict[str, Any] = {}

    def record(name: str) -> Callable[..., None]:
        return lambda encoder, tokens, *reverse, **_: called.update({name: [rows.tolist() for rows in reverse]})

    monkeypatch.setattr(script, "embed", record("right"))
    monkeypatch.setattr(script, "embed_sites_off_by_one", record("off by one"))
    config = config_with(minus_strand_offset=asked)
    script._site_embeddings(None, windows(NAMES), config, None)  # type: ignore[arg-type]
    assert called == ({"off by one": [[False, True, False, False]]} if asked else {"right": []})
