"""The stages of a run, in order: where each writes, which settings are its own, which others it needs."""

from pathlib import Path
from typing import Any

from simcsp import runs
from simcsp.config import RunConfig, as_plain
from simcsp.console import say

SETTINGS = {
    "prepare": ("data", "split"),
    "pretrain": ("seed", "precision", "compile", "encoder", "pretrain", "nmi", "published"),
    "encoders": ("seed", "precision", "encoder", "nmi", "published"),
    "finetune": ("seed", "precision", "compile", "encoder", "finetune"),
    "evaluation": ("seed", "precision", "encoder", "nmi", "published"),
    "report": (),
    "search": ("seed", "precision", "compile", "encoder", "pretrain", "nmi", "published", "search"),
}
_NEEDS = {
    "prepare": (),
    "pretrain": ("prepare",),
    "encoders": ("prepare", "pretrain"),
    "finetune": ("prepare", "pretrain"),
    "evaluation": ("prepare", "pretrain", "encoders", "finetune"),
    "report": ("prepare", "pretrain", "encoders", "finetune", "evaluation"),
    "search": ("prepare", "pretrain"),
}
_SHARED = ("pretrain", "encoders")  # by runs that name another in `pretrained`


def stage_folder(config: RunConfig, stage: str) -> Path:
    """Where a stage writes; prepared data are shared by runs, and so is pre-training with what is measured of it."""
    if stage == "prepare":
        return runs.prepared_folder(config.data.name)
    return runs.run_folder((config.pretrained if stage in _SHARED else "") or config.run) / stage


def stage_settings(config: RunConfig, stage: str) -> dict[str, Any]:
    """The settings that change what a stage writes; earlier stages answer for theirs.

    Where the data lie is no part of it: what is in them is hashed.
    """
    settings = {name: as_plain(getattr(config, name)) for name in SETTINGS[stage]}
    if "data" in settings:
        del settings["data"]["root"]
    return settings


def finished_before(config: RunConfig, stage: str) -> dict[str, str]:
    """Vouch for every stage that this one needs: name → hash of all that went into it.

    Raises:
        InputError: if one of them has not finished, or was run with other settings.
    """
    return {
        name: runs.finished_stage(stage_folder(config, name), stage_settings(config, name)) for name in _NEEDS[stage]
    }


def enter_stage(config: RunConfig, stage: str, files: dict[str, str]) -> bool:
    """Claim the folder of a stage; say so and return false if it holds the finished output already.

    Args:
        config: of the run.
        stage: to enter.
        files: name → hash of the files it reads besides the output of earlier stages.

    Raises:
        InputError: as :func:`finished_before` does, if the folder holds the output of other settings, or if
            another process is writing there.
    """
    folder = stage_folder(config, stage)
    inputs = {**finished_before(config, stage), **files}
    runs.lock(folder)
    state = runs.open_stage(folder, stage_settings(config, stage), inputs)
    if state is runs.State.FINISHED:
        say(f"{stage}: {folder.relative_to(runs.ROOT)} is complete")
    return state is not runs.State.FINISHED
