"""A dilated convolutional network without pre-training, the control that a language model has to beat as well.

Splice-site predictors of this kind (SpliceAI, Jaganathan et al. 2019; minisplice's 7,026 parameters) read some dozens
to thousands of nucleotides by convolutions that reach twice as far in every block. This one has about 40,000
parameters and sees 60 nt on either side of the site.

Shapes: ``B`` windows, ``T`` tokens with ``[CLS]`` and ``[SEP]``, ``C`` channels.
"""

from pathlib import Path

from safetensors.torch import load_model, save_model
from torch import Tensor, nn
from torch.nn import functional

from simcsp.model.encoder import WEIGHTS, seeded
from simcsp.model.states import pool
from simcsp.sequence.alphabet import VOCABULARY

CHANNELS, REACH, DILATIONS = 32, 9, (1, 2, 4, 8)


class DilatedCnn(nn.Module):
    """Residual blocks of dilated convolutions, the two central positions, dropout, and one logit.

    Args:
        dropout: on the pooled embedding, before the classifier.
        seed: of the initial weights.
    """

    def __init__(self, *, dropout: float, seed: int) -> None:
        super().__init__()
        with seeded(seed):
            self.embedding = nn.Embedding(len(VOCABULARY), CHANNELS)
            self.norms = nn.ModuleList(nn.GroupNorm(1, CHANNELS) for _ in DILATIONS)
            self.convolutions = nn.ModuleList(
                nn.Conv1d(CHANNELS, CHANNELS, REACH, dilation=dilation, padding="same") for dilation in DILATIONS
            )
            self.dropout = nn.Dropout(dropout)
            self.output = nn.Linear(2 * CHANNELS, 1)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, T)`` tokens → ``(B,)`` logits and the ``(B, 2 C)`` states of the site that they were made from."""
        hidden = self.embedding(tokens.long()).transpose(1, 2)  # (B, C, T)
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            hidden = hidden + convolution(functional.gelu(norm(hidden)))
        embedding = pool(hidden.transpose(1, 2), "site")
        return self.output(self.dropout(embedding)).squeeze(-1).float(), embedding.float()

    def save(self, folder: Path) -> None:
        """Write the weights."""
        save_model(self, str(folder / WEIGHTS))

    def restore(self, folder: Path) -> None:
        """Read what :meth:`save` wrote."""
        load_model(self, folder / WEIGHTS)
