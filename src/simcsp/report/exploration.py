"""What the encoders of a run make of its windows, for the eye: layouts, clusters, and what the clusters hold.

Everything is read from what `src/embed.py` stored; nothing is computed again. Clusters come from the neighbour graph
in the space of principal components, never from the picture.
"""

from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from simcsp import runs
from simcsp.datasets.windows import load_windows
from simcsp.errors import InputError
from simcsp.report.figures import (
    BLACK,
    BLUE,
    CLASSES,
    GREEN,
    MAROON,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    TITLES,
    name_clusters,
)
from simcsp.report.finished_runs import pretrained_folder, read_settings
from simcsp.sequence.alphabet import Tokens
from simcsp.sequence.sites import SITE_NAMES, window_name

PROBE = "linear probe: probability of a splice site"
COLOURED = {
    "window": "label and site type",
    "label": "label",
    "site type": "site type",
    "cluster": "Leiden cluster",
    "species": "species",
    "score": PROBE,
}
_QUALITATIVE = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, MAROON, BLACK)


class Explored(NamedTuple):
    """A run whose encoders have been scored.

    Attributes:
        name: of the run.
        folder: of its encoders.
        encoders: their names, BASELINE first.
        tokens: ``(n, length)`` of all prepared windows.
    """

    name: str
    folder: Path
    encoders: list[str]
    tokens: Tokens

    def layers(self, encoder: str) -> list[int]:
        """Layers above the embedding, the pooled one first."""
        found = self._every_layer(encoder)[["layer", "pooled"]].drop_duplicates()
        return list(found.sort_values("pooled", ascending=False, kind="stable").layer)

    def windows(self, encoder: str, layer: int | None = None) -> pd.DataFrame:
        """Windows of the selection part as one layer sees them, the pooled one if none is given.

        Returns:
            ``row`` in the prepared table, ``origin``, ``window`` (donor, decoy GT, …), ``label``, ``site type``,
            ``species``, ``cluster``, ``umap_1``, ``umap_2``, and ``score``: what a linear probe that has not seen the
            window's group gives it; nan where the embedding layer is pooled.
        """
        table, every = pd.read_csv(self.folder / encoder / runs.LAYOUT), self._every_layer(encoder)
        chosen = every[every.pooled if layer is None else every.layer == layer].set_index("row")
        places = table.set_index("row") if layer is None else chosen.loc[table.row]
        kinds = zip(table.label, table.site_type, strict=True)
        facts = {
            "row": table.row,
            "origin": table.origin,
            "window": [window_name(label, site) for label, site in kinds],
            "label": np.where(table.label == 1, "splice site", "decoy"),
            "site type": [SITE_NAMES[site] for site in table.site_type],
            "species": table.species,
            **{name: places[name].to_numpy() for name in ("cluster", "umap_1", "umap_2")},
            "score": table.row.map(chosen.probe),
        }
        return pd.DataFrame(facts)

    def _every_layer(self, encoder: str) -> pd.DataFrame:
        return pd.read_csv(self.folder / encoder / runs.LAYER_LAYOUTS)


def open_run(name: str) -> Explored:
    """Find the encoders of an evaluated run.

    Raises:
        InputError: if the run, or what was measured of its encoders, is not there.
    """
    settings = read_settings(name)
    folder = pretrained_folder(name, settings, "encoders")
    found = [path.parent.name for path in sorted(folder.glob(f"*/{runs.LAYOUT}"))]
    if not found:
        raise InputError("no encoders have been embedded here", path=folder, hint="bash pretrain.sh does that")
    encoders = sorted(found, key=lambda one: list(TITLES).index(one) if one in TITLES else len(TITLES))
    tokens = load_windows(runs.prepared_folder(settings["data.name"]) / "windows").tokens
    return Explored(name, folder, encoders, tokens)


def layout_figure(windows: pd.DataFrame, colour: str, title: str = "") -> Figure:
    """One layout, coloured by a column of `COLOURED`."""
    figure = Figure(figsize=(6.4, 5.0))
    _draw(figure.subplots(), windows, colour)
    figure.suptitle(title, fontsize=10)
    return figure


def colour_panels(windows: pd.DataFrame, title: str = "") -> Figure:
    """The same layout once in every colouring."""
    names = [name for name in COLOURED if name != "score" or windows.score.notna().any()]
    figure = Figure(figsize=(12.6, 7.8))
    panels = figure.subplots(2, 3).ravel()
    for axes, name in zip(panels, names, strict=False):
        _draw(axes, windows, name)
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    figure.suptitle(title, fontsize=11)
    return figure


