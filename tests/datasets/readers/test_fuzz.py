"""Whatever a file holds, a reader gives windows and accounts for every record, or one sentence that names the file."""

import gzip
import re
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simcsp.command_line import parse_config
from simcsp.config import DataConfig, WindowSource
from simcsp.datasets.readers import READERS
from simcsp.datasets.windows import WindowTable
from simcsp.errors import InputError
from simcsp.sequence.alphabet import N, T
from simcsp.tally import Tally

if TYPE_CHECKING:
    from tests.conftest import PublishedFormats

# Format → the file of it that is spoilt, and what separates its fields.
FILES = {
    "fasta": ("genome.fa", b"\n"),
    "gtf": ("genes.gtf", b"\t"),
    "gff3": ("genes.gff3", b"\t"),
    "bed12": ("genes.bed", b"\t"),
    "genepred": ("genes.gp", b"\t"),
    "introns": ("introns.bed", b"\t"),
    "sites": ("sites.bed", b"\t"),
    "text": ("positives.txt", b" "),
    "spliceator": ("NEG.csv", b";"),
    "gue": ("gue.csv", b","),
    "nt": ("nt.fna", b"|"),
    "groups": ("groups.tsv", b"\t"),
}

STRANGE = [
    b"", b" ", b".", b"-1", b"0", b"1e3", b"1.0", b"+5", b"007", b"99999999999999999999", b"nan", b"\xc2\xb2",
    b"\xef\xbc\x91", b"\xff", b"\x00", b'"', b"#", b">", b"=", b";", b",", b"|", b"\r", b"\n", b"\x1f\x8b", b"N" * 50,
    b"acgu", b"*", b"+", b"-", b"?", b"\xef\xbb\xbf", b"%2C", b"exon", b"##sequence-region", b"track ",
]  # fmt: skip
Mutation = tuple[str, float, float, bytes]
MUTATIONS: st.SearchStrategy[list[Mutation]] = st.lists(
    st.tuples(
        st.sampled_from(["field", "insert", "delete", "cut", "drop line", "repeat line", "swap lines", "head", "flip"]),
        st.floats(0, 1, exclude_max=True),
        st.floats(0, 1, exclude_max=True),
        st.one_of(st.sampled_from(STRANGE), st.binary(max_size=6)),
    ),
    min_size=1,
    max_size=4,
)
RANDOM = st.one_of(
    st.binary(max_size=200),
    st.lists(st.lists(st.sampled_from([*STRANGE, b"chr1", b"12", b"40"]), min_size=1, max_size=13), max_size=5).map(
        lambda rows: b"\n".join(b"\t".join(row) for row in rows)
    ),
)


def mutated(content: bytes, delimiter: bytes, mutations: list[Mutation]) -> bytes:
    for kind, where, other, piece in mutations:
        if kind in ("field", "drop line", "repeat line", "swap lines"):
            content = b"\n".join(mutated_lines(content.split(b"\n"), delimiter, kind, where, other, piece))
        else:
            content = mutated_bytes(content, kind, int(where * len(content)), other, piece)
    return content


def mutated_lines(
    lines: list[bytes], delimiter: bytes, kind: str, where: float, other: float, piece: bytes
) -> list[bytes]:
    row, second = int(where * len(lines)), int(other * len(lines))
    if kind == "field":
        fields = lines[row].split(delimiter)
        fields[int(other * len(fields))] = piece
        lines[row] = delimiter.join(fields)
    elif kind == "drop line":
        del lines[row]
    elif kind == "repeat line":
        lines.insert(second, lines[row])
    else:
        lines[row], lines[second] = lines[second], lines[row]
    return lines


def mutated_bytes(content: bytes, kind: str, at: int, other: float, piece: bytes) -> bytes:
    before, behind = content[:at], content[at:]
    flipped = bytes([behind[0] ^ 1 << int(other * 8)]) + behind[1:] if behind else b""
    return {
        "insert": before + piece + behind,
        "delete": before + behind[1 + int(other * 20) :],
        "cut": before,
        "head": piece + content,
        "flip": before + flipped,
    }[kind]


@cache
def source_of(sentence: str) -> WindowSource:
    return parse_config("", ["--data.windows", f"[{sentence}]"]).data.windows[0]


