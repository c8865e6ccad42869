"""What every stage of a run, or of several that belong together, would do: its state, its work, time and room."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from accelerate import Accelerator

from simcsp import runs, storage
from simcsp.config import RunConfig
from simcsp.datasets.windows import TRANSFER
from simcsp.errors import InputError
from simcsp.planning.rates import Rates, measured_rates
from simcsp.planning.work import FoldWork, embedded, folds, phases
from simcsp.stages import NEEDS, finished_before, stage_folder, stage_settings
from simcsp.training.devices import describe
from simcsp.training.processes import process_count
from simcsp.training.workers import at_once

FINISHED, UNFINISHED, NEW, REFUSED = "finished", "to go on with", "to do", "refused"
_WORDS = {runs.State.FINISHED: FINISHED, runs.State.UNFINISHED: UNFINISHED, runs.State.NEW: NEW}
_WITHOUT_DEVICE = ("prepare", "report")
_POOLINGS = 3  # that every layer is scored with
_PICTURED, _PICTURED_AT_END = 300, 2000  # windows of a layer in UMAP's pictures, as it trains and of every encoder
_LAID_OUT = 2e-3  # seconds of a window in a picture, on one core; compiling it takes longer than all that is timed
_COMPILED = 7.0  # seconds in every process before its first NMI, and again before its first picture
_BYTES = 4  # of a number; Adam keeps two more for each weight
_CHECKPOINT = 3 * _BYTES


@dataclass(frozen=True)
class Work:
    """One stage: what it does, how long it takes, and the bytes it writes; none where that is not known."""

    what: str
    seconds: float | None = None
    room: float = 0.0


class Found(NamedTuple):
    """How a stage finds its folder.

    Attributes:
        state: ``finished``, if all that it needs is, too, and is what it was made from; ``to check after`` a stage that
            it needs; ``to do``; ``to go on with``; or ``refused``.
        problem: the sentence that a refused stage stops with.
    """

    state: str
    problem: str = ""

    @property
    def left(self) -> bool:
        """Whether there is work to do: what is to be checked is kept, or refused."""
        return self.state in {NEW, UNFINISHED}


class Planned(NamedTuple):
    """One folder of a stage, and what is to be done in it."""

    stage: str
    folder: Path
    found: Found
    work: Work

    @property
    def timed(self) -> bool:
        """Whether there is work to do, the time of which is known by steps taken here."""
        return self.found.left and self.work.seconds is not None and self.stage not in _WITHOUT_DEVICE


def planned(configs: Sequence[RunConfig], stage: str, accelerator: Accelerator) -> list[Planned]:
    """A stage of some runs, and all that it needs, in order; a folder that runs share counts once.

    Steps are timed for some seconds, with random sequence, if any are left. Nothing is written.

    Args:
        configs: of one run, or of those of a study.
        stage: the last one.
        accelerator: device and precision.
    """
    states = [stage_states(config, stage, accelerator) for config in configs]
    left = {name for states_of_run in states for name, found in states_of_run.items() if found.left}
    rates = measured_rates(configs, accelerator) if left.difference(_WITHOUT_DEVICE) else None
    manifests = [_manifest(config) for config in configs]
    alike = next(filter(None, manifests), None)  # other seeds split the same windows in another way
    plan: dict[Path, Planned] = {}
    for name in states[0]:
        for config, found, manifest in zip(configs, states, manifests, strict=True):
            folder = stage_folder(config, name)
            if folder not in plan:
                known = manifest if name == "prepare" else manifest or alike
                plan[folder] = Planned(name, folder, found[name], _work(config, name, known, rates))
    return list(plan.values())


def stage_states(config: RunConfig, stage: str, accelerator: Accelerator) -> dict[str, Found]:
    """A stage and all that it needs, in order → how its folder is found.

    The files that stages read are not hashed for this: a stage may still refuse its folder for another annotation or
    checkpoint of the same name.
    """
    states: dict[str, Found] = {}
    for name in (*NEEDS[stage], stage):
        first = next((need for need in NEEDS[name] if states[need].state != FINISHED), None)
        before = {} if first else finished_before(config, name)
        inputs = before | _device(config, name, accelerator)
        try:
            state = runs.peek_stage(stage_folder(config, name), stage_settings(config, name), inputs)
        except InputError as error:
            states[name] = Found(REFUSED, str(error))
        else:
            checked = first and state is runs.State.FINISHED
            states[name] = Found(f"to check after {first}" if checked else _WORDS[state])
    return states


def _device(config: RunConfig, stage: str, accelerator: Accelerator) -> dict[str, str]:
    """The input that a stage records of where it is computed."""
    if stage in _WITHOUT_DEVICE:
        return {}
    return {"device": describe(accelerator, process_count(config.processes) if stage == "pretrain" else None)}


def _manifest(config: RunConfig) -> dict[str, Any] | None:
    """Of the prepared data, if they are."""
    folder = stage_folder(config, "prepare")
    return dict(storage.read_json(folder / "manifest.json")) if (folder / runs.DONE).exists() else None


def _work(config: RunConfig, stage: str, manifest: Mapping[str, Any] | None, rates: Rates | None) -> Work:
    sizes = manifest["split"]["windows per part"] if manifest else None
    selection = sizes[-1] if sizes else None
    every = folds(config, sizes) if sizes else None
    transfer = manifest.get(TRANSFER, 0) if manifest else 0
    work_of = {
        "prepare": lambda: _prepare(config, manifest),
        "pretrain": lambda: _pretrain(config, selection, rates),
        "encoders": lambda: _encoders(config, selection, rates),
        "finetune": lambda: _finetune(config, every, transfer, rates),
        "evaluation": lambda: _evaluation(config, every, rates),
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
    return Work(f"reads {len(files)} files of {size_words(room)}{missing}", None, room)


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
    seconds /= _devices(config.processes)
    windows = selection or 0
    look = windows * (rates.read + rates.clustered) + rates.layers * min(windows, _PICTURED) * _LAID_OUT
    seconds += 2 * _COMPILED + sum(one.measurements for one in found) * look
    models = len(config.pretrain.encoders) + len(config.pretrain.kept)
    return Work(what, seconds, rates.parameters * (_CHECKPOINT * len(found) + _BYTES * models))


def _devices(processes: int) -> int:
    """GPUs that processes of pre-training work on; without any they share the cores of one."""
    gpus = torch.cuda.device_count()
    return max(1, min(processes or gpus, gpus))


def _encoders(config: RunConfig, selection: int | None, rates: Rates | None) -> Work:
    names = config.pretrain.encoders
    windows = "the" if selection is None else f"{selection:,}"
    what = f"{len(names)} encoders, every layer with {_POOLINGS} poolings, on {windows} windows"
    if rates is None or selection is None:
        return Work(what)
    scores = _POOLINGS * (rates.layers + 2) + rates.layers  # of states and their mixture, and for the pictures
    pictures = rates.layers * min(selection, _PICTURED_AT_END) * _LAID_OUT
    one = selection * (2 * rates.read + scores * rates.scored) + pictures
    return Work(what, 2 * _COMPILED + len(names) * one, len(names) * selection * rates.width * _BYTES)


def _finetune(config: RunConfig, every: list[FoldWork] | None, transfer: int, rates: Rates | None) -> Work:
    names, tuning = len(config.initialisations), config.finetune
    jobs = f"{config.split.folds} folds × {names} initialisations"
    if every is None:
        return Work(f"{jobs}; steps are known once the data are prepared")
    what = f"{jobs}, {names * sum(fold.steps for fold in every):,} steps of {every[0].batch} windows at most"
    if rates is None:
        return Work(what)
    seconds = sum(
        fold.steps * fold.batch * rates.tuned[tuning.batch_size]
        + (transfer if tuning.frozen else fold.predicted + transfer) * rates.predicted
        + (fold.looks * fold.validation * rates.clustered if tuning.follow else 0.0)
        for fold in every
    )
    before = embedded(config, every) * rates.read if tuning.frozen else 0.0
    room = sum(rates.parameters * _BYTES + 2 * fold.test * rates.width * _BYTES for fold in every)
    return Work(
        what, before + names * seconds / at_once(tuning.parallel), names * room + rates.parameters * _CHECKPOINT
    )


def _evaluation(config: RunConfig, every: list[FoldWork] | None, rates: Rates | None) -> Work:
    what = f"{config.split.folds} folds × {len(config.initialisations) + 1} models, SCCS and NMI before and after"
    if rates is None or every is None:
        return Work(what)
    clustered = 2 * sum(fold.test for fold in every) * len(config.initialisations)
    return Work(what, _COMPILED + clustered * rates.clustered)


def _search(config: RunConfig, rates: Rates | None) -> Work:
    phase = config.pretrain.contrast
    what = f"{config.search.trials} trials of {phase.steps:,} steps at most"
    if rates is None:
        return Work(what)
    per_window = rates.trained[phase.has_mlm, phase.has_contrast]
    return Work(what, config.search.trials * phase.steps * phase.windows_per_step * per_window)


def size_words(room: float) -> str:
    """Bytes in the largest unit that leaves a number of at least 1."""
    for unit, length in (("GB", 1e9), ("MB", 1e6)):
        if room >= length:
            return f"{room / length:.1f} {unit}"
    return f"{room / 1e3:.0f} kB"