def encoder_panels(run: Explored, colour: str = "window") -> Figure:
    """The layouts of all encoders of a run, side by side."""
    return _row_of_panels([(TITLES.get(name, name), run.windows(name)) for name in run.encoders], colour)


def layer_panels(run: Explored, encoder: str, colour: str = "window") -> Figure:
    """The layouts of all layers of an encoder, lowest first."""
    layers = sorted(run.layers(encoder))
    return _row_of_panels([(f"layer {layer}", run.windows(encoder, layer)) for layer in layers], colour)


def cluster_table(windows: pd.DataFrame) -> pd.DataFrame:
    """What each cluster holds: windows of each kind, its most frequent kind and the share of it, mean score."""
    counts = pd.crosstab(windows.cluster, windows.window).reindex(columns=list(CLASSES), fill_value=0)
    total = counts.sum(axis=1)
    table = counts.assign(
        windows=total,
        mostly=counts.idxmax(axis=1),
        purity=counts.max(axis=1) / total,
        score=windows.groupby("cluster").score.mean(),
    )
    return table.sort_values("windows", ascending=False).rename(columns={"score": "mean score"})


def menus(run: Explored) -> None:
    """Menus for encoder, layer and colour over one picture, in a notebook that is running; needs ``ipywidgets``."""
    from ipywidgets import Dropdown, interact  # noqa: PLC0415 - of the notebooks alone

    def draw(encoder: str, layer: int, colour: str) -> Figure:
        title = f"{run.name}, {TITLES.get(encoder, encoder)}, layer {layer}"
        return layout_figure(run.windows(encoder, layer), colour, title)

    interact(
        draw,
        encoder=Dropdown(options=[(TITLES.get(name, name), name) for name in run.encoders]),
        layer=Dropdown(options=run.layers(run.encoders[0])),
        colour=Dropdown(options=[(title, name) for name, title in COLOURED.items()], description="colour by"),
    )


def _row_of_panels(panels: list[tuple[str, pd.DataFrame]], colour: str) -> Figure:
    across = min(4, len(panels))
    down = -(-len(panels) // across)
    figure = Figure(figsize=(3.6 * across + 0.6, 3.8 * down))
    places = figure.subplots(down, across, squeeze=False).ravel()
    for number, (axes, (title, windows)) in enumerate(zip(places, panels, strict=False)):
        _draw(axes, windows, colour, key=number == 0)
        axes.set_title(title, fontsize=10)
    for axes in places[len(panels) :]:
        axes.set_axis_off()
    return figure


def _draw(axes: Axes, windows: pd.DataFrame, colour: str, *, key: bool = True) -> None:
    if colour == "score":
        _draw_scores(axes, windows)
    else:
        _draw_kinds(axes, windows, colour, key=key)
    axes.set(xticks=[], yticks=[], xlabel="UMAP 1", ylabel="UMAP 2")
    axes.set_title(COLOURED[colour], fontsize=10)


def _draw_scores(axes: Axes, windows: pd.DataFrame) -> None:
    known = windows[windows.score.notna()]
    points = axes.scatter(known.umap_1, known.umap_2, c=known.score, s=7, cmap="cividis", vmin=0, vmax=1, linewidths=0)
    axes.figure.colorbar(points, ax=axes, label="probability", fraction=0.045)


def _draw_kinds(axes: Axes, windows: pd.DataFrame, colour: str, *, key: bool) -> None:
    kinds = sorted(windows[colour].unique())
    if set(kinds) <= set(CLASSES):
        palette = CLASSES
        kinds = [kind for kind in CLASSES if kind in kinds]
    elif len(kinds) <= len(_QUALITATIVE):
        palette = dict(zip(kinds, _QUALITATIVE, strict=False))
    else:
        shades = mpl.colormaps["tab20"]
        palette = {kind: mpl.colors.to_hex(shades(number % 20)) for number, kind in enumerate(kinds)}
    mixed = windows.sample(frac=1, random_state=0)  # so that no kind lies on top of all others
    axes.scatter(mixed.umap_1, mixed.umap_2, s=8, c=mixed[colour].map(palette), linewidths=0, alpha=0.85)
    if colour == "cluster":
        name_clusters(axes, windows[["umap_1", "umap_2"]].to_numpy(), windows.cluster.to_numpy())
    elif key:
        spots = [Line2D([], [], linestyle="", marker="o", color=palette[kind], label=str(kind)) for kind in kinds]
        axes.legend(handles=spots, loc="best", handletextpad=0.1, fontsize=8, frameon=True, framealpha=0.8)
