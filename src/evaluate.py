"""Score what pre-training and fine-tuning left: SCCS and NMI of the encoders, F1 and the rest of the classifiers.

    python src/evaluate.py --config configs/demo.yaml
    python src/evaluate.py layers --config configs/demo.yaml --run probe --encoder.init CHECKPOINT
    python src/evaluate.py leakage --config configs/demo.yaml
    python src/evaluate.py sentences POSITIVE.txt NEGATIVE.txt --encoder FOLDER

The first reads runs/<run>/pretrain and finetune; writes runs/<run>/evaluation: scores.csv (one row per model,
fold, site type and metric), layers.csv (one row per pre-trained encoder, layer and pooling), and embeddings, clusters
and UMAP layouts of the selection part. This is the first time that test windows are scored; no choice is made after it.

The next two need only prepared data. `layers` scores every layer and pooling of one encoder, that of `encoder.init`, on
the selection part: layers.csv and layers.png in runs/<run>/layers. `leakage` counts the windows of the set that have a
counterpart in another part of the split, cross-validates two simple classifiers to see what such leaks are worth in F1,
and writes leakage.json beside the manifest. `sentences` measures SCCS and NMI of a sentence encoder on labelled text.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from accelerate import Accelerator
from numpy.typing import NDArray
from transformers import PreTrainedModel

from simcsp import runs
from simcsp.command_line import parse_config
from simcsp.config import RunConfig, as_plain
from simcsp.console import progress, run_script, say
from simcsp.datasets.leakage import audit, nearest_window
from simcsp.datasets.splits import selection_rows
from simcsp.datasets.windows import WindowTable, load_windows
from simcsp.metrics.classification import PUBLISHED_THRESHOLD, scores_by_site
from simcsp.metrics.layers import Sites, layer_scores
from simcsp.metrics.nmi import nmi
from simcsp.metrics.probe import linear_probe
from simcsp.metrics.sccs import sccs
from simcsp.model.embedding import embed, embed_layers
from simcsp.model.encoder import initial_files, load_checkpoint, load_encoder
from simcsp.model.published import embed_doubly_framed, embed_sites_off_by_one
from simcsp.model.splicebert import initial_folder
from simcsp.model.yardstick import logistic_regression
from simcsp.report.figures import layer_maps
from simcsp.report.layout import umap_layout
from simcsp.sentences.command import score_sentences
from simcsp.stages import enter_stage, finished_before, stage_folder
from simcsp.training.devices import describe, make_accelerator

_PICTURED = 2000  # windows in the UMAP figure

Row = dict[str, object]


def main() -> None:
    """Score every model of the run, or do what the first word says."""
    match sys.argv[1:2]:
        case ["layers"]:
            _score_layers(parse_config(__doc__, sys.argv[2:]))
        case ["leakage"]:
            _audit_split(parse_config(__doc__, sys.argv[2:]))
        case ["sentences"]:
            score_sentences(sys.argv[2:])
        case _:
            _score_models(parse_config(__doc__))


def _audit_split(config: RunConfig) -> None:
    finished_before(config, "pretrain")
    folder = stage_folder(config, "prepare")
    predictors = {"logistic regression": logistic_regression, "memoriser": nearest_window}
    found = audit(load_windows(folder / "windows"), config.split, predictors)
    runs.write_json(folder / "leakage.json", found.as_dict())
    say(f"{found}\n\nevaluate: written to {(folder / 'leakage.json').relative_to(runs.ROOT)}")


def _score_layers(config: RunConfig) -> None:
    accelerator = make_accelerator(config.precision)
    prepared, folder = stage_folder(config, "prepare"), runs.run_folder(config.run) / "layers"
    settings = {name: as_plain(getattr(config, name)) for name in ("seed", "precision", "encoder", "nmi")}
    files = {**initial_files(initial_folder(config.encoder.init)), "device": describe(accelerator)}
    inputs = {**finished_before(config, "pretrain"), **files}
    runs.lock(folder)
    if runs.open_stage(folder, settings, inputs) is not runs.State.FINISHED:
        with runs.unclaimed_on_error(folder):
            encoder = load_encoder(config.encoder, config.longest_input, config.seed)
        table = load_windows(prepared / "windows")
        selection = table.take(selection_rows(table, config.split))
        layers = pd.DataFrame(_layer_rows("encoder", encoder, selection, config, accelerator))
        runs.write_text(folder / runs.LAYERS, layers.to_csv(index=False))
        with runs.whole_file(folder / "layers.png") as partial:
            layer_maps(layers).savefig(partial, format="png")
        runs.close_stage(folder, {"rows": len(layers)})
    say(f"evaluate: {(folder / runs.LAYERS).relative_to(runs.ROOT)} is complete")


def _score_models(config: RunConfig) -> None:
    if not enter_stage(config, "evaluation", {"device": describe(make_accelerator(config.precision))}):
        return
    prepared, run = stage_folder(config, "prepare"), runs.run_folder(config.run)
    folder = run / "evaluation"
    table = load_windows(prepared / "windows")
    scores, layers = _selection_scores(config, table.take(selection_rows(table, config.split)), folder)
    runs.write_text(folder / runs.LAYERS, pd.DataFrame(layers).to_csv(index=False))
    models = runs.read_json(run / "finetune" / runs.DONE)["models"]
    folds = [run / "finetune" / model / f"fold-{k}" for model in models for k in range(config.split.folds)]
    transferred: list[Row] = []
    for fold in progress(folds, "evaluate", unit="fold"):
        scores += _fold_scores(fold, config, table)
        if config.data.transfer:
            transferred += _transfer_scores(fold, config)
    if transferred:
        runs.write_text(folder / runs.TRANSFERRED, pd.DataFrame(transferred).to_csv(index=False))
    runs.write_text(folder / runs.SCORES, pd.DataFrame(scores).to_csv(index=False))
    runs.write_json(folder / runs.CONFIG, as_plain(config))  # for comparisons of several runs
    runs.close_stage(folder, {"rows": len(scores)})
    say(f"evaluate: {len(folds)} folds scored, written to {(folder / runs.SCORES).relative_to(runs.ROOT)}")


def _selection_scores(config: RunConfig, selection: WindowTable, folder: Path) -> tuple[list[Row], list[Row]]:
    """Scores of the pre-trained encoders and of their layers; writes what the UMAP figure is drawn from."""
    accelerator = make_accelerator(config.precision)
    how = config.encoder
    pictured = np.sort(np.random.default_rng(config.seed).permutation(len(selection.label))[:_PICTURED])
    scores: list[Row] = []
    layers: list[Row] = []
    for name in progress(config.pretrain.encoders, "evaluate: encoders", unit="encoder"):
        encoder = load_checkpoint(
            stage_folder(config, "pretrain") / name, dropout=how.dropout, tokens=config.longest_input
        )
        vectors = _site_embeddings(encoder, selection, config, accelerator)
        clusters = nmi(vectors, selection.label, selection.site_type, config.nmi, config.seed)
        paired = vectors
        if config.published.doubled_special_tokens:
            paired = embed_doubly_framed(encoder, selection.tokens, layer=how.layer, accelerator=accelerator)
        agreement, sites = sccs(paired, selection.label, config.seed), _sites(selection)
        values = {"sccs": agreement.value, **clusters.scores(), **linear_probe(vectors, *sites, seed=config.seed)}
        scores += [_row(name, "selection", "all", metric, value) for metric, value in values.items()]
        layers += _layer_rows(name, encoder, selection, config, accelerator)
        with runs.whole_folder(folder / runs.SELECTION / name) as target:
            np.save(target / "embeddings.npy", vectors)
            pd.DataFrame(
                {
                    "origin": selection.origin[pictured],
                    "label": selection.label[pictured],
                    "site_type": selection.site_type[pictured],
                    "species": selection.species[pictured],
                    "cluster": clusters.assignment[pictured],
                    **dict(zip(("umap_1", "umap_2"), umap_layout(vectors[pictured], config.seed).T, strict=True)),
                }
            ).to_csv(target / runs.LAYOUT, index=False)
    return scores, layers


def _layer_rows(
    name: str, encoder: PreTrainedModel, selection: WindowTable, config: RunConfig, accelerator: Accelerator
) -> list[Row]:
    states = embed_layers(encoder, selection.tokens, accelerator)
    rows = layer_scores(states, _sites(selection), config.nmi, config.seed)
    total = sum(pooled.shape[1] + 1 for pooled in states.values())
    return [{"model": name, **row} for row in progress(rows, f"evaluate: layers of {name}", unit="layer", total=total)]


def _sites(table: WindowTable) -> Sites:
    return Sites(table.label, table.site_type, table.group)


def _site_embeddings(
    encoder: PreTrainedModel, table: WindowTable, config: RunConfig, accelerator: Accelerator
) -> NDArray[np.float32]:
    how = config.encoder
    if config.published.minus_strand_offset:
        reverse = np.char.endswith(table.origin, ":-")
        return embed_sites_off_by_one(encoder, table.tokens, reverse, layer=how.layer, accelerator=accelerator)
    return embed(encoder, table.tokens, pooling=how.pooling, layer=how.layer, accelerator=accelerator)


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
