import json
import math
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from simcsp.runs import METRICS
from simcsp.training.dashboard import tag_of
from simcsp.training.log import RunLog, read_metrics


def write(folder: Path, start: int, steps: list[int], factor: float = 1.0) -> None:
    """One process of a training: it goes on from ``start`` and logs two numbers at each step."""
    with RunLog(folder, start) as log:
        for step in steps:
            log.scalars(step, {"train/loss": factor * step, "validation/sccs": factor / (step + 1)})


def steps_of(folder: Path) -> list[int]:
    return [record["step"] for record in read_metrics(folder)]


def events_of(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(folder)).Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def curves_of(folder: Path) -> dict[str, list[tuple[int, Any]]]:
    curves: dict[str, list[tuple[int, Any]]] = {}
    for record in read_metrics(folder):
        for name, value in record.items():
            if name != "step":
                curves.setdefault(tag_of(name), []).append((record["step"], pytest.approx(value)))
    return curves


def test_records_are_read_back_in_order(tmp_path: Path) -> None:
    write(tmp_path / "new" / "folder", 0, [0, 10])
    assert read_metrics(tmp_path / "new" / "folder") == [
        {"step": 0, "train/loss": 0.0, "validation/sccs": 1.0},
        {"step": 10, "train/loss": 10.0, "validation/sccs": 1 / 11},
    ]


def test_no_record_is_an_empty_list(tmp_path: Path) -> None:
    assert read_metrics(tmp_path) == []


def test_every_number_is_on_disk_at_once(tmp_path: Path) -> None:
    with RunLog(tmp_path, 0) as log:
        log.scalars(1, {"a": 1.0})
        assert read_metrics(tmp_path) == [{"step": 1, "a": 1.0}]


def test_resuming_drops_what_came_after_the_checkpoint(tmp_path: Path) -> None:
    write(tmp_path, 0, [0, 5, 10, 15])
    write(tmp_path, 10, [15, 20], factor=2.0)
    assert steps_of(tmp_path) == [0, 5, 10, 15, 20]
    assert [record["train/loss"] for record in read_metrics(tmp_path)] == [0, 5, 10, 30, 40]


def test_starting_anew_drops_everything(tmp_path: Path) -> None:
    write(tmp_path, 0, [0, 5])
    write(tmp_path, 0, [0])
    assert steps_of(tmp_path) == [0]


@pytest.mark.parametrize("end", ['{"step": 10, "train/lo', '{"step": 10, "train/loss": 1', "{", '{"step": 10}'])
def test_line_cut_off_by_a_crash_does_not_spoil_the_rest(tmp_path: Path, end: str) -> None:
    write(tmp_path, 0, [0, 5])
    with (tmp_path / METRICS).open("a") as stream:
        stream.write(end)
    write(tmp_path, 5, [10])
    assert steps_of(tmp_path) == [0, 5, 10]
    assert read_metrics(tmp_path)[-1]["train/loss"] == 10


@pytest.mark.parametrize(
    "processes",
    [
        [(0, [0, 5, 10])],
        [(0, [0, 5, 10, 15]), (10, [15, 20])],
        [(0, [0, 5]), (0, [0, 5, 10])],  # killed before its first checkpoint
        [(0, [0, 5, 10]), (5, [10, 15, 20]), (10, [15])],
    ],
    ids=["whole", "resumed", "anew", "resumed twice"],
)
def test_tensorboard_shows_what_the_record_says(tmp_path: Path, processes: list[tuple[int, list[int]]]) -> None:
    for number, (start, steps) in enumerate(processes):
        write(tmp_path, start, steps, factor=1.0 + number)
    assert events_of(tmp_path) == curves_of(tmp_path)
    assert set(events_of(tmp_path)) == {"at a glance/loss", "at a glance/SCCS"}


def strict(line: str) -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(constant)

    return json.loads(line, parse_constant=refuse)


def test_undefined_numbers_keep_the_record_valid_json(tmp_path: Path) -> None:
    with RunLog(tmp_path, 0) as log:
        log.scalars(0, {"a": math.nan, "b": math.inf, "c": 1.0})
    (line,) = (tmp_path / METRICS).read_text().splitlines()
    assert strict(line) == {"step": 0, "a": None, "b": None, "c": 1.0}
