from collections.abc import Mapping
from io import BytesIO
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Affine2D
from numpy.typing import NDArray

from simcsp.config import PRETRAINED, UNTRAINED
from simcsp.report import figures
from simcsp.report.figures import (
    CLASSES,
    COLOURS,
    TITLES,
    f1_boxplot,
    layer_maps,
    pretraining_curves,
    score_curves,
    umap_panels,
)
from simcsp.sequence.sites import ACCEPTOR, DONOR, window_name

F1 = {"baseline": [0.9, 0.91, 0.92], "best_sccs": [0.93, 0.94, 0.95], "logistic_regression": [0.8, 0.7, 0.75]}
SCCS, NMI, MLM = "validation/sccs", "validation/nmi", "validation/mlm_loss"


def is_drawn(figure: Figure) -> bool:
    """It can be saved, and is not blank."""
    stream = BytesIO()
    figure.savefig(stream, format="rgba", dpi=40)
    return len(set(stream.getvalue())) > 10


def explains(axes: Axes, side: str) -> bool:
    """A side has a label, names at its ticks, or no ticks on purpose."""
    axis = axes.xaxis if side == "x" else axes.yaxis
    names = [text.get_text() for text in axis.get_ticklabels()]
    return bool(axis.get_label_text()) or any(name.isalpha() for name in names) or not len(axis.get_ticklocs())


def labelled(figure: Figure) -> bool:
    return all(explains(axes, side) for axes in figure.axes for side in "xy")


def test_every_model_has_a_title_and_a_colour_of_its_own() -> None:
    models = {*PRETRAINED, *UNTRAINED, "mlm_control", "joint", "supervised", "logistic_regression"}
    assert set(COLOURS) == set(TITLES) == models
    assert len({to_rgb(colour) for colour in COLOURS.values()}) == len(set(TITLES.values())) == len(models)


# Linear RGB as seen without one kind of cone (Machado, Oliveira & Fernandes 2009, severity 1).
SEEN = {
    "trichromat": np.eye(3),
    "protanope": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranope": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanope": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])  # of sRGB


def linear(colour: str) -> NDArray[np.float64]:
    values = np.array(to_rgb(colour))
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIE L*a*b* of linear RGB under D65."""
    x, y, z = np.cbrt(TO_XYZ @ np.clip(rgb, 1e-3, 1) / [0.9505, 1.0, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("reader", SEEN)
@pytest.mark.parametrize("colours", [COLOURS, CLASSES], ids=["models", "classes"])
def test_colours_are_told_apart_by_colour_blind_readers(reader: str, colours: Mapping[str, str]) -> None:
    seen = {name: lab(np.array(SEEN[reader]) @ linear(colour)) for name, colour in colours.items()}
    apart = {(a, b): float(np.linalg.norm(seen[a] - seen[b])) for a, b in combinations(seen, 2)}
    assert {pair: distance for pair, distance in apart.items() if distance < 15} == {}


def test_colours_are_seen_on_white_paper() -> None:
    luminance = {name: float(TO_XYZ[1] @ linear(colour)) for name, colour in COLOURS.items()}
    assert {name: value for name, value in luminance.items() if 1.05 / (value + 0.05) < 2.2} == {}


def test_every_class_of_windows_has_a_colour_of_its_own() -> None:
    assert set(CLASSES) == {window_name(label, site_type) for label in (0, 1) for site_type in (DONOR, ACCEPTOR)}
    assert len({to_rgb(colour) for colour in CLASSES.values()}) == 4


# --- F1 ----------------------------------------------------------------------------------------------------------


def test_boxes_show_every_fold_of_every_model() -> None:
    figure = f1_boxplot(F1)
    (axes,) = figure.axes
    assert labelled(figure)
    assert [text.get_text() for text in axes.get_xticklabels()] == ["BASELINE", "BEST_SCCS", "logistic\nregression"]
    points = [line for line in axes.lines if line.get_marker() == "o"]
    assert [list(np.asarray(line.get_ydata())) for line in points] == list(F1.values())
    assert [line.get_color() for line in points] == [COLOURS[name] for name in F1]
    assert is_drawn(figure)


def corners(text: Text) -> NDArray[np.float64]:
    """Of the box around a text in pixels, turned as the text is about its anchor: ``(4, 2)``."""
    x, y = text.get_transform().transform(text.get_position())
    turn = Affine2D().translate(-x, -y).rotate_deg(text.get_rotation()).translate(x, y)
    rotation = text.get_rotation()
    text.set_rotation(0)
    box = text.get_window_extent()
    text.set_rotation(rotation)
    return np.asarray(turn.transform(box.corners()))


def cover_each_other(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Two rectangles do unless a side of one of them separates them."""
    sides = [rectangle[corner] - rectangle[0] for rectangle in (one, other) for corner in (1, 2)]
    apart = ((one @ side).max() < (other @ side).min() or (other @ side).max() < (one @ side).min() for side in sides)
    return not any(apart)


