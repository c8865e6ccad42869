import gzip
from pathlib import Path

import pandas as pd
import pytest

from simcsp.errors import InputError
from simcsp.sentences.labelled import read_sentences

TABLE = pd.DataFrame({"text": ["good", "bad", " ", "fine", None], "label": [1, 0, 1, -1, 0]})


def test_files_of_one_class_each_are_read_in_either_encoding(tmp_path: Path) -> None:
    (tmp_path / "rt.pos.gz").write_bytes(gzip.compress("a na\xefve film\n\nfun\n".encode("latin-1")))
    (tmp_path / "rt.neg").write_bytes("d\u00e9j\u00e0 vu\r\nno \u2028line end\n".encode())
    found = read_sentences([tmp_path / "rt.pos.gz", tmp_path / "rt.neg"])
    assert found.texts == ["a na\xefve film", "fun", "d\u00e9j\u00e0 vu", "no \u2028line end"]
    assert found.labels.tolist() == [0, 0, 1, 1]
    assert (found.tally.read, found.tally.kept, found.tally.reasons) == (5, 4, "1: empty line")
    assert dict(found.tally.changed) == {"rt.pos.gz read as Latin-1": 1}


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.tsv", "x.parquet", "x.jsonl"])
def test_tables_are_read_and_rows_without_label_or_text_counted(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    table = TABLE if name != "x.jsonl" else TABLE.rename(columns={"text": "sentence"})
    if name == "x.parquet":
        table.to_parquet(path)
    elif name == "x.jsonl":
        table.to_json(path, orient="records", lines=True)
    else:
        table.to_csv(path, sep="\t" if name == "x.tsv" else ",", index=False)
    found = read_sentences([path])
    assert (found.texts, found.labels.tolist()) == (["good", "bad"], [1, 0])
    assert dict(found.tally.dropped) == {"no label": 1, "no text": 2}


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("x.csv", b"review,label\na,1\n", "no columns text .or sentence. and label; found: review, label"),
        ("x.csv", b"text,label\na,1\nb,1\n", "all sentences have one label"),
        ("x.parquet", b"PAR1", "cannot be read"),
        ("x.bin", b"", "not a table that is known by its name"),
    ],
)
def test_what_is_no_table_of_two_labels_is_refused(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=problem):
        read_sentences([tmp_path / name])


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"neg: no such file"):
        read_sentences([tmp_path / "neg", tmp_path / "pos"])
