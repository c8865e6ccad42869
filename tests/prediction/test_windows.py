"""Windows of a file get the score of their middle."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pytest

from simcsp.errors import InputError
from simcsp.prediction.windows import score_windows
from simcsp.sequence.alphabet import encode

if TYPE_CHECKING:
    from pathlib import Path

    from simcsp.prediction.scorer import Scorer


def test_windows_in_are_windows_out_and_refused(
    scorer: Scorer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    middle = "AACCAGTTCCAA"
    records = {
        "exact": middle, 'longer, "quoted"': f"GG{middle.lower()}GG", "short": "ACGT", "odd": f"{middle}A",
        "unread": "NN" + middle[2:],
    }  # fmt: skip
    path = tmp_path / "windows.fa"
    path.write_text("".join(f">{name}\n{letters}\n" for name, letters in records.items()))
    (tmp_path / "scores").mkdir()
    score_windows(path, scorer, 0.5, tmp_path / "scores")
    with (tmp_path / "scores/windows.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    probability = scorer(encode(middle.encode()).tokens[None])[0]
    assert [row["name"] for row in rows] == ["exact", 'longer, "quoted"']
    assert [row["dinucleotide"] for row in rows] == ["GT", "GT"]
    assert [row["line"] for row in rows] == ["1", "3"]
    assert [float(row["probability"]) for row in rows] == pytest.approx([probability] * 2, rel=1e-5)
    refused = [line.split("\t")[1:] for line in (tmp_path / "scores/refused.tsv").read_text().splitlines()[1:]]
    assert refused == [
        ["short", "shorter than a window of 12 nt"],
        ["odd", "odd length: no dinucleotide is in the middle"],
        ["unread", "more than 10% N in the window"],
    ]
    assert "5 records in = 2 out + 3 refused" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "the file is empty"), (">a\n>b\nAC\n", "line 1: a header without a sequence"), (">a\nACGXT\n", "'X'")],
)
def test_bad_files_are_named(text: str, message: str, scorer: Scorer, tmp_path: Path) -> None:
    path = tmp_path / "windows.fa"
    path.write_text(text)
    (tmp_path / "scores").mkdir()
    with pytest.raises(InputError) as error:
        score_windows(path, scorer, 0.5, tmp_path / "scores")
    assert message in str(error.value)