@pytest.mark.parametrize("models", [5, 8, 9, 20])
def test_names_of_many_models_do_not_cover_each_other(models: int) -> None:
    names = [*TITLES, *(f"contrast-{step}" for step in range(100, 2000, 100))][:models]
    figure = f1_boxplot({name: [0.8, 0.9] for name in names})
    figure.savefig(BytesIO(), format="rgba", dpi=figure.dpi)
    boxes = [corners(text) for text in figure.axes[0].get_xticklabels()]
    assert [pair for pair in pairwise(boxes) if cover_each_other(*pair)] == []
    assert figure.get_figwidth() < 14


def test_a_single_fold_and_an_unknown_model_are_drawn_too() -> None:
    assert is_drawn(f1_boxplot({"baseline": [0.9], "mine": [0.8]}))


# --- pre-training --------------------------------------------------------------------------------------------------


def records(steps: list[int], **extra: Any) -> list[Mapping[str, Any]]:
    measured = [{"step": step, SCCS: step / 100, NMI: step / 50, MLM: 1 - step / 100, **extra} for step in steps]
    return [*measured, {"step": steps[-1], "train/loss": 1.0}]


def test_phases_follow_each_other_and_the_kept_steps_are_marked() -> None:
    phases = [("baseline", records([0, 10, 20])), ("contrast", records([0, 5, 10]))]
    figure = pretraining_curves(phases, {SCCS: 5, NMI: 10})
    assert len(figure.axes) == 3
    assert labelled(figure)
    for axes, kept in zip(figure.axes, (25, 30, None), strict=True):
        lines = [line for line in axes.lines if line.get_marker() == "o"]
        assert [list(np.asarray(line.get_xdata())) for line in lines] == [[0, 10, 20], [20, 25, 30]]
        stars = [list(np.asarray(line.get_xdata())) for line in axes.lines if line.get_marker() == "*"]
        assert stars == ([] if kept is None else [[kept]])
    assert [text.get_text() for text in figure.axes[0].texts] == [" contrast"]
    assert is_drawn(figure)


def test_a_run_without_a_first_phase_begins_at_0() -> None:
    (axes, *_) = pretraining_curves([("contrast", records([0, 5]))], {SCCS: 5}).axes
    (line, star) = axes.lines
    assert list(np.asarray(line.get_xdata())) == [0, 5]
    assert list(np.asarray(star.get_xdata())) == [5]


def test_numbers_that_are_missing_or_undefined_leave_gaps() -> None:
    unmeasured: list[Mapping[str, Any]] = [{"step": 0, "train/loss": 1.0}, {"step": 10, "train/loss": 1.0}]
    figure = pretraining_curves([("baseline", unmeasured), ("contrast", records([0, 5], **{NMI: None}))], {})
    curves = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert list(np.asarray(curves[-1].get_xdata())) == [10, 15]
    assert is_drawn(figure)


# --- layouts -----------------------------------------------------------------------------------------------------


@pytest.fixture
def layout(rng: np.random.Generator) -> NDArray[np.float64]:
    return rng.normal(size=(40, 2))


LABEL, SITE = np.repeat([0, 1], 20).astype(np.uint8), np.tile([0, 1], 20).astype(np.uint8)


@pytest.mark.parametrize("models", [("baseline",), ("baseline", "best_sccs", "best_nmi")])
def test_layouts_are_drawn_by_label_above_and_by_cluster_below(
    layout: NDArray[np.float64], models: tuple[str, ...]
) -> None:
    clusters = np.arange(40) % 3
    layouts = {name: layout + place for place, name in enumerate(models)}
    figure = umap_panels(layouts, LABEL, SITE, dict.fromkeys(models, clusters))
    assert len(figure.axes) == 2 * len(models)
    assert labelled(figure)
    above, below = figure.axes[: len(models)], figure.axes[len(models) :]
    assert [axes.get_title() for axes in above] == [TITLES[name] for name in models]
    assert all(sum(len(np.asarray(c.get_offsets())) for c in axes.collections) == 40 for axes in figure.axes)
    assert [text.get_text() for text in below[0].texts] == ["0", "1", "2"]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["decoy GT", "donor", "decoy AG", "acceptor"]
    assert is_drawn(figure)


def test_a_checkpoint_that_is_best_twice_is_drawn_once_under_both_names(
    layout: NDArray[np.float64], layers: pd.DataFrame
) -> None:
    models, one = ("baseline", "best_sccs", "best_nmi"), np.zeros(40, dtype=int)
    layouts = {"baseline": layout + 1, "best_sccs": layout, "best_nmi": layout.copy()}
    panels = umap_panels(layouts, LABEL, SITE, dict.fromkeys(models, one))
    assert [axes.get_title() for axes in panels.axes[:2]] == ["BASELINE", "BEST_SCCS = BEST_NMI"]
    other = {**dict.fromkeys(models, one), "best_nmi": one + 1}
    assert len(umap_panels(layouts, LABEL, SITE, other).axes) == 6, "clusters differ"

    scores = {"baseline": LABEL * 0.6, "best_sccs": LABEL * 0.7, "best_nmi": LABEL * 0.7}
    legend = score_curves({name: (LABEL, score) for name, score in scores.items()}).axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["BASELINE", "BEST_SCCS = BEST_NMI"]

    first = layers[layers.model == "baseline"]
    maps = layer_maps(pd.concat([layers, first.assign(model="random")])).axes
    titles = [axes.get_ylabel() for axes in maps if axes.get_ylabel()]
    assert titles[0] == "BASELINE =\nrandom start\nlayer"
    assert len(titles) == layers.model.nunique()


