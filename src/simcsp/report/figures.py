"""Figures as functions of numbers; colours are those of Okabe and Ito, told apart by colour-blind readers."""

from collections.abc import Mapping, Sequence
from itertools import product
from textwrap import fill
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

from simcsp.config import CNN, YARDSTICK
from simcsp.report.layout import umap_layout
from simcsp.sequence.sites import ACCEPTOR, DONOR, window_name

BLACK, ORANGE, SKY, GREEN, BLUE, RED, PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
MAROON = "#7F0000"  # instead of their yellow, which is not to be seen on white paper
COLOURS = {
    "baseline": BLUE,
    "best_sccs": ORANGE,
    "best_nmi": GREEN,
    "random": PURPLE,
    "mlm_control": SKY,
    "joint": RED,
    "supervised": MAROON,
    CNN: "#404040",
    YARDSTICK: BLACK,
}
TITLES = {
    "baseline": "BASELINE",
    "best_sccs": "BEST_SCCS",
    "best_nmi": "BEST_NMI",
    "random": "random start",
    "mlm_control": "MLM control",
    "joint": "joint MLM + SimCSP",
    "supervised": "supervised SimCSP",
    CNN: "dilated CNN",
    YARDSTICK: "logistic regression",
}
CLASSES = {"decoy GT": SKY, "donor": BLUE, "decoy AG": ORANGE, "acceptor": RED}  # of windows
LAYER_SCORES = {"sccs": "SCCS", "nmi": "NMI", "probe_auroc": "linear probe, AUROC"}
_TENSORBOARD = (3.5, 3.5)
_FEW = 8  # models whose names have room side by side
_MARKERS = {DONOR: "o", ACCEPTOR: "^"}
_LINES = {YARDSTICK: "--", CNN: ":", "random": "-."}  # of what is not pre-trained

mpl.rcParams.update(
    {
        "font.size": 10,
        "axes.titlesize": 11,
        "xtick.labelsize": 9,
        "ytick.labelsize": 9,
        "legend.fontsize": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
        "figure.constrained_layout.use": True,
        "savefig.dpi": 160,
    }
)

Scores = Mapping[str, Sequence[float]]


def f1_boxplot(f1: Scores) -> Figure:
    """F1 on the test part of every fold, one box per model."""
    names = list(f1)
    crowded = len(names) > _FEW
    figure = Figure(figsize=((0.6 if crowded else 1.05) * len(names) + 1.2, 3.4))
    axes = figure.subplots()
    boxes = axes.boxplot([f1[name] for name in names], widths=0.5, showfliers=False, medianprops={"color": BLACK})
    for line in (*boxes["boxes"], *boxes["whiskers"], *boxes["caps"]):
        line.set_color("0.6")
    for place, name in enumerate(names, start=1):
        spread = np.linspace(-0.12, 0.12, len(f1[name])) if len(f1[name]) > 1 else np.zeros(1)
        axes.plot(place + spread, f1[name], "o", color=COLOURS.get(name, "0.3"), markersize=5, alpha=0.9)
    titles = [TITLES.get(name, name) for name in names]
    axes.set_xticks(range(1, len(names) + 1), titles if crowded else [fill(title, 11) for title in titles])
    if crowded:
        axes.tick_params("x", rotation=40)
        for text in axes.get_xticklabels():
            text.set(ha="right", rotation_mode="anchor")
    axes.set_ylabel("F1 on the test part, one point per fold")
    axes.grid(axis="y", color="0.92")
    return figure


def pretraining_curves(phases: Sequence[tuple[str, Sequence[Mapping[str, Any]]]], best: Mapping[str, int]) -> Figure:
    """SCCS and NMI on the selection part, and the held-out MLM loss, over the steps of both phases.

    Args:
        phases: name and metric records of each phase, in order.
        best: metric name → step of the last phase whose model was kept.
    """
    figure = Figure(figsize=(7.4, 2.7))
    panels = (
        ("validation/sccs", "SCCS", "Spearman's ρ", ORANGE),
        ("validation/nmi", "NMI", "mean over site types", GREEN),
        ("validation/mlm_loss", "MLM loss, held out", "nats per base", BLUE),
    )
    for axes, (metric, title, label, colour) in zip(figure.subplots(1, 3), panels, strict=True):
        start = 0
        for name, records in phases:
            points = [(start + r["step"], r[metric]) for r in records if metric in r]
            axes.plot([x for x, _ in points], [y for _, y in points], "-o", color=colour, markersize=3)
            if start:
                axes.axvline(start, color="0.7", linestyle=":")
                axes.text(start, 1.01, f" {name}", transform=axes.get_xaxis_transform(), color="0.4", fontsize=8)
            if metric in best and name == phases[-1][0]:
                kept = next((p for p in points if p[0] == start + best[metric]), None)
                if kept:
                    axes.plot(*kept, "*", color=BLACK, markersize=11, label="kept")
                    axes.legend(loc="best")
            start += max((r["step"] for r in records), default=0)
        axes.set_xlabel("pre-training step")
        axes.set_ylabel(label)
        axes.set_title(title, pad=16)
        axes.grid(color="0.92")
    return figure


