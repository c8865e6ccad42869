"""What the stages of a run have left for its report, read once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from simcsp import runs, storage
from simcsp.config import RunConfig
from simcsp.stages import stage_folder
from simcsp.training.log import read_metrics

Records = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class RunFiles:
    """Contents of the files that a report is made of.

    Attributes:
        manifest: of the prepared data.
        record: of fine-tuning: settings, versions, machine.
        architecture: ``config.json`` of BASELINE.
        kept: metric → step of the contrastive phase whose model was kept for it.
        phases: name of a phase of pre-training → what was measured in it, by step; only those that had steps.
        scores: as the evaluation wrote them.
        layers: likewise, of every layer and pooling of the pre-trained encoders.
        layouts: encoder → UMAP layout, labels and clusters of windows of the selection part.
        predictions: model → test windows of all folds with their probabilities, and a column ``fold``.
        transfer: scores on other species; none if there are none.
    """

    manifest: dict[str, Any]
    record: dict[str, Any]
    architecture: dict[str, Any]
    kept: dict[str, int]
    phases: dict[str, Records]
    scores: pd.DataFrame
    layers: pd.DataFrame
    layouts: dict[str, pd.DataFrame]
    predictions: dict[str, pd.DataFrame]
    transfer: pd.DataFrame | None


def read_run_files(config: RunConfig) -> RunFiles:
    """Read the output of all stages before the report.

    Raises:
        InputError: if a file is missing or damaged.
    """
    pretrained, encoders, tuned, scored = (
        stage_folder(config, stage) for stage in ("pretrain", "encoders", "finetune", "evaluation")
    )
    phases = {name: read_metrics(pretrained / f"phase-{name}") for name in ("baseline", "contrast")}
    return RunFiles(
        manifest=storage.read_json(stage_folder(config, "prepare") / "manifest.json"),
        record=storage.read_json(tuned / runs.RECORD),
        architecture=storage.read_json(pretrained / "baseline" / "config.json"),
        kept={metric: step for metric, (_, step) in storage.read_json(pretrained / runs.DONE)["best"].items()},
        phases={name: records for name, records in phases.items() if records},
        scores=pd.read_csv(scored / runs.SCORES, dtype={"fold": str}),
        layers=pd.read_csv(encoders / runs.LAYERS, dtype={"layer": str}),
        layouts={name: pd.read_csv(encoders / name / runs.LAYOUT) for name in config.pretrain.encoders},
        predictions={name: _test_windows(tuned / name) for name in storage.read_json(tuned / runs.DONE)["models"]},
        transfer=pd.read_csv(scored / runs.TRANSFERRED, dtype={"fold": str}) if config.data.transfer else None,
    )


def _test_windows(folder: Path) -> pd.DataFrame:
    paths = sorted(folder.glob(f"fold-*/{runs.PREDICTIONS}"))
    together = pd.concat([pd.read_parquet(path).assign(fold=path.parent.name) for path in paths])
    return together[together.part == "test"]
