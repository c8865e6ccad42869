"""The plan of a run in words: every stage with its state, its work, and the time and room it takes."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simcsp import runs, storage
from simcsp.config import RunConfig
from simcsp.planning.rates import Rates, measured_rates
from simcsp.planning.work import FoldWork, folds, phases
from simcsp.stages import NEEDS, stage_folder, stage_settings
from simcsp.training.devices import describe, make_accelerator

_POOLINGS = 3  # that every layer is scored with
_BYTES = 4  # of a weight; Adam keeps two more numbers for each
_CHECKPOINT = 3 * _BYTES
_UNKNOWN = "not known yet"


@dataclass(frozen=True)
class Work:
    """One stage: what it does, how long it takes, and the bytes it writes; none where that is not known."""

    what: str
    seconds: float | None = None
    room: float = 0.0


def plan_page(config: RunConfig, stage: str) -> str:
    """The plan of a stage and of all that it needs.

    Steps are timed for some seconds, with random sequence; nothing is written.
    """
    accelerator = make_accelerator(config.precision)
    names = (*NEEDS[stage], stage)
    states = {name: stage_state(config, name) for name in names}
    left = [name for name in names if states[name] != "finished"]
    rates = measured_rates(config, accelerator) if set(left) - {"prepare", "report"} else None
    works = {name: _work(config, name, rates) for name in names}
    rows = [
        (name, states[name], works[name].what, _duration(works[name].seconds) if name in left else "–")
        for name in names
    ]
    widths = [max(len(row[column]) for row in (("stage", "state", "", ""), *rows)) for column in range(2)]
    lines = [f"Plan of run {config.run} on {describe(accelerator)}", ""]
    for name, state, what, time in rows:
        first, *more = what.split("\n")
        lines.append(f"  {name:<{widths[0]}}  {state:<{widths[1]}}  {first}" + (f"; {time}" if time != "–" else ""))
        lines += [" " * (sum(widths) + 6) + line for line in more]
    return "\n".join([*lines, "", _total([works[name] for name in left])])


def stage_state(config: RunConfig, stage: str) -> str:
    """``finished``, ``to do``, ``to go on with``, or what differs where the stage would refuse its folder."""
    state, differences = runs.peek_stage(stage_folder(config, stage), stage_settings(config, stage))
    if stage == "report":  # always made anew
        return "to do"
    if differences:
        return f"refused, its folder holds other settings: {'; '.join(differences[:3])}"
    return {runs.State.FINISHED: "finished", runs.State.UNFINISHED: "to go on with", runs.State.NEW: "to do"}[state]


def _work(config: RunConfig, stage: str, rates: Rates | None) -> Work:
    prepared = stage_folder(config, "prepare")
    manifest = storage.read_json(prepared / "manifest.json") if (prepared / runs.DONE).exists() else None
    sizes = manifest["split"]["windows per part"] if manifest else None
    selection = sizes[-1] if sizes else None
    work_of = {
        "prepare": lambda: _prepare(config, manifest),
        "pretrain": lambda: _pretrain(config, selection, rates),
        "encoders": lambda: _encoders(config, selection, rates),
        "finetune": lambda: _finetune(config, folds(config, sizes) if sizes else None, rates),
        "evaluation": lambda: _evaluation(config, sum(sizes[:-1]) if sizes else None, rates),
        "report": lambda: Work("tables, figures and the page", 10.0),
        "search": lambda: _search(config, rates),
    }
    return work_of[stage]()


def _prepare(config: RunConfig, manifest: Mapping[str, Any] | None) -> Work:
    if manifest:
        corpus = manifest["corpus nucleotides"]
        return Work(f"{manifest['windows']:,} windows of {config.data.window} nt, corpus of {corpus:,} nt")
    if config.data.simulate is not None:
        return Work(f"{config.data.simulate.species} × a simulated genome of {config.data.simulate.genes} genes")
    files = [config.data.root / path for path in config.data.files]
    absent = [str(file) for file in files if not file.is_file()]
    room = sum(file.stat().st_size for file in files if file.is_file())
    missing = f"; not there: {', '.join(absent)}" if absent else ""
    return Work(f"reads {len(files)} files of {_size(room)}{missing}", None, room)


def _pretrain(config: RunConfig, selection: int | None, rates: Rates | None) -> Work:
    found = phases(config)
    what = "\n".join(
        f"{one.name}: {one.steps:,} steps of {one.phase.windows_per_step} windows, {one.tokens:,} tokens, measured "
        f"{one.measurements} times"
        for one in found
    )
    if rates is None:
        return Work(what)
    seconds = sum(rates.trained[one.phase.has_mlm, one.phase.has_contrast] * one.windows for one in found)
    looks = sum(one.measurements for one in found)
    seconds += looks * (selection or 0) * (rates.read + rates.clustered)
    models = len(config.pretrain.encoders) + len(config.pretrain.kept)
    return Work(what, seconds, rates.parameters * (_CHECKPOINT * 2 + _BYTES * models))


def _encoders(config: RunConfig, selection: int | None, rates: Rates | None) -> Work:
    names, layers = config.pretrain.encoders, config.encoder.layers - config.encoder.drop_layers + 1
    what = f"{len(names)} encoders, every layer with {_POOLINGS} poolings, on {_count(selection)} windows"
    if rates is None or selection is None:
        return Work(what)
    one = selection * (rates.read + _POOLINGS * (layers + 1) * rates.clustered)
    return Work(what, len(names) * one, len(names) * selection * config.encoder.hidden * _BYTES)


def _finetune(config: RunConfig, every: list[FoldWork] | None, rates: Rates | None) -> Work:
    names = len(config.initialisations)
    jobs = f"{config.split.folds} folds × {names} initialisations"
    if every is None:
        return Work(f"{jobs}; steps are known once the data are prepared")
    what = f"{jobs}, {names * sum(fold.steps for fold in every):,} steps of {every[0].batch} windows at most"
    if rates is None:
        return Work(what)
    per_window = 0.0 if config.finetune.frozen else rates.tuned
    seconds = sum(fold.steps * fold.batch * per_window + fold.predicted * rates.read for fold in every)
    room = config.split.folds * rates.parameters * _BYTES + sum(f.predicted for f in every) * config.encoder.hidden
    return Work(what, names * seconds / config.finetune.parallel, names * room + rates.parameters * _CHECKPOINT)


def _evaluation(config: RunConfig, tested: int | None, rates: Rates | None) -> Work:
    what = f"{config.split.folds} folds × {len(config.initialisations) + 1} models, SCCS and NMI before and after"
    if rates is None or tested is None:
        return Work(what)
    return Work(what, 2 * tested * len(config.initialisations) * rates.clustered)


def _search(config: RunConfig, rates: Rates | None) -> Work:
    phase = config.pretrain.contrast
    what = f"{config.search.trials} trials of {phase.steps:,} steps at most"
    if rates is None:
        return Work(what)
    per_window = rates.trained[phase.has_mlm, phase.has_contrast]
    return Work(what, config.search.trials * phase.steps * phase.windows_per_step * per_window)


def _total(works: list[Work]) -> str:
    if not works:
        return "Nothing is left to do."
    known = [work.seconds for work in works if work.seconds is not None]
    unknown = " and what is not known yet" if len(known) < len(works) else ""
    free = shutil.disk_usage(runs.ROOT).free
    return (
        f"Left: {_duration(sum(known))}{unknown}; {_size(sum(work.room for work in works))} of disk, {_size(free)} are "
        "free.\nTimes are those of a few real steps just taken here on random sequence, scaled up: good to a factor of "
        "two. Early stopping makes fine-tuning shorter."
    )


def _count(number: int | None) -> str:
    return "the" if number is None else f"{number:,}"


def _duration(seconds: float | None) -> str:
    """In the largest unit that leaves a number above 1."""
    if seconds is None:
        return _UNKNOWN
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 1.5 * length:
            return f"about {seconds / length:.1f} {unit}"
    return f"about {max(1, round(seconds))} s"


def _size(room: float) -> str:
    for unit, length in (("GB", 1e9), ("MB", 1e6)):
        if room >= length:
            return f"{room / length:.1f} {unit}"
    return f"{room / 1e3:.0f} kB"
