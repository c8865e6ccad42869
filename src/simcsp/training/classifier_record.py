"""What a fine-tuned classifier must be told with: ``classifier.json`` beside its folds.

The folder ``runs/<run>/finetune/<initialisation>`` then is a model: ``fold-<k>/best`` holds the weights of encoder and
head with their hashes, ``classifier.json`` how windows are cut and pooled, the assemblies it was trained on, and how
its probabilities are calibrated. It can be copied elsewhere as a whole.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logit

from simcsp import __version__, runs, storage
from simcsp.config import RunConfig
from simcsp.metrics.calibration import Curve, at_temperature, calibration_error, fit_temperature
from simcsp.stages import stage_folder

CLASSIFIER = "classifier.json"
_CLOSEST = 1e-7  # to 0 and 1 that a stored probability is taken for


def write_classifier_record(config: RunConfig, name: str) -> None:
    """Write ``classifier.json`` of one initialisation, once all its folds are finished."""
    folder = stage_folder(config, "finetune") / name
    genomes = storage.read_json(stage_folder(config, "prepare") / "manifest.json")["assemblies"]
    trained_on = {str(source.fasta) for source in config.data.windows if source.fasta is not None}
    record = {
        "version": __version__,
        "run": config.run,
        "initialisation": name,
        "folds": config.split.folds,
        "window": config.data.window,
        "max_unread": config.data.max_unread,
        "pooling": config.encoder.pooling,
        "layer": config.encoder.layer,
        "precision": config.precision,
        "species": sorted({source.species for source in config.data.windows}),
        "assemblies": sorted({genomes[fasta]["assembly"] for fasta in trained_on}),
        "calibration": calibrate([folder / f"fold-{k}" for k in range(config.split.folds)]),
    }
    storage.write_json(folder / CLASSIFIER, record)


def calibrate(folds: list[Path]) -> dict[str, Any]:
    """Temperature, calibration error and curve of a classifier, from the validation windows of its folds.

    Every window was predicted by a model that had not been trained on it. The error at the temperature is that of each
    fold at the temperature of the others, so it is not measured on what it was fitted to.
    """
    parts = [pd.read_parquet(fold / runs.PREDICTIONS).query("part == 'validation'") for fold in folds]
    labels = [part.label.to_numpy() for part in parts]
    logits = [logit(part.probability.to_numpy().clip(_CLOSEST, 1 - _CLOSEST)) for part in parts]
    every, scores = np.concatenate(labels), np.concatenate(logits)
    temperature = fit_temperature(every, scores)
    held_out = [_without(k, labels, logits) for k in range(len(folds))]
    after = np.concatenate([at_temperature(own, other) for own, other in zip(logits, held_out, strict=True)])
    curve = Curve.of(every, at_temperature(scores, temperature))
    share = float(every.mean())
    return {
        "windows": len(every),
        "share": share,
        "temperature": temperature,
        "ece_before": calibration_error(every, at_temperature(scores, 1.0)),
        "ece_after": calibration_error(every, after),
        "threshold": curve.best(share)._asdict(),
        "curve": {name: values.tolist() for name, values in curve._asdict().items()},
    }


def _without(k: int, labels: list[Any], logits: list[Any]) -> float:
    """Temperature of all folds but one; its own if there is no other."""
    others = [row for row in range(len(labels)) if row != k] or [k]
    return fit_temperature(*(np.concatenate([column[row] for row in others]) for column in (labels, logits)))
