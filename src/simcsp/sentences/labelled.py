"""Labelled sentences from the files that public sets come in.

- One file: a table (CSV, TSV, Parquet, or JSON lines) with a column ``text`` or ``sentence``, and ``label``. Names may
  end in ``.gz``. A label below 0 is how public sets write "unknown": such rows are left out and counted.
- Several files: one sentence per line, plain or gzip, UTF-8 or Latin-1; the sentences of a file are one class.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simcsp.errors import InputError
from simcsp.sequence.files import BYTE_ORDER_MARK, UNPACKING_ERRORS, open_bytes, require_readable, truncated
from simcsp.tally import Tally

_TEXT, _LABEL = ("text", "sentence"), "label"
_SEPARATORS = {".csv": ",", ".tsv": "\t"}


class Sentences(NamedTuple):
    """Sentences and their labels, ``(n,)`` each, and what was read and left out."""

    texts: list[str]
    labels: NDArray[np.int64]
    tally: Tally


def read_sentences(paths: Sequence[Path]) -> Sentences:
    """Read one table, or several files of one class each.

    Raises:
        InputError: if a file is missing or damaged, a table lacks a column, or there are not two labels.
    """
    tally = Tally("sentences", ", ".join(path.name for path in paths))
    if len(paths) == 1:
        texts, labels = _table(paths[0], tally)
    else:
        texts, labels = [], []
        for label, path in enumerate(paths):
            of_class = _lines(path, tally)
            texts += of_class
            labels += [label] * len(of_class)
    if len(set(labels)) < 2:
        hint = "Give a table with a label column, or a file for each class"
        raise InputError("all sentences have one label", path=paths[0], hint=hint)
    return Sentences(texts, np.array(labels, dtype=np.int64), tally)


def _lines(path: Path, tally: Tally) -> list[str]:
    """Sentences of a file; empty lines are left out."""
    with open_bytes(path) as stream:
        try:
            content = stream.read().removeprefix(BYTE_ORDER_MARK)
        except UNPACKING_ERRORS as error:
            raise truncated(path) from error
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("latin-1")  # the movie reviews as first published
        tally.changed[f"{path.name} read as Latin-1"] += 1
    lines = [line.strip() for line in text.split("\n")[: None if not text.endswith("\n") else -1]]
    tally.read += len(lines)
    tally.drop("empty line", lines.count(""))
    return [line for line in lines if line]


def _table(path: Path, tally: Tally) -> tuple[list[str], list[int]]:
    require_readable(path)
    table = _read(path)
    text = next((name for name in _TEXT if name in table), None)
    if text is None or _LABEL not in table:
        found = ", ".join(map(str, table.columns)) or "none"
        raise InputError(f"no columns {_TEXT[0]} (or {_TEXT[1]}) and {_LABEL}; found: {found}", path=path)
    labels = pd.to_numeric(table[_LABEL], errors="coerce")
    unlabelled, empty = ~(labels >= 0), table[text].isna() | (table[text].astype(str).str.strip() == "")
    tally.read += len(table)
    tally.drop("no label", unlabelled.sum())
    tally.drop("no text", (empty & ~unlabelled).sum())
    kept = ~(unlabelled | empty)
    return table.loc[kept, text].astype(str).tolist(), labels[kept].astype(int).tolist()


def _read(path: Path) -> pd.DataFrame:
    kind = next((suffix for suffix in reversed(path.suffixes) if suffix != ".gz"), "")
    try:
        if kind == ".parquet":
            return pd.read_parquet(path)
        if kind == ".jsonl":
            return pd.read_json(path, lines=True)
        if kind in _SEPARATORS:
            return pd.read_csv(path, sep=_SEPARATORS[kind])
    except (ValueError, OSError, *UNPACKING_ERRORS) as error:
        raise InputError(f"the table cannot be read ({str(error).splitlines()[0].rstrip('.')})", path=path) from error
    known = "a .csv, .tsv, .parquet or .jsonl file"
    raise InputError("not a table that is known by its name", path=path, hint=f"Give {known}, or one file per class")
