"""Fine-tuning of encoders to find branch points, fold by fold."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from tqdm import tqdm
from transformers import PreTrainedModel

from simcsp import runs, storage
from simcsp.config import OptimiserConfig
from simcsp.console import progress, skip
from simcsp.datasets.branch_points import NEAREST, REGION, UNKNOWN, BranchPoints, region_of
from simcsp.datasets.splits import Fold
from simcsp.metrics.classification import classification_scores
from simcsp.model.embedding import batches_of, ready
from simcsp.model.encoder import load_checkpoint, random_encoder
from simcsp.model.token_classifier import TokenClassifier, TokenObjective
from simcsp.sequence.alphabet import Tokens, with_special_tokens
from simcsp.training.batches import EpochBatches
from simcsp.training.checkpoint import prune_checkpoints, read_model
from simcsp.training.log import RunLog
from simcsp.training.loop import Plan, train

RANDOM = "random"  # a model of fresh weights
_DROPOUT = 0.1  # of hidden states and before the head, as in BERT's token classifiers
_AVERAGE_PRECISION = "validation/average_precision"


@dataclass(frozen=True, kw_only=True)
class TokenTuning:
    """How branch points are learned.

    Attributes:
        optimiser: rate, batch size and so on.
        epochs: at most.
        patience: epochs without a better average precision before a fold stops.
        seed: of heads, random weights, the order of windows and dropout.
    """

    optimiser: OptimiserConfig
    epochs: int
    patience: int
    seed: int

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.patience < 1:
            raise ValueError("epochs and patience must be above 0")


def finetune_folds(
    models: Mapping[str, Path],
    table: BranchPoints,
    folds: list[Fold],
    tuning: TokenTuning,
    folder_of: Callable[[str, int], Path],
    accelerator: Accelerator,
) -> None:
    """Train every model on every fold; what is finished is not repeated.

    Args:
        models: name → checkpoint; of :data:`RANDOM` only the architecture counts.
        table: windows of all folds.
        folds: rows of it.
        tuning: of all of them.
        folder_of: model and fold → folder to write to.
        accelerator: device and precision.
    """
    planned = [_planned_steps(fold, tuning) for fold in folds]
    with progress(None, "branchpoints", unit="step", total=len(models) * sum(planned)) as bar:
        for name, checkpoint in models.items():
            for k, fold in enumerate(folds):
                folder = folder_of(name, k)
                if (folder / runs.DONE).exists():
                    skip(bar, planned[k])
                    continue
                seed = int(np.random.SeedSequence([tuning.seed, k]).generate_state(1)[0])  # that of every model
                encoder = _start(name, checkpoint, table.tokens.shape[1] + 2, seed)
                finetune_branch_points(encoder, table, fold, tuning, seed, folder, accelerator, bar)


def finetune_branch_points(
    encoder: PreTrainedModel,
    table: BranchPoints,
    fold: Fold,
    tuning: TokenTuning,
    seed: int,
    folder: Path,
    accelerator: Accelerator,
    bar: "tqdm[None]",
) -> None:
    """Train on one fold, keep the epoch with the best validation average precision, and predict the test part.

    Writes ``best/`` (encoder and head), ``predictions.parquet`` and ``done.json`` last. Goes on from its last
    checkpoint.
    """
    classifier = TokenClassifier(encoder, region=region_of(table.tokens.shape[1]), dropout=_DROPOUT, seed=seed)
    objective = TokenObjective(classifier)
    batches = EpochBatches(table.take(fold.train), tuning.optimiser.batch_size, seed)
    validation = table.take(fold.validation)

    def measure(step: int, log: RunLog) -> dict[str, float]:  # noqa: ARG001
        asked, found = validation.label != UNKNOWN, predict(classifier, validation.tokens, accelerator)
        scores = classification_scores(validation.label[asked], found[asked])
        return {f"validation/{name}": value for name, value in scores.items()}

    best = folder / "best"
    plan = Plan(
        steps=_planned_steps(fold, tuning),
        optimiser=tuning.optimiser,
        evaluate_every=batches.steps_per_epoch,
        save_every=batches.steps_per_epoch,
        seed=seed,
        select={_AVERAGE_PRECISION: best},
        patience=tuning.patience,
    )
    done = train(objective, batches, measure, plan, folder, accelerator, bar)
    skip(bar, plan.steps - done.step)
    read_model(best, objective)
    test = table.take(fold.test)
    write_nucleotides(folder, test, predict(classifier, test.tokens, accelerator))
    runs.close_stage(folder, {"step": done.step, "best": done.best})
    prune_checkpoints(folder, keep=best)


def predict(classifier: TokenClassifier, windows: Tokens, accelerator: Accelerator) -> NDArray[np.float64]:
    """Probabilities of branch points: ``(n, L)`` → ``(n, 27)``."""
    ready(classifier, accelerator)
    with torch.inference_mode(), accelerator.autocast():
        logits = [classifier(batch) for batch in batches_of(with_special_tokens(windows), accelerator)]
    return torch.sigmoid(torch.cat(logits).double()).cpu().numpy()


def write_nucleotides(folder: Path, test: BranchPoints, probabilities: NDArray[np.float64]) -> None:
    """Write ``predictions.parquet``: a row for every nucleotide of a test part that has a label.

    Columns: ``origin`` of the region, ``distance`` to the exon in nt, ``label``, ``probability``.
    """
    intron, place = np.nonzero(test.label != UNKNOWN)
    columns = {
        "origin": test.origin[intron].tolist(),
        "distance": NEAREST + REGION - 1 - place,
        "label": test.label[intron, place],
        "probability": probabilities[intron, place],
    }
    with storage.whole_file(folder / runs.PREDICTIONS) as partial:
        pq.write_table(pa.table(columns), partial)


def _planned_steps(fold: Fold, tuning: TokenTuning) -> int:
    """Of a fold that is not stopped early."""
    return tuning.epochs * (len(fold.train) // min(tuning.optimiser.batch_size, len(fold.train)))


def _start(name: str, checkpoint: Path, tokens: int, seed: int) -> PreTrainedModel:
    if name == RANDOM:
        return random_encoder(checkpoint, dropout=_DROPOUT, seed=seed)
    return load_checkpoint(checkpoint, dropout=_DROPOUT, tokens=tokens)
