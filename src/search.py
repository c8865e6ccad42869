"""Search for settings of the contrastive phase by the SCCS of the selection part, which is in no fold.

    bash pretrain.sh configs/experiments/exp2.yaml && python src/search.py --config configs/experiments/exp2.yaml
    python src/search.py --config configs/experiments/exp2.yaml --run exp2-longer --pretrained exp2 --search.trials 40

Reads data/prepared and runs/<run>/pretrain; writes runs/<run>/search: a folder per trial, trials.csv, best.yaml,
report.md, report.html. Interrupted, it goes on with the trial at hand. What was found is tried on the folds by

    bash pretrain.sh configs/experiments/exp2.yaml --config runs/exp2/search/best.yaml --run exp2-best
    bash finetune.sh configs/experiments/exp2.yaml --config runs/exp2/search/best.yaml --run exp2-best

These train BASELINE anew, with the dropout that was found. The trial itself, from the BASELINE of the search, comes of
`--encoder.init runs/exp2/pretrain/baseline --pretrain.baseline.steps 0` in both.
"""

from pathlib import Path

import yaml  # type: ignore[import-untyped]

from simcsp import runs, storage
from simcsp.command_line import parse_config
from simcsp.config import RunConfig
from simcsp.console import progress, run_script, say
from simcsp.datasets.corpus import Corpus
from simcsp.datasets.pairs import load_pairs
from simcsp.datasets.splits import selection_rows
from simcsp.datasets.windows import load_windows
from simcsp.report.page import write_report
from simcsp.report.search import best_trial, history_figure, nested, search_report, slices_figure, trials_table
from simcsp.stages import enter_stage, stage_folder
from simcsp.training.dashboard import write_overview
from simcsp.training.devices import describe, make_accelerator
from simcsp.training.trials import FIXED, Search, TrialResult, require_searchable


def main() -> None:
    """Run the trials that are left, and write what came of them."""
    config = parse_config(__doc__, stage="search")
    accelerator = make_accelerator(config.precision)
    if not enter_stage(config, "search", {"device": describe(accelerator)}):
        return
    prepared, pretrained, folder = (stage_folder(config, stage) for stage in ("prepare", "pretrain", "search"))
    with runs.unclaimed_on_error(folder):
        require_searchable(config, pretrained / "baseline")
    write_overview(folder, config)
    longest = max(config.pretrain.lengths or (config.data.window,))
    corpus = Corpus(prepared / "corpus", longest, balance=config.pretrain.balance)
    table = load_windows(prepared / "windows")
    selection = table.take(selection_rows(table, config.split))
    pairs = load_pairs(prepared, config.pretrain.contrast)
    search = Search(config, corpus, selection, pretrained / "baseline", folder, accelerator, pairs)
    results = search.finished()
    with progress(None, "search", unit="trial", start=len(results), total=config.search.trials) as bar:
        while len(results) < config.search.trials:
            results.append(search.run_next())
            bar.update()
            say(f"search: trial {results[-1].number} {results[-1].state}, SCCS {results[-1].sccs:.3f}")
    _write(config, results, folder)
    best = best_trial(trials_table(results))
    runs.close_stage(folder, {"best": int(best.number), "sccs": float(best.sccs)})
    say(f"search: best SCCS {best.sccs:.3f} in trial {best.number:.0f}")
    say(f"search: written to {(folder / 'report.html').relative_to(runs.ROOT)}")


def _write(config: RunConfig, results: list[TrialResult], folder: Path) -> None:
    table = trials_table(results)
    storage.write_text(folder / "trials.csv", table.to_csv(index=False))
    chosen = results[int(best_trial(table).number)].settings
    storage.write_text(folder / "best.yaml", yaml.safe_dump(nested(FIXED | chosen)))
    for name, figure in {"history": history_figure(results), "slices": slices_figure(table)}.items():
        with storage.whole_file(folder / f"{name}.png") as partial:
            figure.savefig(partial, format="png")
    write_report(folder, search_report(config.run, table))


if __name__ == "__main__":
    run_script(main)