def test_every_class_lies_where_its_windows_are(layout: NDArray[np.float64]) -> None:
    figure = umap_panels({"now": layout}, LABEL, SITE, {"now": np.zeros(40, dtype=int)})
    drawn = {c.get_label(): np.asarray(c.get_offsets()) for c in figure.axes[0].collections}
    for name, label, site in (("decoy GT", 0, 0), ("donor", 1, 0), ("decoy AG", 0, 1), ("acceptor", 1, 1)):
        assert (drawn[name] == layout[(label == LABEL) & (site == SITE)]).all()


def test_the_picture_of_a_moment_is_one_layout(monkeypatch: pytest.MonkeyPatch, layout: NDArray[np.float64]) -> None:
    monkeypatch.setattr(figures, "umap_layout", lambda embeddings, seed: layout + embeddings[:, :2] + seed)
    clusters = np.zeros(40, dtype=int)
    assert list(figures.umap_figures(np.ones((40, 5)), LABEL, SITE, "layer 1", 3)) == ["by label"]
    pictures = figures.umap_figures(np.ones((40, 5)), LABEL, SITE, "layer 2", 3, clusters)
    assert list(pictures) == ["by label", "by cluster"]
    for picture in pictures.values():
        assert picture.axes[0].get_title() == "layer 2"
        assert (picture.get_size_inches() * picture.dpi).tolist() == [350, 350]
        assert is_drawn(picture)
    (drawn,) = pictures["by cluster"].axes[0].collections
    assert np.asarray(drawn.get_offsets()) == pytest.approx(layout + 1 + 3)


# --- layers ----------------------------------------------------------------------------------------------------


def test_maps_show_every_score_of_every_encoder_with_its_best_cell_framed(layers: pd.DataFrame) -> None:
    figure = layer_maps(layers)
    maps = figure.axes[:9]
    assert [axes.get_title() for axes in maps[:3]] == ["SCCS", "NMI", "linear probe, AUROC"]
    assert [axes.get_ylabel() for axes in maps[::3]] == [f"{TITLES[m]}\nlayer" for m in layers.model.unique()]
    nmi = maps[4]  # of BEST_SCCS
    assert np.asarray(nmi.images[0].get_array()).tolist() == pytest.approx(
        np.array([[0.22, 0.2], [0.24, 0.28], [0.2, 0.2]])
    )
    assert [text.get_text() for text in nmi.get_yticklabels()] == ["0", "1", "mixture"]
    assert [text.get_text() for text in nmi.get_xticklabels()] == ["cls", "site"]
    (frame,) = nmi.patches
    assert frame.get_xy() == (0.5, 0.5)  # type: ignore[attr-defined]
    assert [text.get_text() for text in nmi.texts][:2] == ["0.22", "0.20"]
    assert maps[2].texts[0].get_text() == "–"
    assert len({axes.images[0].get_clim() for axes in maps[1::3]}) == 1
    assert is_drawn(figure)


# --- curves ------------------------------------------------------------------------------------------------------


def test_curves_of_a_worked_example() -> None:
    label, probability = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])  # scikit-learn's own example
    figure = score_curves({"baseline": (label, probability), "logistic_regression": (label, 1 - probability)})
    left, right = figure.axes
    assert labelled(figure)
    assert (left.get_xlabel(), right.get_ylabel()) == ("false positive rate", "precision")
    roc, worse, diagonal = left.lines
    assert list(np.asarray(roc.get_xdata())) == [0, 0, 0.5, 0.5, 1]
    assert list(np.asarray(roc.get_ydata())) == [0, 0.5, 0.5, 1, 1]
    assert (roc.get_color(), worse.get_linestyle(), roc.get_linestyle()) == (COLOURS["baseline"], "--", "-")
    assert list(np.asarray(diagonal.get_xdata())) == [0, 1]
    assert list(np.asarray(right.lines[0].get_ydata())) == pytest.approx([0.5, 2 / 3, 0.5, 1, 1])
    assert is_drawn(figure)


def test_low_precision_is_inside_the_frame() -> None:
    label = np.array([1] + [0] * 19)
    figure = score_curves({"baseline": (label, np.linspace(0.1, 0.9, 20))})
    lowest = min(np.asarray(figure.axes[1].lines[0].get_ydata()))
    assert lowest < 0.1
    assert figure.axes[1].get_ylim()[0] <= lowest
