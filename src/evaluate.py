"""Score what fine-tuning left: F1 and the rest of the classifiers, SCCS and NMI of their encoders.

    python src/evaluate.py --config configs/demo.yaml
    python src/evaluate.py leakage --config configs/demo.yaml
    python src/evaluate.py sentences POSITIVE.txt NEGATIVE.txt --encoder FOLDER

The first reads runs/<run>/encoders and finetune; writes runs/<run>/evaluation/scores.csv: one row per model, fold, site
type and metric, those of the encoders before fine-tuning among them. This is the first time that test windows are
scored; no choice is made after it.

`leakage` needs only prepared data. It counts the windows of the set that have a counterpart in another part of the
split, cross-validates two simple classifiers to see what such leaks are worth in F1, and writes leakage.json beside the
manifest. `sentences` measures SCCS and NMI of a sentence encoder on labelled text.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from simcsp import runs, storage
from simcsp.command_line import parse_config
from simcsp.config import RunConfig, as_plain
from simcsp.console import progress, run_script, say
from simcsp.datasets.leakage import audit, nearest_window
from simcsp.datasets.windows import WindowTable, load_windows
from simcsp.metrics.classification import PUBLISHED_THRESHOLD, scores_by_site
from simcsp.metrics.nmi import nmi
from simcsp.metrics.sccs import sccs
from simcsp.model.yardstick import logistic_regression
from simcsp.sentences.command import score_sentences
from simcsp.stages import enter_stage, finished_before, stage_folder
from simcsp.training.devices import describe, make_accelerator

Row = dict[str, object]


def main() -> None:
    """Score every classifier of the run, or do what the first word says."""
    match sys.argv[1:2]:
        case ["leakage"]:
            _audit_split(parse_config(__doc__, sys.argv[2:]))
        case ["sentences"]:
            score_sentences(sys.argv[2:])
        case _:
            _score_models(parse_config(__doc__, stage="evaluation"))


def _audit_split(config: RunConfig) -> None:
    finished_before(config, "pretrain")
    folder = stage_folder(config, "prepare")
    predictors = {"logistic regression": logistic_regression, "memoriser": nearest_window}
    found = audit(load_windows(folder / "windows"), config.split, predictors)
    storage.write_json(folder / "leakage.json", found.as_dict())
    say(f"{found}\n\nevaluate: written to {(folder / 'leakage.json').relative_to(runs.ROOT)}")


def _score_models(config: RunConfig) -> None:
    if not enter_stage(config, "evaluation", {"device": describe(make_accelerator(config.precision))}):
        return
    run, folder = runs.run_folder(config.run), stage_folder(config, "evaluation")
    table = load_windows(stage_folder(config, "prepare") / "windows")
    scores = _encoder_scores(config)
    models = storage.read_json(run / "finetune" / runs.DONE)["models"]
    folds = [run / "finetune" / model / f"fold-{k}" for model in models for k in range(config.split.folds)]
    transferred: list[Row] = []
    for fold in progress(folds, "evaluate", unit="fold"):
        scores += _fold_scores(fold, config, table)
        if config.data.transfer:
            transferred += _transfer_scores(fold, config)
    if transferred:
        storage.write_text(folder / runs.TRANSFERRED, pd.DataFrame(transferred).to_csv(index=False))
    storage.write_text(folder / runs.SCORES, pd.DataFrame(scores).to_csv(index=False))
    storage.write_json(folder / runs.CONFIG, as_plain(config))  # for comparisons of several runs
    runs.close_stage(folder, {"rows": len(scores)})
    say(f"evaluate: {len(folds)} folds scored, written to {(folder / runs.SCORES).relative_to(runs.ROOT)}")


def _encoder_scores(config: RunConfig) -> list[Row]:
    """Scores of the pre-trained encoders on the selection part."""
    found = pd.read_csv(stage_folder(config, "encoders") / runs.SCORES)
    return [_row(str(model), "selection", "all", str(metric), value) for model, metric, value in found.to_numpy()]


def _fold_scores(fold: Path, config: RunConfig, table: WindowTable) -> list[Row]:
    model, number = fold.parent.name, fold.name.removeprefix("fold-")
    predictions = pd.read_parquet(fold / runs.PREDICTIONS)
    test = predictions[predictions.part == "test"]
    by_site = _by_site(test, config)
    rows = [
        _row(model, number, site, metric, value) for site, values in by_site.items() for metric, value in values.items()
    ]
    if (fold / runs.EMBEDDINGS).exists():
        stored = np.load(fold / runs.EMBEDDINGS, allow_pickle=False)
        windows = table.take(test["row"].to_numpy())
        for when, suffix in (("before", "_before"), ("after", "")):
            clusters = nmi(stored[when], windows.label, windows.site_type, config.nmi, config.seed)
            rows.append(_row(model, number, "all", f"nmi{suffix}", clusters.value))
            agreement = sccs(stored[when], windows.label, config.seed)
            rows.append(_row(model, number, "all", f"sccs{suffix}", agreement.value))
    return rows


def _transfer_scores(fold: Path, config: RunConfig) -> list[Row]:
    """Scores of one fold's model on each of the other species."""
    predictions = pd.read_parquet(fold / runs.TRANSFER)
    return [
        {"species": species, **_row(fold.parent.name, fold.name.removeprefix("fold-"), site, metric, value)}
        for species, windows in predictions.groupby("species")
        for site, values in _by_site(windows, config).items()
        for metric, value in values.items()
    ]


def _by_site(predictions: pd.DataFrame, config: RunConfig) -> dict[str, dict[str, float]]:
    threshold = PUBLISHED_THRESHOLD if config.published.logit_threshold else 0.5
    label, probability, site_type = (predictions[name].to_numpy() for name in ("label", "probability", "site_type"))
    return scores_by_site(label, probability, site_type, threshold)


def _row(model: str, fold: str, site: str, metric: str, value: float) -> Row:
    return {"model": model, "fold": fold, "site": site, "metric": metric, "value": value}


if __name__ == "__main__":
    run_script(main)
