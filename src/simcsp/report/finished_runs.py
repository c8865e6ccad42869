"""Evaluated runs read back by name, to be compared."""

import re
from pathlib import Path
from typing import Any

import pandas as pd

from simcsp import runs, storage
from simcsp.datasets.splits import test_to_train
from simcsp.errors import InputError
from simcsp.report.joined import Scored, flat

# What makes no variant of a model: names, places, the seed and what follows from it, other scripts' settings, and how
# many processes do the work.
_APART = re.compile(
    r"run|pretrained|processes|seed|split\.seed|data\.(name|root)|study\..*|search\..*|finetune\.parallel"
)


def read_settings(name: str) -> dict[str, Any]:
    """Dotted name → value of every setting of an evaluated run.

    Raises:
        InputError: if there is no such run, or its evaluation has not finished.
    """
    folder = runs.run_folder(name)
    if not folder.is_dir():
        there = sorted(path.parent.parent.name for path in folder.parent.glob(f"*/evaluation/{runs.DONE}"))
        raise InputError("there is no such run", path=folder, hint=f"Evaluated runs: {', '.join(there) or 'none'}")
    if not (folder / "evaluation" / runs.DONE).exists():
        raise InputError("this run has not been evaluated", path=folder, hint="Run finetune.sh with its configuration")
    return dict(flat(storage.read_json(folder / "evaluation" / runs.CONFIG)))


def pretrained_folder(name: str, settings: dict[str, Any], stage: str) -> Path:
    """Where ``pretrain`` or ``encoders`` of a run lie: runs may share them."""
    return runs.run_folder(settings["pretrained"] or name) / stage


def read_evaluated_run(name: str) -> Scored:
    """One evaluated run.

    Raises:
        InputError: if its evaluation has not finished.
    """
    settings, folder = read_settings(name), runs.run_folder(name)
    transfer = folder / "evaluation" / runs.TRANSFERRED
    manifest = storage.read_json(runs.prepared_folder(settings["data.name"]) / "manifest.json")
    return Scored(
        name=name,
        seed=settings["seed"],
        settings={key: value for key, value in settings.items() if not _APART.fullmatch(key)},
        scores=pd.read_csv(folder / "evaluation" / runs.SCORES, dtype={"fold": str}),
        transfer=pd.read_csv(transfer, dtype={"fold": str}) if transfer.exists() else None,
        test_to_train=test_to_train(settings["split.folds"], manifest["split"]["windows per part"]),
        split_seed=settings["split.seed"],
        exposed=manifest["exposure"]["windows"] / manifest["exposure"]["of"],
        simulated=any(name.startswith("data.simulate.") for name in settings),
    )
