"""Draw the figures and write the report of a run, from files only: no model is loaded.

    python src/report.py --config configs/demo.yaml

Writes runs/<run>/report: report.md, report.html (the same as one page with everything inside), metrics.json, *.csv,
*.png. Always made anew; it takes seconds.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from simcsp import runs, storage
from simcsp.command_line import parse_config
from simcsp.config import RunConfig, as_plain
from simcsp.console import run_script, say
from simcsp.datasets.splits import test_to_train
from simcsp.metrics.classification import PUBLISHED_THRESHOLD
from simcsp.report import distrust, figures
from simcsp.report.answer import answer
from simcsp.report.comparisons import (
    CONTROL,
    ONE_RUN,
    Comparison,
    against_baseline,
    as_frame_of_one_run,
    compare,
    of_one_run,
)
from simcsp.report.document import markdown_report
from simcsp.report.facts import facts
from simcsp.report.joined import contrastive_models, flat
from simcsp.report.page import write_report
from simcsp.report.recipes import recipes_section, transfer_section
from simcsp.report.run_files import RunFiles, read_run_files
from simcsp.report.tables import fold_scores, layer_summary, metrics_json, site_means, window_intervals
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
    config = parse_config(__doc__, stage="report")
    finished_before(config, "report")
    files = read_run_files(config)
    table = fold_scores(files.scores)
    threshold = PUBLISHED_THRESHOLD if config.published.logit_threshold else 0.5
    ratio = test_to_train(config.split.folds, files.manifest["split"]["windows per part"])
    comparisons = against_baseline(table, ratio, window_intervals(files.predictions, threshold, config.seed))
    recipes = table.drop(index=[name for name in config.pretrain.kept if name in table.index])
    controlled = compare(of_one_run(recipes), {ONE_RUN: ratio}, ("f1", "auroc"), [CONTROL])
    pretraining = files.scores[files.scores.fold == "selection"].pivot_table(
        index="model", columns="metric", values="value", sort=False
    )
    said = answer([*comparisons, *controlled], *contrastive_models([dict(flat(as_plain(config)))]))
    with storage.whole_folder(stage_folder(config, "report")) as folder:
        table.to_csv(folder / "folds.csv")
        as_frame_of_one_run(comparisons).to_csv(folder / "comparisons.csv", index=False)
        pretraining.to_csv(folder / "pretraining.csv")
        storage.write_json(folder / "metrics.json", metrics_json(table, comparisons))
        files.layers.to_csv(folder / "layers.csv", index=False)
        for name, figure in _figures(files, table, config.pretrain.kept).items():
            figure.savefig(folder / f"{name}.png")
        text = markdown_report(
            run=config.run,
            said=said,
            facts=facts(config, files),
            table=table,
            sites=site_means(files.scores),
            pretraining=pretraining,
            layers=layer_summary(files.layers),
            comparisons=comparisons,
            more=_more(config, files, table, controlled, folder),
            doubts=distrust.of_run(config, files.manifest, _choices(files), [*comparisons, *controlled]),
        )
        write_report(folder, text)
    say(f"report: {said.replace('**', '')}")
    say(f"report: written to {(stage_folder(config, 'report') / 'report.html').relative_to(runs.ROOT)}")


def _figures(files: RunFiles, table: pd.DataFrame, kept_along: Sequence[str]) -> dict[str, Figure]:
    any_layout = files.layouts["baseline"]
    scored = {name: (p.label.to_numpy(), p.probability.to_numpy()) for name, p in files.predictions.items()}
    return {
        "f1": figures.f1_boxplot({model: table.loc[model]["f1"].tolist() for model in scored}),
        "pretraining": figures.pretraining_curves(list(files.phases.items()), files.kept),
        "umap": figures.umap_panels(
            {name: layout[["umap_1", "umap_2"]].to_numpy() for name, layout in files.layouts.items()},
            any_layout.label.to_numpy(),
            any_layout.site_type.to_numpy(),
            {name: layout.cluster.to_numpy() for name, layout in files.layouts.items()},
        ),
        "layers": figures.layer_maps(files.layers),
        # Encoders kept along the way have the figures of their own: here they would be many curves of one colour.
        "curves": figures.score_curves({name: one for name, one in scored.items() if name not in kept_along}),
    }


def _more(
    config: RunConfig, files: RunFiles, table: pd.DataFrame, controlled: Sequence[Comparison], folder: Path
) -> Iterator[str]:
    """Sections that only some runs have; their tables and figures are written beside the report."""
    if config.pretrain.also:
        yield recipes_section(config.pretrain, controlled)
    if kept := [name for name in config.pretrain.kept if name in config.initialisations]:
        along = trajectory_table(files.phases, table, kept)
        along.to_csv(folder / "trajectory.csv", index=False)
        trajectory_figure(along).savefig(folder / "trajectory.png")
        yield trajectory_section(along, predictions_of_f1(along, config.seed))
    if config.finetune.follow:
        tuned = stage_folder(config, "finetune")
        models = [name for name in config.initialisations if name not in config.pretrain.kept]
        curves = {
            name: [read_metrics(tuned / name / f"fold-{k}") for k in range(config.split.folds)] for name in models
        }
        finetuning_figure(curves).savefig(folder / "finetuning.png")
        yield finetuning_section()
    if files.transfer is not None:
        files.transfer.to_csv(folder / "transfer.csv", index=False)
        yield transfer_section(files.transfer)


def _choices(files: RunFiles) -> list[float]:
    """SCCS of the checkpoints of the contrastive phase that BEST_SCCS was chosen from; that of step 0 is BASELINE."""
    measured = ((record["step"], record.get("validation/sccs")) for record in files.phases.get("contrast", ()))
    return [sccs for step, sccs in measured if step and sccs is not None]


if __name__ == "__main__":
    run_script(main)
