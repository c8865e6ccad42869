"""Rows of the table: encoders and one-hot vectors, measured by the published recipe and by the corrected one.

What is measured is kept as it goes, in one folder per model, so that a stopped table goes on.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from simcsp import storage
from simcsp.console import progress
from simcsp.datasets.windows import WindowTable
from simcsp.metrics.nmi import NmiSettings, nmi
from simcsp.metrics.sccs import sccs
from simcsp.model.embedding import embed
from simcsp.model.encoder import load_checkpoint
from simcsp.model.published import embed_around_sites, embed_doubly_framed, sites_of
from simcsp.model.yardstick import one_hot
from simcsp.pieces import in_pieces
from simcsp.report.splicebert import FLANKS, Measured
from simcsp.sequence.sites import ACCEPTOR, DONOR
from simcsp.splicebert.sources import SPLICEATOR_WINDOW, WINDOW

_PIECE = 500  # windows
_RECIPES = {"published": NmiSettings(published=True, seeds=1), "corrected": NmiSettings()}

Vectors = NDArray[Any]


def one_hot_rows(table: WindowTable, folder: Path) -> list[Measured]:
    """NMI of one-hot vectors with every flank by both recipes; each row is kept under ``folder`` once it is known."""
    rows = []
    for flank in progress(FLANKS, "splicebert: one-hot", unit="flank"):
        vectors = one_hot(table.tokens, centre=2 + 2 * flank)
        rows += [
            _measured(
                folder / "one-hot", ("one-hot", flank, recipe), vectors, table, agreement=float("nan"), apart=False
            )
            for recipe in _RECIPES
        ]
    return rows


def encoder_rows(name: str, checkpoint: Path, table: WindowTable, folder: Path, accelerator: Any) -> list[Measured]:
    """NMI and SCCS of every hidden state of a checkpoint by both recipes; kept under ``folder`` as it goes."""
    encoder = load_checkpoint(checkpoint, dropout=0.0, tokens=WINDOW + 2)
    own = _folder_of(name, folder)
    around = in_pieces(
        own / "states", len(table.label), _PIECE,
        lambda rows: embed_around_sites(encoder, table.tokens[rows], accelerator), f"splicebert: {name}",
    )  # fmt: skip
    reverse = np.char.endswith(table.origin, ":-")
    rows = []
    for layer in progress(range(around.shape[1]), f"splicebert: NMI of {name}", unit="layer"):
        agreement = sccs(around[:, layer, 0], table.label, seed=0).value
        for recipe in _RECIPES:
            published = recipe == "published"
            vectors = sites_of(around, reverse, layer=layer, off_by_one=published)
            key = (name, layer, recipe)
            rows.append(_measured(own, key, vectors, table, agreement=agreement, apart=published))
    return rows


def agreements(
    name: str, checkpoint: Path, windows: WindowTable, folder: Path, accelerator: Any
) -> list[tuple[str, str, float]]:
    """SCCS of the last layer's `[CLS]` on Spliceator's windows, framed as published and once: name, recipe, value."""
    encoder = load_checkpoint(checkpoint, dropout=0.0, tokens=SPLICEATOR_WINDOW + 4)
    ways: dict[str, Callable[[slice], Vectors]] = {
        "published": lambda rows: embed_doubly_framed(encoder, windows.tokens[rows], layer=-1, accelerator=accelerator),
        "corrected": lambda rows: embed(
            encoder, windows.tokens[rows], pooling="cls", layer=-1, accelerator=accelerator
        ),
    }
    found = []
    for recipe, way in ways.items():
        kept = _folder_of(name, folder) / f"spliceator-{recipe}"
        vectors = in_pieces(kept, len(windows.label), _PIECE, way, f"splicebert: SCCS of {name}, {recipe}")
        found.append((name, recipe, sccs(vectors, windows.label, seed=0).value))
    return found


def _folder_of(model: str, folder: Path) -> Path:
    """Names may be paths; no two have one folder, and none is called as the one-hot vectors are."""
    return folder / quote(f"model-{model}", safe="")


def _measured(
    folder: Path, key: tuple[str, int, str], vectors: Vectors, table: WindowTable, *, agreement: float, apart: bool
) -> Measured:
    """One row, kept in a file of its own once it is known."""
    _, level, recipe = key
    kept = folder / f"{level}-{recipe}.json"
    if not kept.exists():
        settings = _RECIPES[recipe]
        found = nmi(vectors, table.label, table.site_type, settings, seed=0)
        alone = [float("nan")] * 2
        if apart:
            its = (table.site_type == kind for kind in (DONOR, ACCEPTOR))
            alone = [nmi(vectors[i], table.label[i], table.site_type[i], settings, seed=0).value for i in its]
        storage.write_json(kept, [found.donor, found.acceptor, *alone, found.clusters, agreement])
    numbers = [_number(value) for value in storage.read_json(kept)]
    return Measured(*key, (numbers[0], numbers[1]), (numbers[2], numbers[3]), numbers[4], numbers[5])


def _number(value: float | None) -> float:
    """JSON has no nan."""
    return float("nan") if value is None else value
