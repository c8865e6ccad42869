"""Fine-tune every initialisation on every fold to tell splice sites from decoys; fit the yardstick beside them.

    python src/finetune.py --config configs/demo.yaml
    python src/finetune.py --config configs/demo.yaml --run demo-200 --finetune.labels 200
    python src/finetune.py --config configs/human.yaml --finetune.epochs 6 --finetune.learning_rate 1e-3

Reads runs/<run>/pretrain, writes runs/<run>/finetune/<initialisation>/fold-<k>. Finished folds are not repeated.
"""

import shutil
from pathlib import Path

import numpy as np
from accelerate import Accelerator
from tqdm import tqdm
from transformers import PreTrainedModel

from simcsp import runs
from simcsp.command_line import parse_config
from simcsp.config import RunConfig
from simcsp.console import progress, run_script, say
from simcsp.datasets.splits import Fold, fold_rows
from simcsp.datasets.windows import WindowTable, load_windows
from simcsp.model.encoder import load_checkpoint, random_encoder
from simcsp.model.yardstick import logistic_regression
from simcsp.stages import enter_stage, stage_folder
from simcsp.training.devices import describe, make_accelerator
from simcsp.training.finetuning import asked_rows, finetune_fold, planned_steps, training_rows, write_predictions

YARDSTICK = "logistic_regression"


def main() -> None:
    """Fine-tune everything the configuration asks for."""
    config = parse_config(__doc__)
    accelerator = make_accelerator(config.precision)
    if not enter_stage(config, "finetune", {"device": describe(accelerator)}):
        return
    prepared, run = stage_folder(config, "prepare"), runs.run_folder(config.run)
    folder = run / "finetune"
    table = load_windows(prepared / "windows")
    folds = [fold_rows(table, config.split, k) for k in range(config.split.folds)]
    total = len(config.finetune.initialisations) * sum(planned_steps(fold, config) for fold in folds)
    with progress(None, "finetune", unit="step", total=total) as bar:
        for name in config.finetune.initialisations:
            for k, fold in enumerate(folds):
                _one(name, k, fold, table, config, folder / name / f"fold-{k}", accelerator, bar)
    for k, fold in enumerate(folds):
        target = folder / YARDSTICK / f"fold-{k}"
        target.mkdir(parents=True, exist_ok=True)
        train = training_rows(fold, config.finetune.labels, _fold_seed(config, k))
        probabilities = logistic_regression(table, fold._replace(train=train), asked_rows(fold))
        write_predictions(target, table, fold, probabilities)
    runs.close_stage(folder, {"models": [*config.finetune.initialisations, YARDSTICK]})
    say(f"finetune: {len(folds)} folds × {len(config.finetune.initialisations)} initialisations and the yardstick done")


def _one(
    name: str,
    k: int,
    fold: Fold,
    table: WindowTable,
    config: RunConfig,
    folder: Path,
    accelerator: Accelerator,
    bar: "tqdm[None]",
) -> None:
    bar.set_description(f"finetune: {name}, fold {k + 1} of {config.split.folds}")
    if (folder / runs.DONE).exists():
        bar.update(planned_steps(fold, config))
        return
    seed = _fold_seed(config, k)
    encoder = _encoder(name, config, seed)
    finetune_fold(encoder, table, fold, config, seed, folder, accelerator, bar)
    for checkpoint in folder.glob("checkpoint-*"):  # resuming is over, and there are many folds
        shutil.rmtree(checkpoint)


def _fold_seed(config: RunConfig, k: int) -> int:
    """The same for every initialisation, so that their comparison on a fold is paired."""
    return int(np.random.SeedSequence([config.seed, k]).generate_state(1)[0])


def _encoder(name: str, config: RunConfig, seed: int) -> PreTrainedModel:
    pretrained = runs.run_folder(config.run) / "pretrain"
    if name == "random":
        return random_encoder(pretrained / "baseline", dropout=config.encoder.dropout, seed=seed)
    return load_checkpoint(pretrained / name, dropout=config.encoder.dropout, tokens=config.longest_input)


if __name__ == "__main__":
    run_script(main)
