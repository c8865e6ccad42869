"""Files that grow come out the same whenever the process is killed."""

from pathlib import Path

import pytest

from simcsp.prediction.growing import PROGRESS, GrowingFiles
from simcsp.runs import DONE
from simcsp.tally import Tally

HEADS = {"a.bed": "", "b.tsv": "head\n"}


def grow(folder: Path, tally: Tally, until: int) -> GrowingFiles:
    files = GrowingFiles(folder, HEADS, (tally,))
    for piece in range(files.done, until):
        tally.read += 10
        tally.drop("odd", piece % 2)
        files.append({"a.bed": f"{piece}\n" * piece, "b.tsv": f"row {piece}\n"})
    return files


@pytest.mark.parametrize("killed_at", range(5))
def test_what_a_killed_process_wrote_behind_the_last_piece_goes(killed_at: int, tmp_path: Path) -> None:
    files = grow(tmp_path, Tally("x", "y"), killed_at)
    with files.path["a.bed"].open("a") as stream:
        stream.write("half a li")
    tally = Tally("x", "y")
    grow(tmp_path, tally, 5).finish({})
    assert (tmp_path / "a.bed").read_text() == "".join(f"{piece}\n" * piece for piece in range(5))
    assert (tmp_path / "b.tsv").read_text() == "head\n" + "".join(f"row {piece}\n" for piece in range(5))
    assert (tally.read, dict(tally.dropped)) == (50, {"odd": 2})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bed", "b.tsv", DONE]


def test_an_end_that_was_interrupted_is_ended(tmp_path: Path) -> None:
    files = grow(tmp_path, Tally("x", "y"), 5)
    files.path["a.bed"].replace(tmp_path / "a.bed")  # killed between two names
    grow(tmp_path, Tally("x", "y"), 5).finish({})
    assert (tmp_path / "a.bed").read_text().splitlines()[-1] == "4"
    assert (tmp_path / "b.tsv").read_text().endswith("row 4\n")
    assert not (tmp_path / PROGRESS).exists()
