"""A fine-tuned classifier read back from its folder, and the probabilities it gives.

Shapes: ``n`` windows, ``L`` nucleotides.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator

from simcsp import storage
from simcsp.config import CNN, YARDSTICK
from simcsp.errors import InputError
from simcsp.metrics.calibration import Curve, Threshold, at_temperature, is_highest
from simcsp.model.embedding import batches_of, ready
from simcsp.model.encoder import SiteClassifier, load_classifier
from simcsp.prediction.scorer import Probabilities
from simcsp.sequence.alphabet import Tokens, with_special_tokens
from simcsp.training.classifier_record import CLASSIFIER

_REFERENCES = {
    CNN: "the convolutional network is a reference without an encoder and scores no other windows",
    YARDSTICK: "the logistic regression is the yardstick of the report and scores no other windows",
}


class Ensemble:
    """The folds of one initialisation, or one of them: the mean of their calibrated probabilities.

    Args:
        folder: ``runs/<run>/finetune/<initialisation>`` for the mean of all folds, or a ``fold-<k>`` in it.
        accelerator: where and how to compute.

    Attributes:
        window: nt around a site.
        max_unread: largest share of N in a window.
        assemblies: it was trained on.
        temperature: of the calibration.
        share: of splice sites among the windows it was calibrated on.
        curve: of those windows.
        calibration_errors: on them, before and after.
        parameters: of all folds together.
        identity: file → hash, of all that decides a probability.

    Raises:
        InputError: if this is no such folder, or a file in it is damaged.
    """

    def __init__(self, folder: Path, accelerator: Accelerator) -> None:
        home = _home(folder)
        record = storage.read_json(home / CLASSIFIER)
        folds = [folder] if home != folder else [home / f"fold-{k}" for k in range(record["folds"])]
        calibration = record["calibration"]
        self.window: int = record["window"]
        self.max_unread: float = record["max_unread"]
        self.assemblies: list[str] = record["assemblies"]
        self.temperature: float = calibration["temperature"]
        self.share: float = calibration["share"]
        self.calibration_errors: tuple[float, float] = calibration["ece_before"], calibration["ece_after"]
        self.curve = Curve(*(np.array(calibration["curve"][name]) for name in Curve._fields))
        self._accelerator = accelerator
        how = {"pooling": record["pooling"], "layer": record["layer"], "tokens": record["window"] + 2}
        self._members = [load_classifier(fold / "best", **how) for fold in folds]
        for member in self._members:
            ready(member, accelerator)
        self.parameters = sum(p.numel() for member in self._members for p in member.parameters())
        files = [home / CLASSIFIER, *(fold / "best" / storage.CHECKSUMS for fold in folds)]
        self.identity = {str(path.relative_to(home)): storage.sha256(path) for path in files}

    def __call__(self, windows: Tokens) -> Probabilities:
        """``(n, L)`` nucleotide tokens → ``(n,)`` calibrated probabilities."""
        if not len(windows):
            return np.empty(0)
        framed = with_special_tokens(windows)
        each = [at_temperature(self._logits(member, framed), self.temperature) for member in self._members]
        return np.asarray(np.mean(each, axis=0))

    def threshold(self, share: float | None = None) -> Threshold:
        """The threshold of the best validation F1, where ``share`` of the candidates are sites, or as in validation."""
        return self.curve.best(self.share if share is None else share)

    def __str__(self) -> str:
        before, after = self.calibration_errors
        folds = "one fold" if len(self._members) == 1 else f"{len(self._members)} folds"
        return (
            f"{folds}, windows of {self.window} nt; probabilities are calibrated on validation windows by temperature "
            f"scaling ({self.temperature:.2f}): calibration error {before:.3f} before, {after:.3f} after"
        )

    @property
    def doubts(self) -> list[str]:
        """Why its probabilities are not to be trusted, a sentence each; none where calibration gives no reason."""
        before, after = self.calibration_errors
        found = []
        if is_highest(self.temperature):
            found.append(
                f"{self.temperature:.2f} is the highest temperature that is tried: on validation windows this model "
                "hardly tells splice sites from decoys"
            )
        if after >= before:
            found.append("calibration did not lower the calibration error: take probabilities for a ranking only")
        return found

    def _logits(self, member: SiteClassifier, framed: Tokens) -> Probabilities:
        with torch.inference_mode(), self._accelerator.autocast():
            parts = [member(batch)[0] for batch in batches_of(framed, self._accelerator)]
        return torch.cat(parts).double().cpu().numpy()


def stored_precision(folder: Path) -> Any:
    """The precision that a classifier was trained in: see `precision` in :class:`simcsp.config.RunConfig`.

    Raises:
        InputError: if this is no folder of a classifier.
    """
    return storage.read_json(_home(folder) / CLASSIFIER)["precision"]


def _home(folder: Path) -> Path:
    """The folder of the initialisation that a folder is, or that it is a fold of.

    Raises:
        InputError: if it is neither.
    """
    if not folder.is_dir():
        raise InputError("no such folder", path=folder, hint=_what_can_be_given(folder))
    for home in (folder, folder.parent):
        if (home / CLASSIFIER).exists():
            return home
    name = folder.parent.name if folder.name.startswith("fold-") else folder.name
    problem = _REFERENCES.get(name, f"no classifier here ({CLASSIFIER} is missing)")
    raise InputError(problem, path=folder, hint=_what_can_be_given(folder))


def _what_can_be_given(folder: Path) -> str:
    """The initialisations of the run that a folder lies in, or how one is made."""
    for place in (folder, *folder.parents[:2]):
        for finetune in (place, place / "finetune"):
            if found := sorted(record.parent.name for record in finetune.glob(f"*/{CLASSIFIER}")):
                return f"Give {finetune}/<initialisation>, or a fold of it; there are {', '.join(found)}"
    return "Give runs/<run>/finetune/<initialisation>, or a fold of it; finetune.sh makes them"
