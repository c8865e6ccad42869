"""Fine-tuning of one encoder on one fold, and the files it leaves for evaluation."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from accelerate import Accelerator
from numpy.typing import NDArray
from tqdm import tqdm
from transformers import PreTrainedModel

from simcsp import runs
from simcsp.config import RunConfig
from simcsp.datasets.splits import Fold
from simcsp.datasets.windows import WindowTable
from simcsp.metrics.classification import scores_by_site
from simcsp.model.embedding import Floats, classify, embed
from simcsp.model.encoder import SiteClassifier
from simcsp.model.objectives import ClassificationObjective
from simcsp.training.batches import EpochBatches
from simcsp.training.checkpoint import read_model
from simcsp.training.log import RunLog
from simcsp.training.loop import Plan, train

AUROC = "validation/auroc"


def training_rows(fold: Fold, labels: int, seed: int) -> NDArray[np.intp]:
    """Rows of the fold to train on: all, or ``labels`` of them drawn at random."""
    if not labels or labels >= len(fold.train):
        return fold.train
    return np.sort(np.random.default_rng(seed).choice(fold.train, size=labels, replace=False))


def planned_steps(fold: Fold, config: RunConfig) -> int:
    """Steps of a fold that is not stopped early."""
    windows = min(len(fold.train), config.finetune.labels or len(fold.train))
    return config.finetune.epochs * (windows // min(config.finetune.batch_size, windows))


def finetune_fold(
    encoder: PreTrainedModel,
    table: WindowTable,
    fold: Fold,
    config: RunConfig,
    seed: int,
    folder: Path,
    accelerator: Accelerator,
    bar: "tqdm[None]",
) -> None:
    """Train on one fold, keep the epoch with the best validation AUROC, and predict validation and test.

    ``seed`` decides the head, the order of the windows and the dropout: give the same for every initialisation
    of a fold, and their comparison is paired.

    Writes ``best/`` (encoder and head), ``predictions.parquet`` and ``test_embeddings.npz`` (before and after
    fine-tuning), and ``done.json`` last.
    """
    settings, how = config.finetune, config.encoder
    before = embed(encoder, table.tokens[fold.test], pooling=how.pooling, layer=how.layer, accelerator=accelerator)
    classifier = SiteClassifier(encoder, pooling=how.pooling, layer=how.layer, dropout=settings.head_dropout, seed=seed)
    batches = EpochBatches(table.take(training_rows(fold, settings.labels, seed)), settings.batch_size, seed)
    validation = table.take(fold.validation)

    def measure(step: int, log: RunLog) -> dict[str, float]:  # noqa: ARG001
        probabilities, _ = classify(classifier, validation.tokens, accelerator)
        scores = scores_by_site(validation.label, probabilities, validation.site_type)
        return {
            f"validation/{name}" if site == "all" else f"validation/{name}_{site}": value
            for site, values in scores.items()
            for name, value in values.items()
        }

    plan = Plan(
        steps=settings.epochs * batches.steps_per_epoch,
        optimiser=settings,
        evaluate_every=batches.steps_per_epoch,
        save_every=batches.steps_per_epoch,
        seed=seed,
        select={AUROC: folder / "best"},
        patience=settings.patience,
    )
    objective = ClassificationObjective(classifier)
    done = train(objective, batches, measure, plan, folder, accelerator, bar)
    bar.update(plan.steps - done.step)
    read_model(folder / "best", objective)
    probabilities, after = classify(classifier, table.tokens[asked_rows(fold)], accelerator)
    write_predictions(folder, table, fold, probabilities)
    _write_embeddings(folder, before, after[len(fold.validation) :])
    runs.close_stage(folder, {"step": done.step, "best": done.best})


def asked_rows(fold: Fold) -> NDArray[np.intp]:
    """Rows that predictions are written for: validation, then test."""
    return np.concatenate([fold.validation, fold.test])


def write_predictions(folder: Path, table: WindowTable, fold: Fold, probabilities: NDArray[np.floating]) -> None:
    """Write the probabilities of :func:`asked_rows` with all that scoring needs."""
    rows = asked_rows(fold)
    columns = {
        "row": rows,
        "part": ["validation"] * len(fold.validation) + ["test"] * len(fold.test),
        "label": table.label[rows],
        "site_type": table.site_type[rows],
        "species": table.species[rows].tolist(),
        "origin": table.origin[rows].tolist(),
        "probability": probabilities.astype(np.float64),
    }
    partial = folder / f".{runs.PREDICTIONS}.partial"
    pq.write_table(pa.table(columns), partial)
    partial.replace(folder / runs.PREDICTIONS)


def _write_embeddings(folder: Path, before: Floats, after: Floats) -> None:
    partial = folder / f".{runs.EMBEDDINGS}.partial"
    with partial.open("wb") as stream:
        np.savez(stream, before=before, after=after)
    partial.replace(folder / runs.EMBEDDINGS)
