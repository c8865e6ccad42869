from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from simcsp import runs, storage
from simcsp.config import RunConfig, as_plain
from simcsp.datasets.windows import save_windows, window_table
from simcsp.errors import InputError
from simcsp.report.exploration import (
    COLOURED,
    Explored,
    cluster_table,
    colour_panels,
    encoder_panels,
    layer_panels,
    layout_figure,
    menus,
    open_run,
)
from simcsp.report.logos import base_frequencies, cluster_logos, information
from simcsp.sequence.alphabet import A, C, G, N, T

ROWS = np.arange(0, 80, 2)  # of 80 prepared windows, those of the selection part


def write_encoder(folder: Path) -> None:
    """40 windows: donors are cluster 0, acceptors 1; in layer 1 all lie mirrored and are one cluster."""
    folder.mkdir(parents=True)
    kind = np.arange(40) % 2
    facts = {"row": ROWS, "origin": [f"w{row}" for row in ROWS], "label": np.arange(40) // 2 % 2, "site_type": kind}
    places = {"cluster": kind, "umap_1": np.arange(40.0), "umap_2": np.arange(40.0) ** 2}
    layout = pd.DataFrame({**facts, "species": np.where(np.arange(40) < 20, "human", "fly"), **places})
    layout.to_csv(folder / runs.LAYOUT, index=False)
    parts = [
        layout[["row", "cluster", "umap_1", "umap_2"]].assign(layer=layer, pooled=layer == 2, probe=0.1 * layer)
        for layer in (1, 2)
    ]
    parts[0]["umap_1"] *= -1
    parts[0]["cluster"] = 0
    pd.concat(parts).to_csv(folder / runs.LAYER_LAYOUTS, index=False)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Explored:
    """A run whose encoders are those of another run that it shares pre-training with."""
    monkeypatch.setattr(runs, "ROOT", tmp_path)
    tokens = np.random.default_rng(0).integers(A, A + 4, size=(80, 20), dtype=np.uint8)
    tokens[:, 9:11] = [G, T]
    facts = {"label": np.zeros(80, dtype=np.uint8), "site_type": np.zeros(80, dtype=np.uint8)}
    names = [f"w{row}" for row in range(80)]
    table = window_table(tokens, **facts, species="x", group=names, origin=names)
    save_windows(table, tmp_path / "data" / "prepared" / "demo" / "windows")
    evaluation = tmp_path / "runs" / "small" / "evaluation"
    storage.write_json(evaluation / runs.CONFIG, as_plain(RunConfig(run="small", pretrained="shared")))
    storage.write_json(evaluation / runs.DONE, {})
    write_encoder(tmp_path / "runs" / "shared" / "encoders" / "best_sccs")
    write_encoder(tmp_path / "runs" / "shared" / "encoders" / "baseline")
    return open_run("small")


def test_a_run_is_found_with_the_encoders_that_it_shares(run: Explored) -> None:
    assert run.encoders == ["baseline", "best_sccs"]
    assert run.layers("baseline") == [2, 1]
    assert run.tokens.shape == (80, 20)


def test_windows_are_those_of_the_layer_that_is_asked_for(run: Explored) -> None:
    pooled, lower = run.windows("baseline"), run.windows("baseline", 1)
    assert set(COLOURED) <= set(pooled)
    assert pooled.row.tolist() == lower.row.tolist() == ROWS.tolist()
    assert lower.umap_1.tolist() == (-pooled.umap_1).tolist()
    assert (set(pooled.score), set(lower.score), set(lower.cluster)) == ({0.2}, {0.1}, {0})
    assert pooled.window.tolist()[:4] == ["decoy GT", "decoy AG", "donor", "acceptor"]


def test_a_run_that_pools_the_embedding_shows_it_without_scores(run: Explored) -> None:
    path = run.folder / "baseline" / runs.LAYER_LAYOUTS
    pd.read_csv(path).assign(pooled=False).to_csv(path, index=False)
    assert run.layers("baseline") == [1, 2]
    windows = run.windows("baseline")
    assert windows.cluster.tolist() == (np.arange(40) % 2).tolist()
    assert windows.score.isna().all()
    assert [axes.get_title() for axes in colour_panels(windows).axes if axes.axison] == list(COLOURED.values())[:5]


def test_a_run_that_has_not_come_so_far_is_named(run: Explored, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="runs/other: there is no such run"):
        open_run("other")
    for path in run.folder.glob(f"*/{runs.LAYOUT}"):
        path.unlink()
    with pytest.raises(InputError, match="no encoders have been embedded here"):
        open_run("small")


@pytest.mark.parametrize("colour", COLOURED)
def test_every_window_is_drawn_once_in_every_colour(run: Explored, colour: str) -> None:
    windows = run.windows("baseline")
    axes = layout_figure(windows, colour, "title").axes[0]
    drawn = np.concatenate([np.asarray(points.get_offsets()) for points in axes.collections])
    assert sorted(drawn.tolist()) == windows[["umap_1", "umap_2"]].to_numpy().tolist()
    assert axes.get_title() == COLOURED[colour]


def test_encoders_and_layers_stand_side_by_side(run: Explored) -> None:
    assert [axes.get_title() for axes in encoder_panels(run).axes] == ["BASELINE", "BEST_SCCS"]
    assert [axes.get_title() for axes in layer_panels(run, "baseline", "cluster").axes] == ["layer 1", "layer 2"]


def test_the_table_says_what_clusters_hold() -> None:
    windows = pd.DataFrame(
        {
            "cluster": [0, 1, 1, 1],
            "window": ["donor", "acceptor", "acceptor", "decoy AG"],
            "score": [1.0, 0.5, 0.7, 0.6],
        }
    )
    table = cluster_table(windows)
    assert table.index.tolist() == [1, 0]  # the largest first
    row = table.loc[1]
    assert (row.windows, row.acceptor, row["decoy AG"], row.donor, row.mostly) == (3, 2, 1, 0, "acceptor")
    assert (row.purity, row["mean score"]) == (pytest.approx(2 / 3), pytest.approx(0.6))


def test_places_are_counted_from_the_dinucleotide_and_n_counts_for_no_base() -> None:
    tokens = np.array([[C, G, T, A], [C, G, T, C], [N, G, T, N], [T, G, T, A]], dtype=np.uint8)
    found = base_frequencies(tokens, flank=9)  # more than there is
    assert found.index.tolist() == [-1, 0, 1, 2]
    assert found.loc[-1].tolist() == pytest.approx([0, 2 / 3, 0, 1 / 3])
    assert found.loc[0].tolist() == [0, 0, 1, 0]
    assert found.loc[2].tolist() == pytest.approx([2 / 3, 1 / 3, 0, 0])


def test_information_of_a_base_that_is_sure_is_two_bits_and_of_chance_none() -> None:
    """Schneider and Stephens: 2 bits minus the entropy, split by frequency; half and half leaves 1 bit."""
    frequencies = pd.DataFrame([[1, 0, 0, 0], [0.25] * 4, [0.5, 0, 0, 0.5]], columns=list("ACGT"))
    assert information(frequencies).to_numpy().tolist() == [[2, 0, 0, 0], [0, 0, 0, 0], [0.5, 0, 0, 0.5]]


def test_each_cluster_has_its_logo_but_those_of_few_windows(run: Explored) -> None:
    windows = run.windows("baseline")
    windows.loc[windows.index[:3], "cluster"] = 7
    figure = cluster_logos(run, windows, flank=4)
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.axison]
    assert titles == ["cluster 1: 19 windows, 53% acceptor", "cluster 0: 18 windows, 50% decoy GT"]
    for axes in figure.axes[:2]:
        assert axes.get_xlim() == pytest.approx((-4.5, 5.5), abs=0.1)


def test_menus_redraw_what_they_are_set_to(run: Explored, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}

    def interact(draw: Callable[..., Figure], **choices: object) -> None:
        asked.update(choices)
        asked["figure"] = draw("best_sccs", 1, "score")

    monkeypatch.setattr("ipywidgets.interact", interact)
    menus(run)
    figure = asked["figure"]
    assert isinstance(figure, Figure)
    assert figure.get_suptitle() == "small, BEST_SCCS, layer 1"
    assert asked["layer"].options == (2, 1)  # type: ignore[attr-defined]
