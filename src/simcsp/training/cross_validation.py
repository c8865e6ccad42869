"""Every fold from every initialisation: what is left to do, and the doing of one."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm
from transformers import PreTrainedModel

from simcsp import runs, storage
from simcsp.config import CNN, RunConfig
from simcsp.console import progress
from simcsp.datasets.splits import Fold, fold_rows
from simcsp.datasets.windows import TRANSFER, WindowTable, load_windows
from simcsp.model.cnn import DilatedCnn
from simcsp.model.encoder import load_checkpoint, random_encoder
from simcsp.stages import stage_folder
from simcsp.training.devices import make_accelerator
from simcsp.training.finetuning import Rows, asked_rows, drawn_rows, embed_rows, finetune_fold, planned_steps

_EMBEDDINGS = "embeddings.npy"


class FoldJob(NamedTuple):
    """One fold, started from one initialisation."""

    name: str
    fold: int

    def __str__(self) -> str:
        return f"{self.name}, fold {self.fold + 1}"


def transfer_windows(config: RunConfig) -> WindowTable | None:
    """Prepared windows of other species, none if the configuration names no source of them."""
    return load_windows(stage_folder(config, "prepare") / TRANSFER) if config.data.transfer else None


class CrossValidation:
    """Fine-tuning of all folds of a run.

    Called with a job and a bar it trains one fold. It can be sent to another process, which reads the windows itself.

    Args:
        config: of the run; its prepared data and its pre-training are there.
    """

    def __init__(self, config: RunConfig) -> None:
        self.config, self.folder = config, stage_folder(config, "finetune")
        self.accelerator = make_accelerator(config.precision)
        self.table = load_windows(stage_folder(config, "prepare") / "windows")
        self.transfer = transfer_windows(config)
        self.folds = [self._fold(k) for k in range(config.split.folds)]

    def __reduce__(self) -> tuple[Any, ...]:
        return CrossValidation, (self.config,)

    @property
    def jobs(self) -> list[FoldJob]:
        """All of them, in order."""
        return [FoldJob(name, k) for name in self.config.initialisations for k in range(len(self.folds))]

    def left(self) -> list[FoldJob]:
        """Jobs that have not been finished; what others leave behind when they are killed is removed."""
        for job in self.jobs:
            if self._is_done(job):
                self._clean(job)
        return [job for job in self.jobs if not self._is_done(job)]

    def steps(self, jobs: list[FoldJob]) -> int:
        """Steps of jobs that do not stop early."""
        return sum(planned_steps(self.folds[job.fold], self.config) for job in jobs)

    def fold_folder(self, name: str, fold: int) -> Path:
        """Where a model writes a fold."""
        return self.folder / name / f"fold-{fold}"

    def training_rows(self, fold: int) -> Rows:
        """Rows that every model trains on in a fold."""
        return drawn_rows(self.folds[fold].train, self.config.finetune.labels, self._seed(fold))

    def embed(self, jobs: list[FoldJob]) -> None:
        """Let every encoder of some jobs embed the windows of all its folds, unless it has done so."""
        files = {path: job for job in jobs if not (path := self._embeddings_of(job)).exists()}
        if not files:
            return
        rows = {path: np.unique(np.concatenate(list(self._rows(job)))) for path, job in files.items()}
        with progress(None, "finetune: embeddings", unit="window", total=sum(map(len, rows.values()))) as bar:
            for path, job in files.items():
                bar.set_description(f"finetune: embeddings of {path.parent.relative_to(self.folder)}")
                found = embed_rows(self._encoder(job), self.table, rows[path], self.config, self.accelerator, bar)
                with storage.whole_file(path) as partial, partial.open("wb") as stream:
                    np.save(stream, found)

    def forget_embeddings(self) -> None:
        """Remove what :meth:`embed` wrote; every fold has stored its own."""
        for job in self.jobs:
            self._embeddings_of(job).unlink(missing_ok=True)

    def __call__(self, job: FoldJob, bar: "tqdm[None]") -> None:
        """Train one fold, or go on with it."""
        frozen = np.load(self._embeddings_of(job), mmap_mode="r") if self.config.finetune.frozen else None
        fold, seed, folder = self.folds[job.fold], self._seed(job.fold), self.fold_folder(*job)
        finetune_fold(
            self._start(job), self.table, fold, self.config, seed, folder, self.accelerator, bar, frozen, self.transfer
        )
        self._clean(job)

    def _is_done(self, job: FoldJob) -> bool:
        return (self.fold_folder(*job) / runs.DONE).exists()

    def _clean(self, job: FoldJob) -> None:
        """Resuming is over, and there are many folds."""
        for pattern in ("checkpoint-*", ".checkpoint-*"):
            for checkpoint in self.fold_folder(*job).glob(pattern):
                shutil.rmtree(checkpoint)

    def _fold(self, k: int) -> Fold:
        """With as many validation windows as are asked for."""
        fold = fold_rows(self.table, self.config.split, k)
        return fold._replace(validation=drawn_rows(fold.validation, self.config.finetune.validation, self._seed(k)))

    def _seed(self, fold: int) -> int:
        """The same for every initialisation, so that their comparison on a fold is paired."""
        return int(np.random.SeedSequence([self.config.seed, fold]).generate_state(1)[0])

    def _start(self, job: FoldJob) -> PreTrainedModel | DilatedCnn:
        if job.name == CNN:
            return DilatedCnn(dropout=self.config.finetune.head_dropout, seed=self._seed(job.fold))
        return self._encoder(job)

    def _encoder(self, job: FoldJob) -> PreTrainedModel:
        """A random start is another one in every fold, so that no comparison hangs on one draw."""
        pretrained, dropout = stage_folder(self.config, "pretrain"), self.config.encoder.dropout
        if job.name == "random":
            return random_encoder(pretrained / "baseline", dropout=dropout, seed=self._seed(job.fold))
        return load_checkpoint(pretrained / job.name, dropout=dropout, tokens=self.config.longest_input)

    def _embeddings_of(self, job: FoldJob) -> Path:
        """One file per encoder."""
        folder = self.fold_folder(*job)
        return (folder if job.name == "random" else folder.parent) / _EMBEDDINGS

    def _rows(self, job: FoldJob) -> Iterator[Rows]:
        """Rows that the encoder of a job is asked for."""
        for k in (job.fold,) if job.name == "random" else range(len(self.folds)):
            yield self.training_rows(k)
            yield asked_rows(self.folds[k])
