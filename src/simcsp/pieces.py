"""Long computations in pieces that are kept, so that a stopped one goes on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcsp import storage
from simcsp.console import progress, skip

Array = NDArray[Any]


def in_pieces(folder: Path, rows: int, size: int, compute: Callable[[slice], Array], what: str) -> Array:
    """Compute an array ``(rows, …)`` a few rows at a time; pieces that are there already are read.

    Args:
        folder: of the pieces, for this computation alone.
        rows: in all.
        size: rows of a piece.
        compute: rows → their part of the array.
        what: is computed, for the progress.
    """
    parts = []
    with progress(None, what, unit="row", total=rows) as bar:
        for start in range(0, rows, size):
            piece, asked = folder / f"{start}.npy", slice(start, min(start + size, rows))
            if piece.exists():
                skip(bar, asked.stop - start)
            else:
                with storage.whole_file(piece) as partial, partial.open("wb") as stream:
                    np.save(stream, compute(asked))
                bar.update(asked.stop - start)
            parts.append(np.load(piece, allow_pickle=False))
    return np.concatenate(parts)
