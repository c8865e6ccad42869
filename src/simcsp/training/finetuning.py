"""Fine-tuning of one encoder on one fold, and the files it leaves for evaluation."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from tqdm import tqdm
from transformers import PreTrainedModel

from simcsp import runs, storage
from simcsp.config import RunConfig
from simcsp.console import skip
from simcsp.datasets.splits import Fold
from simcsp.datasets.windows import WindowTable
from simcsp.metrics.classification import scores_by_site
from simcsp.metrics.nmi import nmi
from simcsp.metrics.sccs import sccs
from simcsp.model.cnn import DilatedCnn
from simcsp.model.embedding import Floats, classify, embed
from simcsp.model.encoder import SiteClassifier
from simcsp.model.objectives import ClassificationObjective, Classifier, HeadObjective
from simcsp.sequence.alphabet import Tokens
from simcsp.training.batches import EmbeddedBatches, EpochBatches
from simcsp.training.checkpoint import read_model, write_model
from simcsp.training.log import RunLog
from simcsp.training.loop import Plan, train

AUROC = "validation/auroc"
_EMBEDDED_AT_ONCE = 1024  # windows between two looks at the progress

Rows = NDArray[np.intp]


def drawn_rows(rows: Rows, labels: int, seed: int) -> Rows:
    """All rows, or ``labels`` of them drawn at random; 0 is all."""
    if not labels or labels >= len(rows):
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, size=labels, replace=False))


def planned_steps(fold: Fold, config: RunConfig) -> int:
    """Steps of a fold that is not stopped early."""
    return config.finetune.steps(len(fold.train))


def embed_rows(
    encoder: PreTrainedModel,
    table: WindowTable,
    rows: Rows,
    config: RunConfig,
    accelerator: Accelerator,
    bar: "tqdm[None]",
) -> Floats:
    """Embeddings ``(n, P)`` of some rows of a table of ``n`` windows; NaN in the others.

    ``bar`` is advanced by one for every window.
    """
    how = config.encoder
    parts = []
    for start in range(0, len(rows), _EMBEDDED_AT_ONCE):
        windows = table.tokens[rows[start : start + _EMBEDDED_AT_ONCE]]
        parts.append(embed(encoder, windows, pooling=how.pooling, layer=how.layer, accelerator=accelerator))
        bar.update(len(windows))
    vectors = np.concatenate(parts)
    embeddings = np.full((len(table.label), vectors.shape[1]), np.nan, dtype=np.float32)
    embeddings[rows] = vectors
    return embeddings


def finetune_fold(
    encoder: PreTrainedModel | DilatedCnn,
    table: WindowTable,
    fold: Fold,
    config: RunConfig,
    seed: int,
    folder: Path,
    accelerator: Accelerator,
    bar: "tqdm[None]",
    embeddings: Floats | None = None,
    transfer: WindowTable | None = None,
) -> None:
    """Train on one fold, keep the epoch with the best validation AUROC, and predict validation and test.

    ``seed`` decides the head, the order of the windows and the dropout: give the same for every initialisation
    of a fold, and their comparison is paired.

    With ``embeddings`` of :func:`embed_rows` the encoder is frozen and only the head is trained on them. Windows of
    ``transfer`` are predicted with the kept model, and serve nothing else.

    Writes ``best/`` (encoder and head), ``predictions.parquet``, ``transfer.parquet`` if asked for,
    ``test_embeddings.npz`` (before and after fine-tuning), and ``done.json`` last.
    """
    classifier = _classifier(encoder, config, seed)
    rows = drawn_rows(fold.train, config.finetune.labels, seed)
    if embeddings is None:
        before = _untrained(classifier, encoder, table.tokens[fold.test], config, accelerator)
        learner = _whole_learner(classifier, table, rows, config, seed, accelerator)
    else:
        before = embeddings[fold.test]
        learner = _head_learner(classifier, embeddings, table, rows, config, seed, accelerator)
    plan = _plan(learner, config, seed, folder / "best")

    def measure(step: int, log: RunLog) -> dict[str, float]:  # noqa: ARG001
        return _validation_scores(learner, table, fold.validation, config)

    done = train(learner.objective, learner.batches, measure, plan, folder, accelerator, bar)
    skip(bar, plan.steps - done.step)
    read_model(folder / "best", learner.objective)
    if embeddings is not None:
        write_model(folder / "best", ClassificationObjective(classifier))  # so far it holds the head alone
    probabilities, after = learner.predict(asked_rows(fold))
    write_predictions(folder, table, fold, probabilities)
    if transfer is not None:
        write_transfer(folder, transfer, classify(classifier, transfer.tokens, accelerator)[0])
    _write_embeddings(folder, before, after[len(fold.validation) :])
    runs.close_stage(folder, {"step": done.step, "best": done.best})


def _classifier(encoder: PreTrainedModel | DilatedCnn, config: RunConfig, seed: int) -> Classifier:
    """The encoder with a new head; a convolutional network has one already."""
    if isinstance(encoder, DilatedCnn):
        return encoder
    how, dropout = config.encoder, config.finetune.head_dropout
    return SiteClassifier(encoder, pooling=how.pooling, layer=how.layer, dropout=dropout, seed=seed)


def _untrained(
    classifier: Classifier,
    encoder: PreTrainedModel | DilatedCnn,
    windows: Tokens,
    config: RunConfig,
    accelerator: Accelerator,
) -> Floats:
    """Embeddings before fine-tuning."""
    if isinstance(encoder, DilatedCnn):
        return classify(classifier, windows, accelerator)[1]
    how = config.encoder
    return embed(encoder, windows, pooling=how.pooling, layer=how.layer, accelerator=accelerator)


def _plan(learner: "_Learner", config: RunConfig, seed: int, best: Path) -> Plan:
    """Measure and save after every epoch, keep the best, stop when none is better for a while."""
    settings, epoch = config.finetune, learner.batches.steps_per_epoch
    return Plan(
        steps=settings.epochs * epoch,
        optimiser=settings,
        evaluate_every=epoch,
        save_every=epoch,
        seed=seed,
        select={AUROC: best},
        patience=settings.patience,
        compile=config.compile,
    )


def _validation_scores(learner: "_Learner", table: WindowTable, rows: Rows, config: RunConfig) -> dict[str, float]:
    probabilities, vectors = learner.predict(rows)
    windows = table.take(rows)
    scores = {
        f"validation/{name}" if site == "all" else f"validation/{name}_{site}": value
        for site, values in scores_by_site(windows.label, probabilities, windows.site_type).items()
        for name, value in values.items()
    }
    return scores | (_agreement(vectors, windows, config) if config.finetune.follow else {})


def _agreement(embeddings: Floats, windows: WindowTable, config: RunConfig) -> dict[str, float]:
    """SCCS and NMI of the validation windows, which are always the same."""
    clusters = nmi(embeddings, windows.label, windows.site_type, config.nmi, config.seed)
    return {
        "validation/sccs": sccs(embeddings, windows.label, config.seed).value,
        "validation/nmi": clusters.value,
    }


class _Learner(NamedTuple):
    """What is trained, on what, and how it predicts: rows → ``(n,)`` probabilities and ``(n, P)`` embeddings."""

    objective: ClassificationObjective | HeadObjective
    batches: EpochBatches
    predict: Callable[[Rows], tuple[Floats, Floats]]


def _whole_learner(
    classifier: Classifier, table: WindowTable, rows: Rows, config: RunConfig, seed: int, accelerator: Accelerator
) -> _Learner:
    return _Learner(
        ClassificationObjective(classifier),
        EpochBatches(table.take(rows), config.finetune.batch_size, seed),
        lambda asked: classify(classifier, table.tokens[asked], accelerator),
    )


def _head_learner(
    classifier: Classifier,
    embeddings: Floats,
    table: WindowTable,
    rows: Rows,
    config: RunConfig,
    seed: int,
    accelerator: Accelerator,
) -> _Learner:
    objective = HeadObjective(classifier)

    def predict(asked: Rows) -> tuple[Floats, Floats]:
        vectors = embeddings[asked]
        objective.eval()
        with torch.inference_mode(), accelerator.autocast():
            logits = objective.logits(torch.from_numpy(vectors).to(accelerator.device))
        return torch.sigmoid(logits).cpu().numpy(), vectors

    batches = EmbeddedBatches(table.take(rows), embeddings[rows], config.finetune.batch_size, seed)
    return _Learner(objective, batches, predict)


def asked_rows(fold: Fold) -> Rows:
    """Rows that predictions are written for: validation, then test."""
    return np.concatenate([fold.validation, fold.test])


def write_predictions(folder: Path, table: WindowTable, fold: Fold, probabilities: NDArray[np.floating]) -> None:
    """Write the probabilities of :func:`asked_rows` with all that scoring needs."""
    rows = asked_rows(fold)
    parts = {"row": rows, "part": ["validation"] * len(fold.validation) + ["test"] * len(fold.test)}
    _write_table(folder / runs.PREDICTIONS, parts | _scored(table.take(rows), probabilities))


def write_transfer(folder: Path, windows: WindowTable, probabilities: NDArray[np.floating]) -> None:
    """Write the probabilities of the windows of other species."""
    _write_table(folder / runs.TRANSFER, _scored(windows, probabilities))


def _scored(windows: WindowTable, probabilities: NDArray[np.floating]) -> dict[str, Any]:
    return {
        "label": windows.label,
        "site_type": windows.site_type,
        "species": windows.species.tolist(),
        "origin": windows.origin.tolist(),
        "probability": probabilities.astype(np.float64),
    }


def _write_table(path: Path, columns: dict[str, Any]) -> None:
    with storage.whole_file(path) as partial:
        pq.write_table(pa.table(columns), partial)


def _write_embeddings(folder: Path, before: Floats, after: Floats) -> None:
    with storage.whole_file(folder / runs.EMBEDDINGS) as partial, partial.open("wb") as stream:
        np.savez(stream, before=before, after=after)
