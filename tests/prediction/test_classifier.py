"""A classifier read back gives the probabilities it was saved with, calibrated on windows it was not trained on."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit, logit

from simcsp import runs, storage
from simcsp.errors import InputError
from simcsp.metrics.calibration import calibration_error, fit_temperature
from simcsp.prediction.classifier import Ensemble, stored_precision
from simcsp.sequence.alphabet import with_special_tokens
from simcsp.training.classifier_record import CLASSIFIER, calibrate

if TYPE_CHECKING:
    from pathlib import Path

    from accelerate import Accelerator
    from tests.prediction.conftest import SavedModel

WINDOWS = np.random.default_rng(1).integers(6, 10, size=(50, 12), dtype=np.uint8)


def test_the_mean_of_calibrated_folds(saved_model: SavedModel, accelerator: Accelerator) -> None:
    ensemble = Ensemble(saved_model.folder, accelerator)
    tokens = torch.from_numpy(with_special_tokens(WINDOWS)).long()
    with torch.inference_mode():
        logits = [member.eval()(tokens)[0].double().numpy() for member in saved_model.members]
    expected = np.mean([expit(values / ensemble.temperature) for values in logits], axis=0)
    assert ensemble(WINDOWS) == pytest.approx(expected, abs=1e-6)
    one = Ensemble(saved_model.folder / "fold-1", accelerator)(WINDOWS)
    assert one == pytest.approx(expit(logits[1] / ensemble.temperature), abs=1e-6)
    assert ensemble(WINDOWS[:0]).shape == (0,)


def test_the_record_says_how_windows_are_cut_and_thresholds_found(
    saved_model: SavedModel, accelerator: Accelerator
) -> None:
    ensemble = Ensemble(saved_model.folder, accelerator)
    assert (ensemble.window, ensemble.max_unread, ensemble.assemblies) == (12, 0.05, ["hg38"])
    assert ensemble.threshold(0.001).probability > ensemble.threshold().probability
    assert set(ensemble.identity) == {CLASSIFIER, "fold-0/best/SHA256SUMS", "fold-1/best/SHA256SUMS"}


def test_calibration_is_told_and_doubted_where_it_does_not_help(
    saved_model: SavedModel, accelerator: Accelerator
) -> None:
    record = storage.read_json(saved_model.folder / CLASSIFIER)

    def calibrated(temperature: float, before: float, after: float) -> Ensemble:
        found = {"temperature": temperature, "ece_before": before, "ece_after": after}
        storage.write_json(
            saved_model.folder / CLASSIFIER, {**record, "calibration": {**record["calibration"], **found}}
        )
        return Ensemble(saved_model.folder, accelerator)

    good = calibrated(1.234, 0.0711, 0.026)
    assert str(good) == (
        "2 folds, windows of 12 nt; probabilities are calibrated on validation windows by temperature scaling (1.23): "
        "calibration error 0.071 before, 0.026 after"
    )
    assert good.doubts == []
    (hardly,) = calibrated(19.9999, 0.071, 0.026).doubts
    assert "20.00 is the highest temperature that is tried" in hardly
    (higher,) = calibrated(1.2, 0.026, 0.071).doubts
    assert "did not lower the calibration error" in higher
    assert len(calibrated(20.0, 0.026, 0.026).doubts) == 2


def test_calibration_is_that_of_validation_windows_and_its_error_is_held_out(saved_model: SavedModel) -> None:
    folds = [saved_model.folder / f"fold-{k}" for k in range(2)]
    found = calibrate(folds)
    parts = [pd.read_parquet(fold / runs.PREDICTIONS) for fold in folds]
    validation = [part[part.part == "validation"] for part in parts]
    every = pd.concat(validation)
    assert found["windows"] == len(every)
    assert found["share"] == pytest.approx(every.label.mean())
    assert found["temperature"] == pytest.approx(fit_temperature(every.label.to_numpy(), logit(every.probability)))
    assert found["ece_before"] == pytest.approx(calibration_error(every.label.to_numpy(), every.probability.to_numpy()))
    swapped = [
        expit(logit(own.probability) / fit_temperature(other.label.to_numpy(), logit(other.probability).to_numpy()))
        for own, other in (validation, validation[::-1])
    ]
    expected = calibration_error(every.label.to_numpy(), np.concatenate(swapped))
    assert found["ece_after"] == pytest.approx(expected)
    assert found["ece_after"] < found["ece_before"]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (".", "no classifier here"),
        ("finetune", "no classifier here"),
        ("pretrain/best_sccs", "no classifier here"),
        ("nonesuch", "no such folder"),
        ("finetune/nonesuch", "no such folder"),
        ("finetune/baseline/fold-2", "no such folder"),
        ("finetune/cnn", "the convolutional network is a reference without an encoder"),
        ("finetune/cnn/fold-0", "the convolutional network is a reference without an encoder"),
        ("finetune/logistic_regression", "the logistic regression is the yardstick of the report"),
        ("finetune/logistic_regression/fold-0", "the logistic regression is the yardstick of the report"),
    ],
)
def test_the_folder_that_was_given_is_named_with_those_that_can_be(
    given: str, problem: str, saved_model: SavedModel
) -> None:
    run = saved_model.folder.parents[1]
    shutil.copytree(saved_model.folder, run / "finetune" / "random")
    for folder in ("pretrain/best_sccs", "finetune/cnn/fold-0/best", "finetune/logistic_regression/fold-0"):
        (run / folder).mkdir(parents=True)
    with pytest.raises(InputError) as caught:
        stored_precision(run / given)
    said = str(caught.value)
    assert said.startswith(f"{run / given}: {problem}")
    assert said.endswith(f"Give {run / 'finetune'}/<initialisation>, or a fold of it; there are baseline, random.")


def test_a_damaged_fold_is_refused(saved_model: SavedModel, accelerator: Accelerator) -> None:
    weights = saved_model.folder / "fold-1" / "best" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match=r"missing or not as it was written: model\.safetensors"):
        Ensemble(saved_model.folder, accelerator)


def test_a_missing_fold_and_another_folder_are_named(
    saved_model: SavedModel, accelerator: Accelerator, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError) as caught:
        Ensemble(tmp_path / "empty", accelerator)
    assert str(caught.value) == (
        f"{tmp_path / 'empty'}: no classifier here (classifier.json is missing). "
        "Give runs/<run>/finetune/<initialisation>, or a fold of it; finetune.sh makes them."
    )
    shutil.rmtree(saved_model.folder / "fold-0")
    with pytest.raises(InputError, match="no checkpoint here"):
        Ensemble(saved_model.folder, accelerator)
