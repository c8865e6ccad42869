"""What training minimises: a module that takes a batch and gives named losses, ``loss`` among them.

An objective also writes itself to a checkpoint folder and reads itself back, so that one loop trains them all.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from safetensors.torch import load_file, load_model, save_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from simcsp.config import PhaseConfig, Pooling
from simcsp.model.cnn import DilatedCnn
from simcsp.model.contrastive import Contrast, contrastive_loss
from simcsp.model.encoder import HEAD, WEIGHTS, SiteClassifier, save_checkpoint
from simcsp.model.mlm import MlmTotal, mlm_loss
from simcsp.model.states import Encoded, encode, parameters_below

Classifier = SiteClassifier | DilatedCnn


class Objective(Protocol):
    """What the training loop needs of a module."""

    def __call__(self, **batch: Tensor) -> dict[str, Tensor]:
        """Named scalar tensors; ``loss`` is the one to minimise."""

    def save(self, folder: Path) -> None:
        """Write the weights."""

    def restore(self, folder: Path) -> None:
        """Read the weights back in place."""


class LossWeights(NamedTuple):
    """Weights of both losses at one step."""

    mlm: float
    contrastive: float


def loss_weights(phase: PhaseConfig, step: int) -> LossWeights:
    """Constant, or linear from the first step of a phase to its last."""
    through = min(1.0, step / max(1, phase.steps - 1))
    ends = (phase.mlm_weight, phase.mlm_weight_end), (phase.contrastive_weight, phase.contrastive_weight_end)
    return LossWeights(*(start if end is None else start + through * (end - start) for start, end in ends))


class PretrainingObjective(nn.Module):
    """Masked language modelling, SimCSP, or the weighted sum of both.

    With SimCSP on, the batch holds two views of every window, and dropout tells them apart, beside whatever else the
    phase asks for. With both losses on, both come from one forward pass: both views are masked, each in its own way,
    and MLM learns from both. Only where the contrast is of other windows than the corpus's, labelled ones or
    orthologues, they are a second part of the batch, unmasked, in a pass of their own. With SimCSP alone, what lies
    above the layer that is pooled is not trained.
    """

    def __init__(self, encoder: PreTrainedModel, phase: PhaseConfig, *, pooling: Pooling, layer: int) -> None:
        super().__init__()
        self.encoder, self.phase, self.pooling, self.layer = encoder, phase, pooling, layer
        if not phase.has_mlm:  # processes wait for the gradient of every parameter that is trained
            trained = {id(parameter) for parameter in parameters_below(encoder, layer)}
            for parameter in encoder.parameters():
                parameter.requires_grad_(id(parameter) in trained)

    def forward(
        self,
        tokens: Tensor,
        places: Tensor | None = None,
        targets: Tensor | None = None,
        weight: Tensor | None = None,
        pairs: Tensor | None = None,
        shift: Tensor | None = None,
        origin: Tensor | None = None,
        kind: Tensor | None = None,
        total: MlmTotal | None = None,
        weights: LossWeights | None = None,
        contrast: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Losses of one batch, or the share of a part of it; ``S`` = 2 if these are the views of SimCSP, else 1.

        Args:
            tokens: ``(B, S, T)`` what the encoder sees.
            places: ``(B, S, K)`` tokens that MLM asks for; only with MLM on, as the next two.
            targets: ``(B, S, K)`` what they were before masking.
            weight: ``(B, S, K)`` of each in the MLM loss; 0 for what fills up short rows.
            pairs: ``(B, 2, T')`` the views of SimCSP where they are of other windows than ``tokens``.
            shift: ``(B, 2)`` nt by which the site of each view lies right of the middle; 0 if not given.
            origin: ``(B, 4)`` of the windows; see :func:`simcsp.model.contrastive.related`.
            kind: ``(B,)`` of labelled windows; see :class:`simcsp.model.contrastive.Contrast`.
            total: of the batch that this one is a part of.
            weights: of the losses; those of the first step if not given.
            contrast: gives the contrastive loss of this part from its ``(B, P)`` first and second views; if not given,
                the part is the batch.
        """
        weights = weights or loss_weights(self.phase, 0)
        views = None if pairs is None else self.views(pairs, shift=shift)  # first, as when they are cached
        losses: dict[str, Tensor] = {}
        weighted: list[Tensor] = []
        if views is None:
            encoded = self._encode(tokens, places, shift)
            if self.phase.has_contrast:
                views = _both(encoded, tokens)
        else:
            encoded = self._encode(tokens, places, pooled=False)
        if places is not None and targets is not None and weight is not None:
            questions = targets.flatten(0, 1).long(), weight.flatten(0, 1)
            losses["mlm_loss"], losses["mlm_accuracy"] = mlm_loss(self.encoder, encoded.at_places, *questions, total)
            weighted.append(weights.mlm * losses["mlm_loss"])
        if views is not None:
            contrast = contrast or partial(contrastive_loss, contrast=self.contrast(origin, kind))
            losses["contrastive_loss"] = contrast(*views)
            weighted.append(weights.contrastive * losses["contrastive_loss"])
        return {"loss": torch.stack(weighted).sum(), **losses}

    def views(self, tokens: Tensor, places: Tensor | None = None, shift: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Embeddings ``(B, P)`` of first and second views, from the same random numbers that :meth:`forward` takes.

        Args:
            tokens: of the views: ``pairs`` of the batch if it has them, else ``tokens``.
            places: that go with these tokens, if any.
            shift: of the views.
        """
        return _both(self._encode(tokens, places, shift), tokens)

    def contrast(self, origin: Tensor | None, kind: Tensor | None) -> Contrast:
        """What the windows of a whole batch are told apart by."""
        return Contrast(self.phase.temperature, origin, kind, self.phase.hard_negative_weight)

    def _encode(
        self, tokens: Tensor, places: Tensor | None, shift: Tensor | None = None, *, pooled: bool = True
    ) -> Encoded:
        return encode(
            self.encoder,
            tokens.flatten(0, 1).long(),
            places=None if places is None else places.flatten(0, 1),
            pooling=self.pooling if pooled and self.phase.has_contrast else None,
            layer=self.layer,
            shift=None if shift is None else shift.flatten(),
        )

    def save(self, folder: Path) -> None:
        """Write a Hugging Face checkpoint."""
        save_checkpoint(self.encoder, folder)

    def restore(self, folder: Path) -> None:
        """Read a checkpoint written by :meth:`save`."""
        load_model(self.encoder, folder / WEIGHTS)


def _both(encoded: Encoded, tokens: Tensor) -> tuple[Tensor, Tensor]:
    first, second = encoded.pooled.view(*tokens.shape[:2], -1).unbind(1)
    return first, second


class ClassificationObjective(nn.Module):
    """Binary cross entropy of splice site against decoy."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, tokens: Tensor, label: Tensor) -> dict[str, Tensor]:
        """``(B, T)`` tokens and ``(B,)`` labels 0 or 1 → the loss."""
        logits, _ = self.classifier(tokens)
        return {"loss": functional.binary_cross_entropy_with_logits(logits, label.float())}

    def save(self, folder: Path) -> None:
        """Write the classifier."""
        self.classifier.save(folder)

    def restore(self, folder: Path) -> None:
        """Read a checkpoint written by :meth:`save`."""
        self.classifier.restore(folder)


class HeadObjective(nn.Module):
    """Binary cross entropy of a classifier's head alone, on embeddings that its frozen encoder gave once for all.

    Args:
        classifier: whose head is trained in place.
    """

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.dropout, self.output = classifier.dropout, classifier.output

    def forward(self, embedding: Tensor, label: Tensor) -> dict[str, Tensor]:
        """``(B, P)`` pooled embeddings and ``(B,)`` labels 0 or 1 → the loss."""
        return {"loss": functional.binary_cross_entropy_with_logits(self.logits(embedding), label.float())}

    def logits(self, embedding: Tensor) -> Tensor:
        """``(B, P)`` pooled embeddings → ``(B,)`` logits, as those of the classifier."""
        return self.output(self.dropout(embedding)).squeeze(-1).float()  # type: ignore[no-any-return]

    def save(self, folder: Path) -> None:
        """Write the head; the encoder stays what it was."""
        save_file(self.output.state_dict(), folder / HEAD)

    def restore(self, folder: Path) -> None:
        """Read a head written by :meth:`save`."""
        self.output.load_state_dict(load_file(folder / HEAD))
