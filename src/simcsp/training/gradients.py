"""Gradients of one batch, however many processes and forward passes it is cut into.

Every process takes an equal share of the windows, and cuts it into chunks that fit into memory. The loss is that of
the whole batch all the same: MLM divides by the positions of all of it, and each window is told apart from all others.
For the latter, embeddings are first computed without a graph and gathered from all processes; the gradients of the
loss by them are kept, and a second pass, with the same dropout, carries them back chunk by chunk (GradCache: Gao et
al. 2021, RepL4NLP). Where a share is one chunk, one pass is enough.

The dropout of a chunk depends on the seed, the step and its first window: the same chunks give the same gradients on
one process or on many.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from simcsp.errors import InputError
from simcsp.model.contrastive import Contrast, contrastive_loss, view_gradients
from simcsp.model.mlm import mlm_total
from simcsp.model.objectives import LossWeights, PretrainingObjective, loss_weights
from simcsp.training.batches import Batch

Losses = dict[str, Tensor]
Backward = Callable[[nn.Module, Batch, Accelerator, int, int], Losses]
OfViews = Callable[[Tensor, Tensor], Tensor]


class Chunk(NamedTuple):
    """Some windows of a batch; ``first`` is the number of the first of them."""

    first: int
    batch: Batch


def in_one_pass(model: nn.Module, batch: Batch, accelerator: Accelerator, seed: int, step: int) -> Losses:
    """Add the gradients of a batch that one process takes as a whole; gives its losses."""
    torch.manual_seed(chunk_seed(seed, step, 0))
    losses: Losses = model(**batch)
    accelerator.backward(losses["loss"])
    return losses


class InChunks:
    """Add the gradients of a pre-training batch that is shared by all processes.

    Called as :func:`in_one_pass` is, with the objective wrapped for several processes if there are any. Gives this
    process's share of each loss: over all processes they add up to the loss of the batch.

    Args:
        objective: that is trained.
        size: windows per forward pass; 0 for all of a process's share.
        windows: in a batch.
        accelerator: of the training.

    Raises:
        InputError: if the windows of a batch cannot be shared out equally.
    """

    def __init__(self, objective: PretrainingObjective, size: int, windows: int, accelerator: Accelerator) -> None:
        self.objective = objective
        self.processes, self.rank = accelerator.num_processes, accelerator.process_index
        self.share = equal_share(windows, self.processes)
        self.size = min(size or self.share, self.share)

    def __call__(self, model: nn.Module, batch: Batch, accelerator: Accelerator, seed: int, step: int) -> Losses:
        """See the class."""
        chunks = list(self._chunks(batch))
        seeds = [chunk_seed(seed, step, chunk.first) for chunk in chunks]
        weights = loss_weights(self.objective.phase, step)
        whole = {"weights": weights} | ({"total": mlm_total(batch["weight"])} if "weight" in batch else {})
        contrast = self._contrast_of(batch)
        contrasts: list[dict[str, OfViews]] = [{} for _ in chunks]
        cached = None
        if contrast and len(chunks) > 1:
            cached, contrasts = self._cache(chunks, seeds, contrast, accelerator)
        elif contrast:
            contrasts = [{"contrast": partial(self._contrast, contrast, accelerator)}]
        sums: Losses = {}
        for number, chunk in enumerate(chunks):
            torch.manual_seed(seeds[number])
            with self._no_exchange(model) if number < len(chunks) - 1 else nullcontext():
                losses = model(**chunk.batch, **whole, **contrasts[number])
                accelerator.backward(losses["loss"] * self.processes)  # gradients of processes are averaged
            sums = {name: sums.get(name, 0) + loss.detach() for name, loss in losses.items()}
        if contrast:
            self._share_contrastive_loss(sums, cached, weights)
            sums["negatives_per_anchor"] = contrast.negatives_per_anchor() / self.processes
        return sums

    def _contrast_of(self, batch: Batch) -> Contrast | None:
        """What the whole batch is told apart by, if it is."""
        origin, kind = batch.get("origin"), batch.get("kind")
        return None if origin is None and kind is None else self.objective.contrast(origin, kind)

    def _chunks(self, batch: Batch) -> Iterator[Chunk]:
        begin = self.rank * self.share
        for first in range(begin, begin + self.share, self.size):
            last = min(first + self.size, begin + self.share)
            yield Chunk(first, {name: part[first:last] for name, part in batch.items()})

    def _no_exchange(self, model: nn.Module) -> AbstractContextManager[None]:
        """Gradients are summed over processes once, with those of the last chunk."""
        return model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext()

    def _contrast(self, contrast: Contrast, accelerator: Accelerator, first: Tensor, second: Tensor) -> Tensor:
        """The contrastive loss from embeddings that still have their graph, those of other processes beside them."""
        everyone = [list(torch.split(self._gathered(own, accelerator), self.share)) for own in (first, second)]
        everyone[0][self.rank], everyone[1][self.rank] = first, second
        return contrastive_loss(torch.cat(everyone[0]), torch.cat(everyone[1]), contrast)

    def _cache(
        self,
        chunks: list[Chunk],
        seeds: list[int],
        contrast: Contrast,
        accelerator: Accelerator,
    ) -> tuple[Tensor, list[dict[str, OfViews]]]:
        """The contrastive loss of the batch, and for each chunk what carries its gradients back."""
        views = []
        with torch.no_grad(), accelerator.autocast():
            for chunk, seed in zip(chunks, seeds, strict=True):
                torch.manual_seed(seed)
                views.append(self._views(chunk.batch))
        first, second = (self._gathered(torch.cat(parts).float(), accelerator) for parts in zip(*views, strict=True))
        loss, *gradients = view_gradients(first, second, contrast)
        own = slice(self.rank * self.share, (self.rank + 1) * self.share)
        by_chunk = zip(*(torch.split(gradient[own], self.size) for gradient in gradients), strict=True)
        return loss, [{"contrast": partial(_carried_back, *parts)} for parts in by_chunk]

    def _views(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Embeddings of both views of a chunk, by the random numbers of its forward pass."""
        if "pairs" in batch:
            return self.objective.views(batch["pairs"], shift=batch.get("shift"))
        return self.objective.views(batch["tokens"], batch.get("places"), batch.get("shift"))

    def _share_contrastive_loss(self, sums: Losses, cached: Tensor | None, weights: LossWeights) -> None:
        """Every process knows the loss of the whole batch; let them add up to it."""
        share = (sums["contrastive_loss"] if cached is None else cached) / self.processes
        sums["loss"] += weights.contrastive * (share - sums["contrastive_loss"])
        sums["contrastive_loss"] = share

    def _gathered(self, own: Tensor, accelerator: Accelerator) -> Tensor:
        """``(share, P)`` of every process, in the order of the batch, without a graph."""
        gathered: Tensor = accelerator.gather(own.detach().contiguous())
        return gathered


def summed_over_processes(losses: Losses, accelerator: Accelerator) -> Losses:
    """The losses of the whole batch: shares of all processes, which all call this, added up."""
    if accelerator.num_processes == 1:
        return losses
    shares = torch.stack([value.detach().float() for value in losses.values()])
    return dict(zip(losses, accelerator.reduce(shares, "sum"), strict=True))


def equal_share(windows: int, processes: int) -> int:
    """Windows of a batch that each process takes.

    Raises:
        InputError: if they cannot be shared out equally.
    """
    if windows % processes:
        raise InputError(
            f"a batch of {windows} windows cannot be shared equally by {processes} processes",
            hint="Choose a batch_size that is a multiple of their number",
        )
    return windows // processes


def chunk_seed(seed: int, step: int, first: int) -> int:
    """Seed of the dropout of the windows of one step from ``first`` on."""
    return int(np.random.SeedSequence([seed, step, first]).generate_state(1, np.uint64)[0])


def _carried_back(by_first: Tensor, by_second: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """A number whose gradient by the embeddings is the one that was kept."""
    return (first.float() * by_first).sum() + (second.float() * by_second).sum()
