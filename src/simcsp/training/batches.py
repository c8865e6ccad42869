"""Batches as pure functions of the step: a resumed run sees what an uninterrupted one sees."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simcsp.config import PhaseConfig, PretrainConfig
from simcsp.datasets.corpus import Corpus
from simcsp.datasets.pairs import PairSource
from simcsp.datasets.windows import WindowTable
from simcsp.model.mlm import mask_tokens, questions
from simcsp.sequence.alphabet import CLS, SEP, UNK, Tokens, with_special_tokens
from simcsp.sequence.views import cut_out, drawn_shifts, mutated

Batch = dict[str, Tensor]  # all parts have one row per window


class PretrainingBatches:
    """Windows for one phase of pre-training: of the corpus, and pairs that are drawn elsewhere if a phase has any.

    Args:
        corpus: drawn from, a new sample at every step.
        phase: batch size, losses and views.
        settings: of both phases: masking, lengths, and the weight of soft-masked bases.
        seed: with the step, decides everything.
        pairs: windows that SimCSP contrasts instead of those of the corpus, which are then for MLM alone.

    Raises:
        InputError: if the corpus has no region that is long enough for shifted views.
    """

    def __init__(
        self, corpus: Corpus, phase: PhaseConfig, settings: PretrainConfig, seed: int, pairs: PairSource | None = None
    ) -> None:
        self.corpus, self.phase, self.settings, self.seed, self.pairs = corpus, phase, settings, seed, pairs
        if pairs is None and phase.views.shift:
            corpus.require_regions_of(max(settings.lengths or (corpus.window,)) + 2 * phase.views.shift)

    def __call__(self, step: int) -> Batch:
        """The batch of one step; see :class:`simcsp.model.objectives.PretrainingObjective` for its parts."""
        rng = np.random.default_rng([self.seed, step])
        if self.pairs is None:
            return self._of_corpus(rng, views=2 if self.phase.has_contrast else 1)
        batch = self._of_pairs(self.pairs, rng)
        if self.phase.has_mlm:
            batch["pairs"] = batch.pop("tokens")
            batch |= self._of_corpus(rng, views=1)
        return batch

    def _of_corpus(self, rng: np.random.Generator, views: int) -> Batch:
        """Windows for MLM, SimCSP, or both: ``views`` of each."""
        around = 2 * self.phase.views.shift if views == 2 else 0
        drawn = self.corpus.draw(self.phase.batch_size, rng, self._length(rng) + around)
        length = drawn.tokens.shape[1] - around
        shift = self._shifts(views, rng)
        clean, soft = (
            cut_out(np.repeat(part[:, None], views, axis=1), shift, length) for part in (drawn.tokens, drawn.soft)
        )
        seen = _framed(self._mutated(clean, shift, rng))
        batch = {"tokens": torch.from_numpy(seen)}
        if self.phase.has_mlm:
            batch |= self._questions(seen, _framed(clean), soft, rng)
        if views == 2:
            end = drawn.start + length + around
            batch["origin"] = _origin(drawn.contig, drawn.start, end, clean[:, 0])
            batch |= self._shift_of(shift)
        return batch

    def _of_pairs(self, source: PairSource, rng: np.random.Generator) -> Batch:
        """Views for SimCSP alone, unmasked."""
        drawn = source.draw(self.phase.batch_size, rng)
        shift = self._shifts(2, rng)
        clean = cut_out(drawn.tokens, shift, drawn.tokens.shape[-1] - 2 * self.phase.views.shift)
        batch = {"tokens": torch.from_numpy(_framed(self._mutated(clean, shift, rng)))}
        if drawn.kind is not None:
            batch["kind"] = torch.from_numpy(drawn.kind)
        if drawn.locus is not None:
            start = np.zeros_like(drawn.locus)
            batch["origin"] = _origin(drawn.locus, start, start + 1, drawn.tokens[:, 0])
        return batch | self._shift_of(shift)

    def _shifts(self, views: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """How far right of the middle the site lies in each view, ``(B, S)``; the first is never moved."""
        shift = np.zeros((self.phase.batch_size, views), dtype=np.int64)
        if views == 2 and self.phase.views.shift:
            shift[:, 1] = drawn_shifts(len(shift), self.phase.views.shift, rng)
        return shift

    def _shift_of(self, shift: NDArray[np.int64]) -> Batch:
        return {"shift": torch.from_numpy(shift)} if self.phase.views.shift else {}

    def _mutated(self, clean: Tokens, shift: NDArray[np.int64], rng: np.random.Generator) -> Tokens:
        """``(B, S, L)`` with mutations in the second view, if the phase has any."""
        views = self.phase.views
        if clean.shape[1] == 1 or not views.mutated:
            return clean
        return np.stack([clean[:, 0], mutated(clean[:, 1], views.mutated, views.core, shift[:, 1], rng)], axis=1)

    def _questions(self, seen: Tokens, clean: Tokens, soft: NDArray[np.bool_], rng: np.random.Generator) -> Batch:
        """Masked tokens ``(B, S, T)``, and what MLM asks for, ``(B, S, K)``: nucleotides as they were, unmutated."""
        masked = mask_tokens(seen.reshape(-1, seen.shape[-1]), self.settings.mask_share, rng)
        places, targets, present = questions(clean.reshape(masked.tokens.shape), masked.chosen)
        framed = np.pad(soft.reshape(len(places), -1), ((0, 0), (1, 1)))
        in_soft = np.take_along_axis(framed, places, axis=1)
        weight = np.where(present, np.where(in_soft, self.settings.soft_masked_weight, 1.0), 0.0).astype(np.float32)
        parts = (("tokens", masked.tokens), ("places", places), ("targets", targets), ("weight", weight))
        return {name: torch.from_numpy(part).view(*seen.shape[:2], -1) for name, part in parts}

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


def _framed(windows: Tokens) -> Tokens:
    """``(B, S, L)`` → ``(B, S, L + 2)`` between special tokens."""
    return with_special_tokens(windows.reshape(-1, windows.shape[-1])).reshape(*windows.shape[:2], -1)


def _origin(contig: NDArray[np.int64], start: NDArray[np.int64], end: NDArray[np.int64], first: Tokens) -> Tensor:
    """Contig, start and end of all that two views show, and a hash of the first: ``(B, 4)``."""
    length = first.shape[1]
    factors = np.random.default_rng(length).integers(1, 2**63, size=length, dtype=np.uint64)
    sequence = (first * factors).sum(axis=1, dtype=np.uint64).view(np.int64)
    return torch.from_numpy(np.stack([contig, start, end, sequence], axis=1))


class Labelled(Protocol):
    """Windows ``(n, L)``, and what is asked about each, ``(n, …)``."""

    @property
    def tokens(self) -> Tokens:
        """Nucleotides."""

    @property
    def label(self) -> NDArray[Any]:
        """Of the windows, or of nucleotides of theirs."""


class EpochBatches:
    """Labelled windows in a new order every epoch; an incomplete last batch is left out.

    Args:
        table: the training windows.
        batch_size: windows per step.
        seed: with the epoch, decides the order.
    """

    def __init__(self, table: Labelled, batch_size: int, seed: int) -> None:
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
