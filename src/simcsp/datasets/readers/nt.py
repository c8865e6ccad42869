"""Windows from the Nucleotide Transformer's splice-site tasks: FASTA with headers ``name|label``.

(Dalla-Torre et al. 2023, bioRxiv 2023.01.11.523679; the files ``train.fna`` and ``test.fna`` of
``splice_sites_donors``, ``splice_sites_acceptors`` and ``splice_sites_all``.) The first two have the labels 1 (splice
site) and 0 (decoy) and need the `site` of their name; the last has three classes.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from simcsp.config import DataConfig, WindowSource
from simcsp.datasets.readers.centred import read_labelled
from simcsp.datasets.readers.records import class_number
from simcsp.datasets.readers.text import read_records
from simcsp.datasets.windows import WindowTable
from simcsp.errors import InputError
from simcsp.tally import Tally


def read(
    source: WindowSource,
    data: DataConfig,
    cache: Path,  # noqa: ARG001
    rng: np.random.Generator,  # noqa: ARG001
) -> tuple[WindowTable, list[Tally]]:
    """Read one FASTA.

    Raises:
        InputError: if a header has no known label, or as :func:`simcsp.datasets.readers.centred.read_labelled`.
    """
    classes = 2 if source.site else len(source.classes)
    return read_labelled(source, data, lambda path: _records(path, classes))


def _records(path: Path, classes: int) -> Iterator[tuple[int, bytes, int]]:
    for line, header, letters in read_records(path):
        if header is None or "|" not in header:
            raise InputError("a header of the form >name|label is missing", path=path, line=line)
        label = header.rsplit("|", 1)[1].strip()
        yield line, letters, class_number(label, classes, path=path, line=line)
