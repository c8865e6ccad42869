"""Batches as pure functions of the step: a resumed run sees what an uninterrupted one sees."""

import numpy as np
import torch
from torch import Tensor

from simcsp.config import PhaseConfig
from simcsp.datasets.corpus import Corpus
from simcsp.datasets.windows import WindowTable
from simcsp.model.mlm import mask_tokens
from simcsp.sequence.alphabet import with_special_tokens

Batch = dict[str, Tensor]


class PretrainingBatches:
    """Windows of the corpus for one phase of pre-training.

    Args:
        corpus: drawn from, a new sample at every step.
        phase: batch size and losses.
        mask_share: of nucleotides that MLM asks for.
        seed: with the step, decides everything.
    """

    def __init__(self, corpus: Corpus, phase: PhaseConfig, mask_share: float, seed: int) -> None:
        self.corpus, self.phase, self.mask_share, self.seed = corpus, phase, mask_share, seed

    def __call__(self, step: int) -> Batch:
        """The batch of one step; see :class:`simcsp.model.objectives.PretrainingObjective` for its parts."""
        rng = np.random.default_rng([self.seed, step])
        original = with_special_tokens(self.corpus.draw(self.phase.batch_size, rng))
        if self.phase.contrastive_weight:
            original = np.concatenate([original, original])
        share = self.mask_share if self.phase.mlm_weight else 0.0
        tokens, chosen = mask_tokens(original, share, rng)
        return {
            "tokens": torch.from_numpy(tokens).long(),
            "original": torch.from_numpy(original).long(),
            "chosen": torch.from_numpy(chosen),
        }


class EpochBatches:
    """Labelled windows in a new order every epoch; an incomplete last batch is left out.

    Args:
        table: the training windows.
        batch_size: windows per step.
        seed: with the epoch, decides the order.
    """

    def __init__(self, table: WindowTable, batch_size: int, seed: int) -> None:
        self.tokens = with_special_tokens(table.tokens)
        self.label = table.label
        self.batch_size, self.seed = min(batch_size, len(table.label)), seed
        self.steps_per_epoch = len(table.label) // self.batch_size

    def __call__(self, step: int) -> Batch:
        """The batch of one step."""
        epoch, place = divmod(step, self.steps_per_epoch)
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.label))
        rows = order[place * self.batch_size : (place + 1) * self.batch_size]
        return {
            "tokens": torch.from_numpy(self.tokens[rows]).long(),
            "label": torch.from_numpy(self.label[rows]).long(),
        }
