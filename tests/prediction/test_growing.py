"""Files that grow come out the same whenever the process is killed."""

from pathlib import Path

import pytest

from simcsp.prediction.growing import PROGRESS, GrowingFiles
from simcsp.prediction.refused import finish_records
from simcsp.runs import DONE
from simcsp.storage import read_json
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


def test_a_folder_with_a_lost_record_is_never_finished(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    read, written = Tally("records", "calls.vcf"), Tally("records", "written")
    read.read, written.read = 40, 37
    read.drop("odd", 2)
    files = GrowingFiles(tmp_path, HEADS, (read, written))
    with pytest.raises(AssertionError, match="40 records read, 37 written, 2 refused"):
        finish_records(files, {})
    assert not (tmp_path / DONE).exists()
    written.read += 1
    finish_records(files, {"threshold": 0.5})
    assert read_json(tmp_path / DONE) == {"records": read.as_dict(), "threshold": 0.5}
    assert capsys.readouterr().out.endswith("predict: 40 records in = 38 out + 2 refused\n")
