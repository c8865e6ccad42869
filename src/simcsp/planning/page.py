"""The plan of a run, or of a study, in words."""

import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from simcsp import runs
from simcsp.config import RunConfig
from simcsp.planning.plan import REFUSED, UNFINISHED, Planned, planned
from simcsp.planning.units import size_words, time_words
from simcsp.training.devices import describe, make_accelerator


class Page(NamedTuple):
    """A plan in words, and whether a stage of it would be refused."""

    text: str
    refused: bool


def run_page(config: RunConfig, stage: str) -> Page:
    """A line or more for a stage and for each that it needs, and what all of it takes."""
    accelerator = make_accelerator(config.precision)
    found = planned([config], stage, accelerator)
    rows = [(one.stage, one.found.state, _time([one]), one.work.what) for one in found]
    return _page(f"run {config.run} on {describe(accelerator)}", rows, found)


def study_page(name: str, configs: Sequence[RunConfig]) -> Page:
    """Lines as those of a run, each for a stage of all runs of a study."""
    accelerator = make_accelerator(configs[0].precision)
    found = planned(configs, "report", accelerator)
    rows = []
    for stage in dict.fromkeys(one.stage for one in found):
        of_stage = [one for one in found if one.stage == stage]
        states = Counter(one.found.state for one in of_stage)
        whats = {one.work.what for one in of_stage}
        what = f"each {whats.pop()}" if len(whats) == 1 else ""
        rows.append((stage, ", ".join(f"{number} {state}" for state, number in states.items()), _time(of_stage), what))
    return _page(f"study {name}, {len(configs)} runs, on {describe(accelerator)}", rows, found)


def _page(title: str, rows: Sequence[tuple[str, str, str, str]], found: Sequence[Planned]) -> Page:
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [f"Plan of {title}", ""]
    for *columns, what in rows:
        first, *more = what.split("\n")
        cells = [f"{cell:<{width}}" for cell, width in zip(columns, widths, strict=True)]
        lines.append(f"  {'  '.join([*cells, first])}".rstrip())
        lines += [" " * (sum(widths) + 8) + line for line in more]
    text = "\n".join([*lines, "", *_total(found)])
    return Page(text, refused=any(one.found.state == REFUSED for one in found))


def _time(found: Sequence[Planned]) -> str:
    """What is left takes so long; empty if nothing is."""
    left = [one.work.seconds for one in found if one.found.left]
    known = [seconds for seconds in left if seconds is not None]
    if not left:
        return ""
    if not known:
        return "not known yet"
    return time_words(sum(known)) + (" and what is not known yet" if len(known) < len(left) else "")


def _total(found: Sequence[Planned]) -> Iterator[str]:
    """All that is left, what its time means, and what is refused."""
    left = [one for one in found if one.found.left]
    refused = [one for one in found if one.found.state == REFUSED]
    folders = "the folder that is" if len(refused) == 1 else f"{len(refused)} folders that are"
    but = f", but for {folders} refused" if refused else ""
    yield f"Left{but}: {_time(left)}; {'; '.join(_rooms(left))}." if left else f"Nothing is left to do{but}."
    if any(one.found.state == UNFINISHED for one in left):
        yield "What is to go on with is counted in full."
    if any(one.timed for one in left):
        yield (
            "Times are those of a few real steps just taken here on random sequence, scaled up: good to a factor of "
            "two. Early stopping makes fine-tuning shorter."
        )
    for one in refused:
        yield f"Refused: {one.found.problem}"


def _rooms(left: Sequence[Planned]) -> Iterator[str]:
    """Bytes that are written, and that are free, on every file system that a folder lies on."""
    rooms: dict[Path, float] = defaultdict(float)
    for one in left:
        rooms[_mount(one.folder)] += one.work.room
    for mount, room in rooms.items():
        yield f"{size_words(room)} of disk on {mount}, where {size_words(shutil.disk_usage(mount).free)} are free"


def _mount(folder: Path) -> Path:
    place = runs.nearest_existing(folder).resolve()
    return next(path for path in (place, *place.parents) if path.is_mount())
