"""What training minimises: a module that takes a batch and gives named losses, ``loss`` among them.

An objective also writes itself to a checkpoint folder and reads itself back, so that one loop trains them all.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch
from safetensors.torch import load_file, load_model, save_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from simcsp.config import PhaseConfig, Pooling
from simcsp.model.cnn import DilatedCnn
from simcsp.model.contrastive import contrastive_loss
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


class PretrainingObjective(nn.Module):
    """Masked language modelling, SimCSP, or the weighted sum of both from one forward pass.

    With SimCSP on, the batch holds two views of every window, and dropout tells them apart. With both losses on, both
    views are masked, each in its own way, and MLM learns from both. With SimCSP alone, what lies above the layer that
    is pooled is not trained.
    """

    def __init__(self, encoder: PreTrainedModel, phase: PhaseConfig, *, pooling: Pooling, layer: int) -> None:
        super().__init__()
        self.encoder, self.phase, self.pooling, self.layer = encoder, phase, pooling, layer
        if not phase.mlm_weight:  # processes wait for the gradient of every parameter that is trained
            trained = {id(parameter) for parameter in parameters_below(encoder, layer)}
            for parameter in encoder.parameters():
                parameter.requires_grad_(id(parameter) in trained)

    def forward(
        self,
        tokens: Tensor,
        places: Tensor | None = None,
        targets: Tensor | None = None,
        weight: Tensor | None = None,
        origin: Tensor | None = None,
        total: MlmTotal | None = None,
        contrast: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Losses of one batch, or the share of a part of it; ``S`` = 2 views with SimCSP on, 1 without.

        Args:
            tokens: ``(B, S, T)`` what the encoder sees.
            places: ``(B, S, K)`` tokens that MLM asks for; only with MLM on, as the next two.
            targets: ``(B, S, K)`` what they were before masking.
            weight: ``(B, S, K)`` of each in the MLM loss; 0 for what fills up short rows.
            origin: ``(B, 4)`` of the windows; see :func:`simcsp.model.contrastive.related`.
            total: of the batch that this one is a part of.
            contrast: gives the contrastive loss of this part from its ``(B, P)`` first and second views; if not given,
                the part is the batch.
        """
        encoded = self._encode(tokens, places)
        losses: dict[str, Tensor] = {}
        weighted: list[Tensor] = []
        if places is not None and targets is not None and weight is not None:
            questions = targets.flatten(0, 1).long(), weight.flatten(0, 1)
            losses["mlm_loss"], losses["mlm_accuracy"] = mlm_loss(self.encoder, encoded.at_places, *questions, total)
            weighted.append(self.phase.mlm_weight * losses["mlm_loss"])
        if self.phase.contrastive_weight:
            first, second = encoded.pooled.view(*tokens.shape[:2], -1).unbind(1)
            if contrast is None:
                losses["contrastive_loss"] = contrastive_loss(first, second, self.phase.temperature, origin)
            else:
                losses["contrastive_loss"] = contrast(first, second)
            weighted.append(self.phase.contrastive_weight * losses["contrastive_loss"])
        return {"loss": torch.stack(weighted).sum(), **losses}

    def views(self, tokens: Tensor, places: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Embeddings ``(B, P)`` of first and second views, from the same random numbers that :meth:`forward` takes."""
        first, second = self._encode(tokens, places).pooled.view(*tokens.shape[:2], -1).unbind(1)
        return first, second

    def _encode(self, tokens: Tensor, places: Tensor | None) -> Encoded:
        return encode(
            self.encoder,
            tokens.flatten(0, 1).long(),
            places=None if places is None else places.flatten(0, 1),
            pooling=self.pooling if self.phase.contrastive_weight else None,
            layer=self.layer,
        )

    def save(self, folder: Path) -> None:
        """Write a Hugging Face checkpoint."""
        save_checkpoint(self.encoder, folder)

    def restore(self, folder: Path) -> None:
        """Read a checkpoint written by :meth:`save`."""
        load_model(self.encoder, folder / WEIGHTS)


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