def read(published: "PublishedFormats", folder: Path, kind: str) -> tuple[WindowTable, list[Tally]] | str:
    """The table, or the sentence."""
    source = source_of(published.sources["sites" if kind == "fasta" else kind])
    data = DataConfig(root=folder, window=40)
    try:
        return READERS[source.format](source, data, folder / "cache", np.random.default_rng(0))
    except InputError as error:
        return str(error)


def check(outcome: tuple[WindowTable, list[Tally]] | str, folder: Path, kind: str) -> None:
    """What must hold of the table and the tallies, or of the sentence."""
    if isinstance(outcome, str):
        assert str(folder) in outcome
        assert "\n" not in outcome
        assert outcome.endswith(".")
        return
    table, tallies = outcome
    records = [tally for tally in tallies if tally.what in ("windows", "sites", "sites and decoys")]
    assert sum(tally.kept for tally in records) == len(table.label) > 0
    assert all(min(tally.dropped.values(), default=1) > 0 for tally in tallies)
    assert ((table.tokens >= N) & (table.tokens <= T)).all()
    if kind in RECORDS:
        name, count = RECORDS[kind]
        assert sum(tally.read for tally in records if name in (kind, tally.source.split(" (")[0])) == count(
            (folder / FILES[kind][0]).read_bytes()
        )


def lines_of(content: bytes) -> list[bytes]:
    return [line.strip() for line in re.split(rb"\r?\n|\r", content.removeprefix(b"\xef\xbb\xbf")) if line.strip()]


# Format → whose tally to look at, and how many records the file has, counted without the readers.
RECORDS: dict[str, tuple[str, Callable[[bytes], int]]] = {
    "sites": ("sites", lambda c: sum(not row.startswith((b"#", b"track", b"browser")) for row in lines_of(c))),
    "gue": ("gue", lambda c: len(lines_of(c)) - 1),
    "nt": ("nt", lambda c: sum(row.startswith(b">") for row in lines_of(c))),
    "spliceator": ("NEG.csv", lambda c: sum(not row.startswith(b"ID_uniprot") for row in lines_of(c))),
}


@pytest.fixture(scope="module")
def workplace(published_formats: "PublishedFormats", tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz") / "files"
    shutil.copytree(published_formats.folder, folder)
    return folder


def attempt(published: "PublishedFormats", folder: Path, kind: str, content: bytes) -> None:
    path = folder / FILES[kind][0]
    good = path.read_bytes()
    path.write_bytes(content)
    try:
        check(read(published, folder, kind), folder, kind)
    finally:
        path.write_bytes(good)


bounded = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("kind", FILES)
@bounded
@given(mutations=MUTATIONS)
def test_a_spoilt_file_is_read_or_refused(
    published_formats: "PublishedFormats", workplace: Path, kind: str, mutations: list[Mutation]
) -> None:
    name, delimiter = FILES[kind]
    content = mutated((published_formats.folder / name).read_bytes(), delimiter, mutations)
    attempt(published_formats, workplace, kind, content)


@pytest.mark.parametrize("kind", FILES)
@bounded
@given(content=RANDOM)
def test_a_file_of_anything_is_read_or_refused(
    published_formats: "PublishedFormats", workplace: Path, kind: str, content: bytes
) -> None:
    attempt(published_formats, workplace, kind, content)


@pytest.mark.parametrize("kind", FILES)
@settings(bounded, max_examples=10)
@given(mutations=MUTATIONS)
def test_a_spoilt_packed_file_is_read_or_refused(
    published_formats: "PublishedFormats", workplace: Path, kind: str, mutations: list[Mutation]
) -> None:
    packed = gzip.compress((published_formats.folder / FILES[kind][0]).read_bytes(), compresslevel=1)
    path = workplace / FILES[kind][0]
    good = path.read_bytes()
    path.write_bytes(mutated(packed, b"\n", mutations))
    try:
        outcome = read(published_formats, workplace, kind)
        assert not isinstance(outcome, str) or str(workplace) in outcome
    finally:
        path.write_bytes(good)


@pytest.mark.parametrize("kind", FILES)
def test_the_files_that_were_spoilt_are_good(published_formats: "PublishedFormats", workplace: Path, kind: str) -> None:
    outcome = read(published_formats, workplace, kind)
    assert not isinstance(outcome, str)
    check(outcome, workplace, kind)