def umap_panels(
    layouts: Mapping[str, NDArray[np.floating]],
    label: NDArray[np.uint8],
    site_type: NDArray[np.uint8],
    clusters: Mapping[str, NDArray[np.integer]],
) -> Figure:
    """Layouts coloured by label (above) and by Leiden cluster (below), one column per model; equals share one."""
    titles = shared_titles({name: layout.tobytes() + clusters[name].tobytes() for name, layout in layouts.items()})
    side = float(np.clip(7.4 / len(titles), 2.5, 3.4))
    figure = Figure(figsize=(side * len(titles), 1.7 * side))
    rows = figure.subplots(2, len(titles), squeeze=False)
    for column, (name, title) in enumerate(titles.items()):
        _scatter_labels(rows[0][column], layouts[name], label, site_type)
        _scatter_clusters(rows[1][column], layouts[name], clusters[name])
        rows[0][column].set_title(title)
    _name_classes(figure, rows[0][0], ncols=min(4, 2 * len(titles)))
    rows[0][0].set_ylabel("by label\nUMAP 2")
    rows[1][0].set_ylabel("by Leiden cluster\nUMAP 2")
    return figure


def umap_figures(
    embeddings: NDArray[np.floating],
    label: NDArray[np.uint8],
    site_type: NDArray[np.uint8],
    title: str,
    seed: int,
    clusters: NDArray[np.integer] | None = None,
) -> dict[str, Figure]:
    """The pictures of one moment of training: one layout ``by label`` and, if clusters are given, ``by cluster``.

    Each is as wide as TensorBoard shows a picture, which it would shrink without smoothing.
    """
    layout = umap_layout(embeddings, seed)
    pictures = {"by label": Figure(figsize=_TENSORBOARD, dpi=100)}
    axes = pictures["by label"].subplots()
    _scatter_labels(axes, layout, label, site_type)
    _name_classes(pictures["by label"], axes, ncols=4)
    if clusters is not None:
        pictures["by cluster"] = Figure(figsize=_TENSORBOARD, dpi=100)
        _scatter_clusters(pictures["by cluster"].subplots(), layout, clusters)
    for picture in pictures.values():
        picture.axes[0].set(title=title, ylabel="UMAP 2")
    return pictures


def layer_maps(layers: pd.DataFrame) -> Figure:
    """Heat maps of layers × poolings: one row of maps per encoder, one column per score.

    Colours of one score mean the same for every encoder; the best cell of a map has a frame. Equals share a row.

    Args:
        layers: ``model``, ``layer``, ``pooling`` and the scores of `LAYER_SCORES`, in the order to be drawn.
    """
    scores = layers.groupby("model", sort=False)[list(LAYER_SCORES)]
    titles = shared_titles({model: table.to_numpy().tobytes() for model, table in scores})
    height = 0.5 + 0.25 * layers.layer.nunique()
    figure = Figure(figsize=(8.0, 0.9 + height * len(titles)))
    axes = figure.subplots(len(titles), len(LAYER_SCORES), squeeze=False)
    for column, (score, title) in enumerate(LAYER_SCORES.items()):
        limits = (layers[score].min(), layers[score].max())
        for row, (model, name) in enumerate(titles.items()):
            table = layers[layers.model == model].pivot_table(
                index="layer", columns="pooling", values=score, sort=False, dropna=False
            )
            image = _heat_map(axes[row, column], table, limits)
            axes[row, column].set_ylabel(f"{fill(name, 12)}\nlayer" if column == 0 else "")
        axes[0, column].set_title(title)
        axes[-1, column].set_xlabel("pooling")
        figure.colorbar(image, ax=axes[:, column].tolist(), location="bottom", fraction=0.05, pad=0.02, aspect=30)
    return figure


