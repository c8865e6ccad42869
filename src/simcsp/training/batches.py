"""Batches as pure functions of the step: a resumed run sees what an uninterrupted one sees."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simcsp.config import PhaseConfig, PretrainConfig
from simcsp.datasets.corpus import Corpus, Drawn
from simcsp.datasets.windows import WindowTable
from simcsp.model.mlm import mask_tokens, questions
from simcsp.sequence.alphabet import CLS, SEP, UNK, Tokens, with_special_tokens

Batch = dict[str, Tensor]  # all parts have one row per window


class PretrainingBatches:
    """Windows of the corpus for one phase of pre-training.

    Args:
        corpus: drawn from, a new sample at every step.
        phase: batch size and losses.
        settings: of both phases: masking, lengths, and the weight of soft-masked bases.
        seed: with the step, decides everything.
    """

    def __init__(self, corpus: Corpus, phase: PhaseConfig, settings: PretrainConfig, seed: int) -> None:
        self.corpus, self.phase, self.settings, self.seed = corpus, phase, settings, seed

    def __call__(self, step: int) -> Batch:
        """The batch of one step; see :class:`simcsp.model.objectives.PretrainingObjective` for its parts."""
        rng = np.random.default_rng([self.seed, step])
        drawn = self.corpus.draw(self.phase.batch_size, rng, self._length(rng))
        views = 2 if self.phase.contrastive_weight else 1
        original = np.repeat(with_special_tokens(drawn.tokens)[:, None], views, axis=1)  # (B, S, T)
        batch = {"tokens": torch.from_numpy(original)}
        if self.phase.mlm_weight:
            batch |= self._questions(original, drawn, rng)
        if self.phase.contrastive_weight:
            batch["origin"] = torch.from_numpy(_origin(drawn))
        return batch

    def _questions(self, original: Tokens, drawn: Drawn, rng: np.random.Generator) -> Batch:
        """Masked tokens ``(B, S, T)``, and what MLM asks for, ``(B, S, K)``."""
        flat = original.reshape(-1, original.shape[-1])
        masked = mask_tokens(flat, self.settings.mask_share, rng)
        places, targets, present = questions(flat, masked.chosen)
        soft = np.repeat(np.pad(drawn.soft, ((0, 0), (1, 1))), original.shape[1], axis=0)
        in_soft = np.take_along_axis(soft, places, axis=1)
        weight = np.where(present, np.where(in_soft, self.settings.soft_masked_weight, 1.0), 0.0).astype(np.float32)
        parts = (("tokens", masked.tokens), ("places", places), ("targets", targets), ("weight", weight))
        return {name: torch.from_numpy(part).view(*original.shape[:2], -1) for name, part in parts}

    def _length(self, rng: np.random.Generator) -> int:
        """One length for the whole batch, so that there is no padding; even, so that a window has a middle."""
        if self.settings.lengths is None:
            return self.corpus.window
        shortest, longest = self.settings.lengths
        return 2 * int(rng.integers(shortest // 2, longest // 2, endpoint=True))


class UnspacedBatches:
    """Batches as published code made them: every window is `[CLS] [UNK] [SEP]`, whatever its sequence.

    SimCSP's pretrain.py gives un-spaced windows to a WordPiece tokenizer whose vocabulary holds single letters, and a
    word that is longer than 100 letters, or has no pieces, becomes `[UNK]`. The encoder is then told to tell copies of
    one input of three tokens apart; nothing but dropout differs between them.

    Args:
        batches: step → batch for SimCSP alone.
    """

    def __init__(self, batches: Callable[[int], Batch]) -> None:
        self.batches = batches

    def __call__(self, step: int) -> Batch:
        """The batch of one step."""
        batch = self.batches(step)
        windows = torch.tensor([CLS, UNK, SEP], dtype=torch.uint8).expand(*batch["tokens"].shape[:2], -1)
        return {**batch, "tokens": windows.contiguous()}


def _origin(drawn: Drawn) -> NDArray[np.int64]:
    """Contig, start, end, and a hash of the sequence: ``(B, 4)``."""
    length = drawn.tokens.shape[1]
    factors = np.random.default_rng(length).integers(1, 2**63, size=length, dtype=np.uint64)
    sequence = (drawn.tokens * factors).sum(axis=1, dtype=np.uint64).view(np.int64)
    return np.stack([drawn.contig, drawn.start, drawn.start + length, sequence], axis=1)


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
        rows = self.rows(step)
        return {
            "tokens": torch.from_numpy(self.tokens[rows]),
            "label": torch.from_numpy(self.label[rows]),
        }

    def rows(self, step: int) -> NDArray[np.intp]:
        """Rows of the table that make the batch of one step."""
        epoch, place = divmod(step, self.steps_per_epoch)
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.label))
        return order[place * self.batch_size : (place + 1) * self.batch_size]


class EmbeddedBatches(EpochBatches):
    """The windows of :class:`EpochBatches` in the same order, by the embeddings that a frozen encoder gave them.

    Args:
        table: the training windows.
        embeddings: ``(n, P)`` of the windows.
        batch_size: windows per step.
        seed: with the epoch, decides the order.
    """

    def __init__(self, table: WindowTable, embeddings: NDArray[np.float32], batch_size: int, seed: int) -> None:
        super().__init__(table, batch_size, seed)
        self.embeddings = embeddings

    def __call__(self, step: int) -> Batch:
        """The batch of one step."""
        rows = self.rows(step)
        return {"embedding": torch.from_numpy(self.embeddings[rows]), "label": torch.from_numpy(self.label[rows])}
