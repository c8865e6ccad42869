"""What a stage does, how long that takes and how much it writes: what is counted, by the rates of this machine."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import torch

from simcsp.config import CNN, Pooling, RunConfig
from simcsp.datasets.windows import TRANSFER
from simcsp.planning.rates import ClassifierRates, Rates
from simcsp.planning.units import size_words
from simcsp.planning.work import FoldWork, embedded, folds, phases, trial
from simcsp.report.layout import PICTURED, PICTURED_IN_TRAINING
from simcsp.training.processes import process_count
from simcsp.training.workers import concurrent_processes

_POOLINGS = len(get_args(Pooling))  # that every layer is scored with
_LAID_OUT = 2e-3  # seconds of a window in a picture, on one core; compiling it takes longer than all that is timed
_COMPILED = 7.0  # seconds in every process before its first NMI, and again before its first picture
_REPORTED = 10.0  # seconds of a report
_BYTES = 4  # of a number; Adam keeps two more for each weight
_CHECKPOINT = 3 * _BYTES


@dataclass(frozen=True)
class Work:
    """One stage: what it does, how long it takes, and the bytes it writes; none where that is not known."""

    what: str
    seconds: float | None = None
    room: float = 0.0


def work_of(config: RunConfig, stage: str, manifest: Mapping[str, Any] | None, rates: Rates | None) -> Work:
    """What a stage does, and what that takes.

    Args:
        config: of the run.
        stage: any of it.
        manifest: of the prepared data, if they are.
        rates: of this machine, if they are known.
    """
    sizes = manifest["split"]["windows per part"] if manifest else None
    selection = sizes[-1] if sizes else None
    every = folds(config, sizes) if sizes else None
    transfer = manifest.get(TRANSFER, 0) if manifest else 0
    of_stage = {
        "prepare": lambda: _prepare(config, manifest),
        "pretrain": lambda: _pretrain(config, selection, rates),
        "encoders": lambda: _encoders(config, selection, rates),
        "finetune": lambda: _finetune(config, every, transfer, rates),
        "evaluation": lambda: _evaluation(config, every, rates),
        "report": lambda: Work("tables, figures and the page", _REPORTED),
        "search": lambda: _search(config, selection, rates),
    }
    return of_stage[stage]()


def _prepare(config: RunConfig, manifest: Mapping[str, Any] | None) -> Work:
    if manifest:
        corpus = manifest["corpus nucleotides"]
        return Work(f"{manifest['windows']:,} windows of {config.data.window} nt, corpus of {corpus:,} nt")
    if config.data.simulate is not None:
        return Work(f"{config.data.simulate.species} × a simulated genome of {config.data.simulate.genes} genes")
    files = [config.data.root / path for path in config.data.files]
    absent = [str(file) for file in files if not file.is_file()]
    room = sum(file.stat().st_size for file in files if file.is_file())
    missing = "".join(f"\nnot there: {file}" for file in absent)
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
    seconds = sum(rates.trained[one.kind] * one.windows for one in found) / _devices(config.processes)
    seconds += 2 * _COMPILED + sum(one.measurements for one in found) * _look(selection, rates)
    models = len(config.pretrain.encoders) + len(config.pretrain.kept)
    return Work(what, seconds, rates.encoder.parameters * (_CHECKPOINT * len(found) + _BYTES * models))


def _look(selection: int | None, rates: Rates) -> float:
    """Seconds of a measurement as it trains: windows are embedded and clustered, and some laid out in every layer."""
    windows = selection or 0
    return windows * (rates.read + rates.clustered) + rates.layers * min(windows, PICTURED_IN_TRAINING) * _LAID_OUT


def _devices(processes: int) -> int:
    """GPUs that processes of pre-training work on; without any they share the cores of one."""
    return max(1, min(process_count(processes), torch.cuda.device_count()))


def _encoders(config: RunConfig, selection: int | None, rates: Rates | None) -> Work:
    names = config.pretrain.encoders
    windows = "the" if selection is None else f"{selection:,}"
    what = f"{len(names)} encoders, every layer with {_POOLINGS} poolings, on {windows} windows"
    if rates is None or selection is None:
        return Work(what)
    scores = _POOLINGS * (rates.layers + 2) + rates.layers  # of states and their mixture, and for the pictures
    pictures = rates.layers * min(selection, PICTURED) * _LAID_OUT
    one = selection * (2 * rates.read + scores * rates.scored) + pictures
    return Work(what, 2 * _COMPILED + len(names) * one, len(names) * selection * rates.encoder.width * _BYTES)


def _finetune(config: RunConfig, every: list[FoldWork] | None, transfer: int, rates: Rates | None) -> Work:
    names, tuning = len(config.initialisations), config.finetune
    jobs = f"{config.split.folds} folds × {names} initialisations"
    if every is None:
        return Work(f"{jobs}; steps are known once the data are prepared")
    what = f"{jobs}, {names * sum(fold.steps for fold in every):,} steps of {every[0].batch} windows at most"
    if rates is None:
        return Work(what)
    kinds = [rates.cnn if name == CNN and rates.cnn else rates.encoder for name in config.initialisations]
    seconds = sum(_fold_seconds(config, fold, transfer, kind, rates.clustered) for fold in every for kind in kinds)
    before = embedded(config, every) * rates.read if tuning.frozen else 0.0
    room = sum(kind.parameters + 2 * fold.test * kind.width for fold in every for kind in kinds) * _BYTES
    return Work(
        what, before + seconds / concurrent_processes(tuning.parallel), room + rates.encoder.parameters * _CHECKPOINT
    )


def _fold_seconds(config: RunConfig, fold: FoldWork, transfer: int, rates: ClassifierRates, clustered: float) -> float:
    """Of one fold from one initialisation; a frozen encoder has embedded the windows of the fold already."""
    tuning = config.finetune
    return (
        fold.steps * fold.batch * rates.tuned[tuning.batch_size]
        + (transfer if tuning.frozen else fold.predicted + transfer) * rates.predicted
        + (fold.looks * fold.validation * clustered if tuning.follow else 0.0)
    )


def _evaluation(config: RunConfig, every: list[FoldWork] | None, rates: Rates | None) -> Work:
    what = f"{config.split.folds} folds × {len(config.initialisations) + 1} models, SCCS and NMI before and after"
    if rates is None or every is None:
        return Work(what)
    clustered = 2 * sum(fold.test for fold in every) * len(config.initialisations)
    return Work(what, _COMPILED + clustered * rates.clustered)


def _search(config: RunConfig, selection: int | None, rates: Rates | None) -> Work:
    """Every trial to its end, with as many layers as BASELINE; each deletes its checkpoint."""
    one, trials = trial(config), config.search.trials
    what = f"{trials} trials of {one.steps:,} steps at most, each measured {one.measurements} times"
    if rates is None:
        return Work(what)
    seconds = rates.trained[one.kind] * one.windows + one.measurements * _look(selection, rates)
    return Work(what, 2 * _COMPILED + trials * seconds, rates.encoder.parameters * _CHECKPOINT)