def score_curves(predictions: Mapping[str, tuple[NDArray[np.integer], NDArray[np.floating]]]) -> Figure:
    """ROC and precision–recall curves over the test windows of all folds together; equals share one."""
    titles = shared_titles({name: probability.tobytes() for name, (_, probability) in predictions.items()})
    figure = Figure(figsize=(7.4, 3.6))
    left, right = figure.subplots(1, 2)
    for name, title in titles.items():
        label, probability = predictions[name]
        style = {"color": COLOURS.get(name, "0.3"), "label": title, "linewidth": 1.3}
        style["linestyle"] = _LINES.get(name, "-")
        false_rate, true_rate, _ = roc_curve(label, probability)
        precision, recall, _ = precision_recall_curve(label, probability)
        left.plot(false_rate, true_rate, **style)
        right.plot(recall, precision, **style)
    left.plot([0, 1], [0, 1], color="0.8", linewidth=0.8)
    left.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(-0.01, 1), ylim=(0, 1.01))
    right.set(xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.01))
    left.legend(loc="lower right")
    return figure


def shared_titles(contents: Mapping[str, bytes]) -> dict[str, str]:
    """Model → title; where several show the same, as a checkpoint that is best twice does, the first has them all."""
    alike: dict[bytes, list[str]] = {}
    for name, content in contents.items():
        alike.setdefault(content, []).append(name)
    return {names[0]: " = ".join(TITLES.get(name, name) for name in names) for names in alike.values()}


def name_clusters(axes: Axes, layout: NDArray[np.floating], clusters: NDArray[np.integer]) -> None:
    """Write the number of every cluster beside the median of its points; ``layout`` is ``(points, 2)``."""
    for cluster in np.unique(clusters):
        x, y = np.median(layout[clusters == cluster], axis=0)
        name = axes.annotate(str(cluster), (x, y), (4, 3), textcoords="offset points", fontsize=8, fontweight="bold")
        name.set_path_effects([withStroke(linewidth=2, foreground="white", alpha=0.8)])


def _heat_map(axes: Axes, table: pd.DataFrame, limits: tuple[float, float]) -> AxesImage:
    """Cells with their numbers; the layer nearest to the input at the bottom."""
    values = table.to_numpy(dtype=np.float64)
    image = axes.imshow(values, cmap="cividis", vmin=limits[0], vmax=limits[1], aspect="auto", origin="lower")
    dark = limits[0] + 0.45 * (limits[1] - limits[0])  # up to here white letters have more contrast
    for (row, column), value in np.ndenumerate(values):
        text, colour = ("–", BLACK) if np.isnan(value) else (f"{value:z.2f}", BLACK if value > dark else "white")
        axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
    if np.isfinite(values).any():
        row, column = np.unravel_index(np.nanargmax(values), values.shape)
        corner = (column - 0.5, row - 0.5)
        axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=RED, linewidth=1.8, clip_on=False))
    axes.set_xticks(range(table.shape[1]), table.columns)
    axes.set_yticks(range(table.shape[0]), table.index)
    axes.tick_params(length=0)
    return image


def _scatter_labels(
    axes: Axes, layout: NDArray[np.floating], label: NDArray[np.uint8], site_type: NDArray[np.uint8]
) -> None:
    for kind, wanted in product((DONOR, ACCEPTOR), (0, 1)):
        name, marker = window_name(wanted, kind), _MARKERS[kind]
        x, y = layout[(label == wanted) & (site_type == kind)].T
        axes.scatter(x, y, s=_point(layout), c=CLASSES[name], marker=marker, linewidths=0, alpha=0.8, label=name)
    _bare(axes)


def _name_classes(figure: Figure, axes: Axes, ncols: int) -> None:
    """Below the panels: inside one, a legend would lie on windows."""
    handles, names = axes.get_legend_handles_labels()
    tight = {"handlelength": 1.2, "handletextpad": 0.3, "columnspacing": 1.0}
    figure.legend(handles, names, loc="outside lower center", ncols=ncols, markerscale=2, **tight)


def _scatter_clusters(axes: Axes, layout: NDArray[np.floating], clusters: NDArray[np.integer]) -> None:
    axes.scatter(layout[:, 0], layout[:, 1], s=_point(layout), c=clusters, cmap="tab20", linewidths=0, alpha=0.8)
    name_clusters(axes, layout, clusters)
    _bare(axes)


def _point(layout: NDArray[np.floating]) -> float:
    """Area of a point: few are to be seen, many not to cover each other."""
    return float(np.clip(6000 / len(layout), 3, 12))


def _bare(axes: Axes) -> None:
    axes.set(xticks=[], yticks=[], xlabel="UMAP 1")
