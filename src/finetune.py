"""Fine-tune every initialisation on every fold to tell splice sites from decoys; fit the yardstick beside them.

    python src/finetune.py --config configs/demo.yaml
    python src/finetune.py --config configs/demo.yaml --run demo-200 --pretrained demo --finetune.labels 200
    python src/finetune.py --config configs/human.yaml --run human-frozen --pretrained human --finetune.frozen true
    python src/finetune.py --config configs/human.yaml --run human-two --pretrained human --finetune.parallel 2

Reads runs/<run>/pretrain, writes runs/<run>/finetune/<initialisation>/fold-<k>. Finished folds are not repeated.
Beside the folds lies classifier.json: what src/predict.py must know of them, and how probabilities are calibrated.
"""

import numpy as np

from simcsp import runs
from simcsp.command_line import parse_config
from simcsp.config import CNN, YARDSTICK
from simcsp.console import progress, run_script, say
from simcsp.datasets.windows import concatenate
from simcsp.model.yardstick import logistic_regression
from simcsp.stages import enter_stage, stage_folder
from simcsp.training.classifier_record import write_classifier_record
from simcsp.training.cross_validation import CrossValidation
from simcsp.training.dashboard import write_overview
from simcsp.training.devices import describe, make_accelerator
from simcsp.training.finetuning import asked_rows, write_predictions, write_transfer
from simcsp.training.workers import run_jobs


def main() -> None:
    """Fine-tune everything the configuration asks for."""
    config = parse_config(__doc__, stage="finetune")
    if not enter_stage(config, "finetune", {"device": describe(make_accelerator(config.precision))}):
        return
    work = CrossValidation(config)
    write_overview(work.folder, config)
    jobs, left = work.jobs, work.left()
    if config.finetune.frozen:
        work.embed(left)
    total = work.steps(jobs)
    with progress(None, "finetune", unit="step", start=total - work.steps(left), total=total) as bar:
        run_jobs(left, work, config.finetune.parallel, bar)
    for k in progress(range(len(work.folds)), "finetune: yardstick", unit="fold"):
        _fit_yardstick(work, k)
    work.forget_embeddings()
    for name in config.initialisations:
        if name != CNN:  # src/predict.py reads encoders
            write_classifier_record(config, name)
    models = [*config.initialisations, YARDSTICK]
    runs.close_stage(stage_folder(config, "finetune"), {"models": models})
    say(f"finetune: {len(work.folds)} folds × {len(models) - 1} initialisations and the yardstick done")


def _fit_yardstick(work: CrossValidation, k: int) -> None:
    """On the training windows that every model has in fold ``k``; it predicts the same windows, too."""
    fold, target = work.folds[k], work.fold_folder(YARDSTICK, k)
    target.mkdir(parents=True, exist_ok=True)
    asked = asked_rows(fold)
    table = work.table if work.transfer is None else concatenate([work.table, work.transfer])
    others = np.arange(len(work.table.label), len(table.label))
    trained = fold._replace(train=work.training_rows(k))
    probabilities = logistic_regression(table, trained, np.concatenate([asked, others]))
    write_predictions(target, work.table, fold, probabilities[: len(asked)])
    if work.transfer is not None:
        write_transfer(target, work.transfer, probabilities[len(asked) :])


if __name__ == "__main__":
    run_script(main)
