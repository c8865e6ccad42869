"""Compare encoders and poolings by what one pass over 6,400 labels teaches them, without pre-training.

    python benchmarks/choose_encoder.py --config configs/human.yaml

Trains each variant from random weights on the training part of fold 0 and scores it on the selection part, which is in
no fold. Variants are changes of the configuration's encoder. Prints one Markdown row per variant.
"""

import dataclasses
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from simcsp import runs
from simcsp.command_line import parse_config
from simcsp.config import RunConfig
from simcsp.console import progress, run_script, say
from simcsp.datasets.splits import Fold, fold_rows, selection_rows
from simcsp.datasets.windows import WindowTable, load_windows
from simcsp.metrics.classification import scores_by_site
from simcsp.model.embedding import classify
from simcsp.model.encoder import SiteClassifier, load_encoder
from simcsp.model.objectives import ClassificationObjective
from simcsp.training.batches import EpochBatches
from simcsp.training.devices import make_accelerator
from simcsp.training.finetuning import drawn_rows
from simcsp.training.loop import Plan, train

LABELS, EPOCHS, BATCH = 6400, 1, 32
VARIANTS: tuple[tuple[str, dict[str, Any], float], ...] = (
    ("ModernBERT 2 × 192, site", {}, 1e-3),
    ("ModernBERT 2 × 192, mean", {"pooling": "mean"}, 1e-3),
    ("ModernBERT 2 × 192, cls", {"pooling": "cls"}, 1e-3),
    ("ModernBERT 4 × 128, site", {"hidden": 128, "layers": 4, "heads": 4, "intermediate": 256}, 1e-3),
    ("BERT 2 × 192, site", {"architecture": "bert", "intermediate": 768}, 5e-4),
    ("BERT 2 × 192, cls", {"architecture": "bert", "intermediate": 768, "pooling": "cls"}, 5e-4),
)


def main() -> None:
    """Train and score every variant."""
    config = parse_config(__doc__)
    table = load_windows(runs.prepared_folder(config.data.name) / "windows")
    fold = fold_rows(table, config.split, 0)
    selection = table.take(selection_rows(table, config.split))
    say("| encoder | parameters | AUROC donor | AUROC acceptor | F1 donor | F1 acceptor | seconds |")
    say("|---|---|---|---|---|---|---|")
    for name, changes, rate in VARIANTS:
        encoder = dataclasses.replace(config.encoder, **changes)
        finetune = dataclasses.replace(config.finetune, learning_rate=rate, batch_size=BATCH, epochs=EPOCHS)
        say(_row(name, dataclasses.replace(config, encoder=encoder, finetune=finetune), table, fold, selection))


def _row(name: str, config: RunConfig, table: WindowTable, fold: Fold, selection: WindowTable) -> str:
    accelerator = make_accelerator(config.precision)
    encoder = load_encoder(config.encoder, config.data.window + 2, config.seed)
    how, settings = config.encoder, config.finetune
    classifier = SiteClassifier(
        encoder, pooling=how.pooling, layer=how.layer, dropout=settings.head_dropout, seed=config.seed
    )
    batches = EpochBatches(table.take(drawn_rows(fold.train, LABELS, config.seed)), BATCH, config.seed)
    steps = EPOCHS * batches.steps_per_epoch
    plan = Plan(steps=steps, optimiser=settings, evaluate_every=steps, save_every=steps, seed=config.seed, select={})
    start = time.perf_counter()
    with TemporaryDirectory() as folder, progress(None, name, unit="step", total=steps) as bar:
        train(ClassificationObjective(classifier), batches, lambda *_: {}, plan, Path(folder), accelerator, bar)
    seconds = time.perf_counter() - start
    probabilities, _ = classify(classifier, selection.tokens, accelerator)
    scores = scores_by_site(selection.label, probabilities, selection.site_type)
    cells = [f"{scores[site][metric]:.3f}" for metric in ("auroc", "f1") for site in ("donor", "acceptor")]
    return f"| {name} | {encoder.num_parameters():,} | {' | '.join(cells)} | {seconds:.0f} |"


if __name__ == "__main__":
    run_script(main)
