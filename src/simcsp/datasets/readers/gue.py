"""Windows from GUE's table of splice sites (Zhou et al. 2023, arXiv 2306.15006): CSV of ``sequence,label``.

Three classes, 400 nt. In the published file 0 is an acceptor with AG at offset 198, 1 a donor with GT at offset 200,
and 2 neither; the accounts that go with its copies do not agree on that, so the records themselves must.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from simcsp.config import DataConfig, WindowSource
from simcsp.datasets.readers.centred import read_labelled
from simcsp.datasets.readers.records import class_number, split_fields
from simcsp.datasets.windows import WindowTable
from simcsp.errors import InputError
from simcsp.sequence.files import text_lines
from simcsp.tally import Tally

_COLUMNS = ["sequence", "label"]


def read(
    source: WindowSource,
    data: DataConfig,
    cache: Path,  # noqa: ARG001
    rng: np.random.Generator,  # noqa: ARG001
) -> tuple[WindowTable, list[Tally]]:
    """Read one table.

    Raises:
        InputError: if it is no such table, or as :func:`simcsp.datasets.readers.centred.read_labelled`.
    """
    return read_labelled(source, data, lambda path: _records(path, len(source.classes)))


def _records(path: Path, classes: int) -> Iterator[tuple[int, bytes, int]]:
    header = True
    for number, line in text_lines(path):
        if not line.strip():
            continue
        fields = split_fields(line, ",", path=path, number=number)
        if header:
            if fields != _COLUMNS:
                raise InputError(f"the header must be {','.join(_COLUMNS)}", path=path, line=number)
            header = False
        elif len(fields) != len(_COLUMNS):
            raise InputError(f"expected a sequence and a label, found {len(fields)} fields", path=path, line=number)
        else:
            yield number, fields[0].encode(), class_number(fields[1], classes, path=path, line=number)
    if header:
        raise InputError("the file is empty", path=path)
