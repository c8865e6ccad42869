"""Tables of groups: which records of window files belong together in a split."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from simcsp.config import DataConfig, WindowSource
from simcsp.errors import InputError
from simcsp.sequence.files import text_lines

Groups = Mapping[tuple[str, int], str]


def read_groups(path: Path) -> Groups:
    """Read a table of ``file`` (stem), ``index0`` (record) and ``cluster``, tab-separated.

    Raises:
        InputError: if it is no such table, or lists a record twice.
    """
    lines = _filled_lines(path)
    _, header = next(lines, (1, ""))
    if header.split("\t") != ["file", "index0", "cluster"]:
        raise InputError("the header must be file, index0, cluster (tab-separated)", path=path, line=1)
    groups: dict[tuple[str, int], str] = {}
    for number, line in lines:
        row = line.split("\t")
        if len(row) != 3 or not (row[1].isascii() and row[1].isdigit()) or not row[2]:
            raise InputError("expected a file stem, a 0-based record number and a cluster", path=path, line=number)
        record = row[0], int(row[1])
        if record in groups:
            raise InputError(f"record {record[1]} of {record[0]} is listed twice", path=path, line=number)
        groups[record] = row[2]
    return groups


def groups_of(source: WindowSource, data: DataConfig, *files: Path) -> Groups | None:
    """The table of groups of a source, if it has one; it knows files by their bare stem.

    Raises:
        InputError: if two of the files would have one name, or as :func:`read_groups`.
    """
    names = {origin_of(file) if source.groups is None else _stem(file) for file in files}
    if len(names) < len(files):
        raise InputError(
            f"positives and negatives are both called {names.pop()}, so their records cannot be told apart",
            path=data.root / files[0],
            hint="Give two files with different names",
        )
    return None if source.groups is None else read_groups(data.root / source.groups)


def group_of(path: Path, records: list[int], groups: Groups | None) -> list[str]:
    """Group of each record of a file, by its 0-based number; the empty string where there is no table.

    Raises:
        InputError: if the table lacks a record.
    """
    if groups is None:
        return [""] * len(records)
    stem = _stem(path)
    missing = next((record for record in records if (stem, record) not in groups), None)
    if missing is not None:
        raise InputError(f"record {missing} (0-based) of this file has no line in the table of groups", path=path)
    return [groups[stem, record] for record in records]


def origin_of(file: Path) -> str:
    """A file as the configuration names it, without its suffix: the same stem may occur in several folders."""
    return file.with_name(_stem(file)).as_posix()


def _stem(file: Path) -> str:
    return file.name.removesuffix(".gz").rsplit(".", 1)[0]


def _filled_lines(path: Path) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in text_lines(path) if line.strip())
