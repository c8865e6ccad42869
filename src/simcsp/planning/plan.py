"""What every stage of a run, or of several that belong together, would do: its state, its work, time and room."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from accelerate import Accelerator

from simcsp import runs, storage
from simcsp.config import RunConfig
from simcsp.errors import InputError
from simcsp.planning.estimates import Work, work_of
from simcsp.planning.rates import measured_rates
from simcsp.planning.work import phases, trial
from simcsp.stages import NEEDS, finished_before, stage_folder, stage_settings
from simcsp.training.devices import describe
from simcsp.training.processes import process_count

FINISHED, UNFINISHED, NEW, REFUSED = "finished", "to go on with", "to do", "refused"
_WORDS = {runs.State.FINISHED: FINISHED, runs.State.UNFINISHED: UNFINISHED, runs.State.NEW: NEW}
_WITHOUT_DEVICE = ("prepare", "report")
_MADE_ANEW = "report"  # always, so its folder has no record


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
    trainings = [*phases(configs[0]), *([trial(configs[0])] if stage == "search" else [])]
    rates = measured_rates(configs, trainings, accelerator) if left.difference(_WITHOUT_DEVICE) else None
    manifests = [_manifest(config) for config in configs]
    alike = next(filter(None, manifests), None)  # other seeds split the same windows in another way
    plan: dict[Path, Planned] = {}
    for name in states[0]:
        for config, found, manifest in zip(configs, states, manifests, strict=True):
            folder = stage_folder(config, name)
            if folder not in plan:
                known = manifest if name == "prepare" else manifest or alike
                plan[folder] = Planned(name, folder, found[name], work_of(config, name, known, rates))
    return list(plan.values())


def stage_states(config: RunConfig, stage: str, accelerator: Accelerator) -> dict[str, Found]:
    """A stage and all that it needs, in order → how its folder is found.

    The files that stages read are not hashed for this: a stage may still refuse its folder for another annotation or
    checkpoint of the same name.
    """
    states: dict[str, Found] = {}
    for name in (*NEEDS[stage], stage):
        if name == _MADE_ANEW:
            states[name] = Found(NEW)
            continue
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
