"""Draw the figures and write the report of a run, from files only: no model is loaded.

    python src/report.py --config configs/demo.yaml

Writes runs/<run>/report: report.md, metrics.json, *.csv, *.png. Always made anew; it takes seconds.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from simcsp import runs
from simcsp.command_line import parse_config
from simcsp.config import PhaseConfig, RunConfig, as_plain
from simcsp.console import run_script, say
from simcsp.datasets.pairs import FOLDERS
from simcsp.datasets.splits import test_to_train
from simcsp.metrics.classification import PUBLISHED_THRESHOLD
from simcsp.report import figures
from simcsp.report.document import answer, markdown_report
from simcsp.report.recipes import recipes_section, transfer_section, views_in_words, weights_in_words
from simcsp.report.tables import (
    compare_with_baseline,
    fold_scores,
    layer_summary,
    metrics_json,
    site_means,
    window_intervals,
)
from simcsp.report.trajectory import (
    finetuning_figure,
    finetuning_section,
    predictions_of_f1,
    trajectory_figure,
    trajectory_section,
    trajectory_table,
)
from simcsp.stages import finished_before, stage_folder
from simcsp.training.log import read_metrics


def main() -> None:
    """Write the report."""
    config = parse_config(__doc__)
    run = runs.run_folder(config.run)
    finished_before(config, "report")
    scores = pd.read_csv(run / "evaluation" / runs.SCORES, dtype={"fold": str})
    table = fold_scores(scores)
    manifest = runs.read_json(runs.prepared_folder(config.data.name) / "manifest.json")
    ratio = test_to_train(config.split.folds, manifest["split"]["windows per part"])
    models = list(dict.fromkeys(table.index.get_level_values(0)))
    predictions = {name: _test_predictions(run / "finetune" / name) for name in models}
    threshold = PUBLISHED_THRESHOLD if config.published.logit_threshold else 0.5
    windows = window_intervals(predictions, threshold, config.seed)
    comparisons = compare_with_baseline(table, ratio, windows)
    layers = pd.read_csv(stage_folder(config, "encoders") / runs.LAYERS, dtype={"layer": str})
    selection = scores[scores.fold == "selection"]
    pretraining = selection.pivot_table(index="model", columns="metric", values="value", sort=False)
    with runs.whole_folder(run / "report") as folder:
        table.to_csv(folder / "folds.csv")
        pd.DataFrame([vars(c) for c in comparisons]).to_csv(folder / "comparisons.csv", index=False)
        pretraining.to_csv(folder / "pretraining.csv")
        runs.write_json(folder / "metrics.json", metrics_json(table, comparisons))
        layers.to_csv(folder / "layers.csv", index=False)
        for name, figure in _figures(config, predictions, table, layers).items():
            figure.savefig(folder / f"{name}.png")
        report = markdown_report(
            run=config.run,
            facts=_facts(config, manifest, run),
            table=table,
            sites=site_means(scores),
            pretraining=pretraining,
            layers=layer_summary(layers),
            comparisons=comparisons,
        )
        runs.write_text(
            folder / "report.md", "\n\n".join([report.rstrip(), *_more(config, table, ratio, folder)]) + "\n"
        )
    say(f"report: {answer(comparisons).replace('**', '')}")
    say(f"report: written to {(run / 'report' / 'report.md').relative_to(runs.ROOT)}")


def _more(config: RunConfig, table: pd.DataFrame, ratio: float, folder: Path) -> Iterator[str]:
    """Sections that only some runs have; their tables and figures are written beside the report."""
    run, pretrained = runs.run_folder(config.run), stage_folder(config, "pretrain")
    if config.pretrain.also:
        compared = table.drop(index=[name for name in config.pretrain.kept if name in table.index])
        yield recipes_section(config.pretrain, compared, ratio)
    if kept := [name for name in config.pretrain.kept if name in config.initialisations]:
        phases = {name: read_metrics(pretrained / f"phase-{name}") for name in ("baseline", "contrast")}
        along = trajectory_table(phases, table, kept)
        correlations = predictions_of_f1(along, config.seed)
        along.to_csv(folder / "trajectory.csv", index=False)
        trajectory_figure(along).savefig(folder / "trajectory.png")
        yield trajectory_section(along, correlations)
    if config.finetune.follow:
        models = [name for name in config.initialisations if name not in config.pretrain.kept]
        curves = {
            name: [read_metrics(run / "finetune" / name / f"fold-{k}") for k in range(config.split.folds)]
            for name in models
        }
        finetuning_figure(curves).savefig(folder / "finetuning.png")
        yield finetuning_section()
    if config.data.transfer:
        transfer = pd.read_csv(run / "evaluation" / runs.TRANSFERRED, dtype={"fold": str})
        transfer.to_csv(folder / "transfer.csv", index=False)
        yield transfer_section(transfer)


def _figures(
    config: RunConfig,
    predictions: Mapping[str, pd.DataFrame],
    table: pd.DataFrame,
    layers: pd.DataFrame,
) -> dict[str, Figure]:
    pretrained = stage_folder(config, "pretrain")
    phases = [
        (name, records) for name in ("baseline", "contrast") if (records := read_metrics(pretrained / f"phase-{name}"))
    ]
    encoders = stage_folder(config, "encoders")
    layouts = {name: pd.read_csv(encoders / name / runs.LAYOUT) for name in config.pretrain.encoders}
    any_layout = layouts["baseline"]
    return {
        "f1": figures.f1_boxplot({model: table.loc[model]["f1"].tolist() for model in predictions}),
        "pretraining": figures.pretraining_curves(phases, _kept_steps(config)),
        "umap": figures.umap_panels(
            {name: layout[["umap_1", "umap_2"]].to_numpy() for name, layout in layouts.items()},
            any_layout.label.to_numpy(),
            any_layout.site_type.to_numpy(),
            {name: layout.cluster.to_numpy() for name, layout in layouts.items()},
        ),
        "layers": figures.layer_maps(layers),
        "curves": figures.score_curves(
            {name: (p.label.to_numpy(), p.probability.to_numpy()) for name, p in predictions.items()}
        ),
    }


def _kept_steps(config: RunConfig) -> dict[str, int]:
    """Metric → step of the contrastive phase whose model was kept for it."""
    return {
        metric: step
        for metric, (_, step) in runs.read_json(stage_folder(config, "pretrain") / runs.DONE)["best"].items()
    }


def _test_predictions(folder: Path) -> pd.DataFrame:
    """The test windows of all folds, with a column ``fold``."""
    paths = sorted(folder.glob(f"fold-*/{runs.PREDICTIONS}"))
    parts = [pd.read_parquet(path).assign(fold=path.parent.name) for path in paths]
    together = pd.concat(parts)
    return together[together.part == "test"]


def _facts(config: RunConfig, manifest: Mapping[str, Any], run: Path) -> dict[str, str]:
    record = runs.read_json(run / "finetune" / runs.RECORD)
    environment = record["environment"]
    phases = config.pretrain
    quirks = [name.replace("_", " ") for name, asked in as_plain(config.published).items() if asked]
    kept = {figures.TITLES["best_" + m.removeprefix("validation/")]: step for m, step in _kept_steps(config).items()}
    return {
        "data": f"{config.data.name}: {manifest['windows']:,} windows of {config.data.window} nt, "
        f"corpus of {manifest['corpus nucleotides']:,} nt",
        "split": f"{config.split.folds} folds, {manifest['split']['groups']:,} groups kept together, "
        f"{manifest['split']['groups in several parts']} groups and "
        f"{manifest['split']['identical windows in several parts']} identical windows in several parts",
        "encoder": _encoder(config),
        "pre-training": f"{phases.baseline.steps:,} steps of MLM, then {_contrast(phases.contrast)}",
        "kept": ", ".join(f"{model} from step {step}" for model, step in kept.items()),
        "read without labels": ", ".join(str(source.sequences) for source in config.data.corpus),
        "of the windows, read without labels": _exposure(manifest["exposure"]),
        **_seen_with_labels(config, manifest),
        **({"published quirks": ", ".join(quirks)} if quirks else {}),
        "fine-tuning": f"at most {config.finetune.epochs} epochs, "
        f"{config.finetune.labels or 'all'} training windows per fold",
        "seed": str(config.seed),
        "code": f"version {record['version']}, commit {environment['code']}",
        "machine": f"{environment['platform']}, {environment['processors']} processors, "
        f"torch {environment['libraries']['torch']}",
    }


def _encoder(config: RunConfig) -> str:
    """What BASELINE is: a checkpoint has a shape of its own, and layers may have been removed."""
    stored = runs.read_json(stage_folder(config, "pretrain") / "baseline" / "config.json")
    removed = f", without {config.encoder.drop_layers} on top" if config.encoder.drop_layers else ""
    return (
        f"{stored['model_type']} from {config.encoder.init}, {stored['num_hidden_layers']} layers of "
        f"{stored['hidden_size']}{removed}, pooling {config.encoder.pooling}"
    )


def _contrast(phase: PhaseConfig) -> str:
    """Length, weights and pairs of the contrastive phase."""
    mlm, contrastive = weights_in_words(phase)
    pairs = f", pairs by {phase.positives}" if phase.positives != "window" else ""
    views = views_in_words(phase.views)
    said = pairs + (f", second views {views}" if views else "")
    return f"{phase.steps:,} steps with weights {mlm} MLM and {contrastive} SimCSP{said}"


def _seen_with_labels(config: RunConfig, manifest: Mapping[str, Any]) -> dict[str, str]:
    """Windows whose labels pre-training has seen, if any."""
    phases = (config.pretrain.baseline, config.pretrain.contrast, *config.pretrain.also)
    found = {phase.positives for phase in phases}
    sets = [folder for positives, folder in FOLDERS.items() if positives in found]
    said = ", ".join(f"{manifest[name]:,} ({name})" for name in sets)
    return {"windows seen with labels, none akin to those of a fold": said} if sets else {}


def _exposure(record: Mapping[str, Any]) -> str:
    """How many windows were seen in pre-training, and in which species of the corpus."""
    species = ", ".join(f"{name} ({count:,})" for name, count in record["by species of the corpus"].items())
    share = record["windows"] / record["of"]
    return f"{record['windows']:,} of {record['of']:,} ({share:.1%}){' in the corpus of ' + species if species else ''}"


if __name__ == "__main__":
    run_script(main)
