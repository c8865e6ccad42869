"""What training minimises: a module that takes a batch and gives named losses, ``loss`` among them.

An objective also writes itself to a checkpoint folder and reads itself back, so that one loop trains them all.
"""

from pathlib import Path
from typing import Protocol

import torch
from safetensors.torch import load_file, load_model, save_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from simcsp.config import PhaseConfig, Pooling
from simcsp.model.contrastive import contrastive_loss
from simcsp.model.encoder import SiteClassifier, last_and_chosen_state, pool, save_checkpoint
from simcsp.model.mlm import mlm_loss

WEIGHTS, HEAD = "model.safetensors", "head.safetensors"


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

    With SimCSP on, the batch holds every window twice, first views before second views; dropout tells the views
    apart. With both losses on, both views are masked, each in its own way, and MLM learns from both.
    """

    def __init__(self, encoder: PreTrainedModel, phase: PhaseConfig, *, pooling: Pooling, layer: int) -> None:
        super().__init__()
        self.encoder, self.phase, self.pooling, self.layer = encoder, phase, pooling, layer

    def forward(self, tokens: Tensor, original: Tensor, chosen: Tensor, weight: Tensor) -> dict[str, Tensor]:
        """Losses of one batch, ``V`` = 2 B with SimCSP on and B without.

        Args:
            tokens: ``(V, T)`` what the encoder sees.
            original: ``(V, T)`` ids before masking.
            chosen: ``(V, T)`` true where MLM asks for the nucleotide; nowhere when MLM is off.
            weight: ``(V, T)`` of each position in the MLM loss.
        """
        losses: dict[str, Tensor] = {}
        total = torch.zeros((), device=tokens.device)
        last, at_layer = last_and_chosen_state(self.encoder, tokens, self.layer)
        if self.phase.mlm_weight:
            losses["mlm_loss"], losses["mlm_accuracy"] = mlm_loss(self.encoder, last, original, chosen, weight)
            total = total + self.phase.mlm_weight * losses["mlm_loss"]
        if self.phase.contrastive_weight:
            first, second = pool(at_layer, self.pooling).chunk(2)
            losses["contrastive_loss"] = contrastive_loss(first, second, self.phase.temperature)
            total = total + self.phase.contrastive_weight * losses["contrastive_loss"]
        return {"loss": total, **losses}

    def save(self, folder: Path) -> None:
        """Write a Hugging Face checkpoint."""
        save_checkpoint(self.encoder, folder)

    def restore(self, folder: Path) -> None:
        """Read a checkpoint written by :meth:`save`."""
        load_model(self.encoder, folder / WEIGHTS)


class ClassificationObjective(nn.Module):
    """Binary cross entropy of splice site against decoy."""

    def __init__(self, classifier: SiteClassifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, tokens: Tensor, label: Tensor) -> dict[str, Tensor]:
        """``(B, T)`` tokens and ``(B,)`` labels 0 or 1 → the loss."""
        logits, _ = self.classifier(tokens)
        return {"loss": functional.binary_cross_entropy_with_logits(logits, label.float())}

    def save(self, folder: Path) -> None:
        """Write the encoder as a Hugging Face checkpoint, and the head beside it."""
        save_checkpoint(self.classifier.encoder, folder)
        save_file(self.classifier.output.state_dict(), folder / HEAD)

    def restore(self, folder: Path) -> None:
        """Read a checkpoint written by :meth:`save`."""
        load_model(self.classifier.encoder, folder / WEIGHTS)
        self.classifier.output.load_state_dict(load_file(folder / HEAD))


class HeadObjective(nn.Module):
    """Binary cross entropy of a classifier's head alone, on embeddings that its frozen encoder gave once for all.

    Args:
        classifier: whose head is trained in place.
    """

    def __init__(self, classifier: SiteClassifier) -> None:
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
