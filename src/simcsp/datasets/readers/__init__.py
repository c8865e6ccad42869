"""One module per published format; each turns a source into the same table.

To add a format: write its module with a ``read(source, data, cache, rng)`` like the others, and add one line to
:data:`READERS`.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from simcsp.config import DataConfig, WindowSource
from simcsp.datasets.readers import genome, gue, nt, sites, spliceator, text
from simcsp.datasets.windows import WindowTable
from simcsp.tally import Tally

Reader = Callable[[WindowSource, DataConfig, Path, np.random.Generator], tuple[WindowTable, list[Tally]]]

READERS: dict[str, Reader] = {
    "genome": genome.read,
    "sites": sites.read,
    "text": text.read,
    "spliceator": spliceator.read,
    "gue": gue.read,
    "nt": nt.read,
}
