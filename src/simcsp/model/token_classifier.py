"""One logit for every nucleotide of a region: token classification, as SpliceBERT's study did for branch points.

Shapes: ``B`` windows, ``T`` tokens with ``[CLS]`` and ``[SEP]``, ``K`` nucleotides of a region.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from simcsp.model.encoder import EncoderWithHead, seeded
from simcsp.model.states import encode


class TokenClassifier(EncoderWithHead):
    """Encoder, dropout, and one logit for each nucleotide of a region that has one place in all windows.

    Args:
        encoder: whose last layer is read; trained in place.
        region: nucleotides of a window, counted without ``[CLS]``.
        dropout: on the states, before the classifier.
        seed: of the classifier's initial weights.
    """

    def __init__(self, encoder: PreTrainedModel, *, region: slice, dropout: float, seed: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.register_buffer("places", torch.arange(region.start + 1, region.stop + 1), persistent=False)
        self.dropout = nn.Dropout(dropout)
        with seeded(seed):
            self.output = nn.Linear(encoder.config.hidden_size, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        """``(B, T)`` tokens → ``(B, K)`` logits."""
        places = self.get_buffer("places").expand(len(tokens), -1)
        states = encode(self.encoder, tokens.long(), places=places).at_places  # (B, K, D)
        logits: Tensor = self.output(self.dropout(states)).squeeze(-1)
        return logits.float()


class TokenObjective(nn.Module):
    """Mean binary cross entropy of the nucleotides that have a label.

    It is what the published cross entropy over two logits becomes when their difference is one.
    """

    def __init__(self, classifier: TokenClassifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, tokens: Tensor, label: Tensor) -> dict[str, Tensor]:
        """``(B, T)`` tokens and ``(B, K)`` labels 0 or 1, below 0 where nothing is asked → the loss.

        It is 0 where nothing is asked anywhere.
        """
        asked = label >= 0
        each = functional.binary_cross_entropy_with_logits(
            self.classifier(tokens), label.clamp(min=0).float(), weight=asked.float(), reduction="sum"
        )
        return {"loss": each / asked.sum().clamp(min=1)}

    def save(self, folder: Path) -> None:
        """Write the classifier."""
        self.classifier.save(folder)

    def restore(self, folder: Path) -> None:
        """Read a checkpoint written by :meth:`save`."""
        self.classifier.restore(folder)
