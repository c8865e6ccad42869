"""Put several evaluated runs into one table, with the tests that their differences need; from files only.

    bash run.sh study configs/experiments/answer.yaml                # trains all runs of the study, then does this:
    python src/compare.py --config configs/experiments/answer.yaml
    python src/compare.py --config configs/experiments/answer.yaml --dry-run   # what is done and to do in all runs
    python src/compare.py plan --config configs/experiments/answer.yaml   # the overrides of each run, one line per run
    python src/compare.py runs layers-removed exp0 exp3 exp4         # any finished runs of the same windows

Reads runs/<run>/evaluation of each; writes runs/<study or name>/report: report.md, report.html, scores.csv,
comparisons.csv, transfer.csv, f1.png. Always made anew; it takes seconds.
"""

import sys
from collections.abc import Iterator
from typing import NoReturn

from simcsp import runs, storage
from simcsp.command_line import parse_config
from simcsp.config import BudgetConfig, RunConfig
from simcsp.console import run_script, say
from simcsp.errors import InputError
from simcsp.report.answer import answer
from simcsp.report.comparisons import REFERENCES, as_frame, compare
from simcsp.report.finished_runs import read_evaluated_run
from simcsp.report.joined import (
    METRICS,
    contrastive_models,
    joined_scores,
    joined_transfer,
    require_same_windows,
    variants,
)
from simcsp.report.joined_page import joined_figure, joined_report
from simcsp.report.page import write_report


def main() -> None:
    """Compare the runs of a study, or those named, or say how a study is run and what is left of it."""
    match sys.argv[1:]:
        case ["plan", *words]:
            print(*plan(parse_config(__doc__, words)), sep="\n")
        case ["runs", name, first, second, *others]:
            _write(name, [first, second, *others])
        case ["runs", *_]:
            raise InputError(
                "too few runs",
                hint="Give a name for the page and at least two runs: python src/compare.py runs NAME RUN RUN",
            )
        case [*words] if "--dry-run" in words:
            _dry_run([word for word in words if word != "--dry-run"])
        case _:
            config = parse_config(__doc__)
            _write(config.run, [name for name, _, _ in _members(config)])


def plan(config: RunConfig) -> Iterator[str]:
    """Overrides that make each run of a study out of its configuration.

    Runs of one seed share pre-training and windows, with those of another study if `pretrained` names it; every seed
    splits the windows anew.
    """
    for name, seed, budget in _members(config):
        yield (
            f"--run {name} --pretrained {config.pretrained or config.run}-{seed} --seed {seed} --split.seed {seed} "
            f"--data.name {config.data.name}-split-{seed} --finetune.labels {budget.labels} "
            f"--finetune.epochs {budget.epochs} --finetune.batch_size {budget.batch_size} "
            f"--finetune.validation {budget.validation}"
        )


def _dry_run(words: list[str]) -> NoReturn:
    from simcsp.planning.page import study_page  # noqa: PLC0415 - times real steps: only who asks for it loads torch

    config = parse_config(__doc__, words)
    page = study_page(config.run, [parse_config(__doc__, [*words, *overrides.split()]) for overrides in plan(config)])
    print(page.text)
    sys.exit(1 if page.refused else 0)


def _members(config: RunConfig) -> Iterator[tuple[str, int, BudgetConfig]]:
    if not config.study.budgets:
        raise InputError("the configuration has no study.budgets", hint="See configs/experiments/answer.yaml")
    for seed in config.study.seeds:
        for budget in config.study.budgets:
            yield f"{config.run}-{seed}-{budget.labels or 'all'}", seed, budget


def _write(name: str, members: list[str]) -> None:
    scored = [read_evaluated_run(member) for member in members]
    require_same_windows(scored)
    scores, transfer = joined_scores(scored), joined_transfer(scored)
    ratios = dict(zip(variants(scored), (run.test_to_train for run in scored), strict=True))
    comparisons = compare(scores, ratios, METRICS, REFERENCES)
    target = runs.run_folder(name) / "report"
    if (target.parent / "evaluation").exists():
        raise InputError(
            "is a run with a report of its own", path=target.parent, hint="Give the comparison another name"
        )
    with storage.whole_folder(target) as folder:
        scores.to_csv(folder / "scores.csv")
        as_frame(comparisons).to_csv(folder / "comparisons.csv", index=False)
        transfer.to_csv(folder / "transfer.csv")
        joined_figure(scores).savefig(folder / "f1.png")
        write_report(folder, joined_report(name, scored, scores, comparisons, transfer))
    said = answer(comparisons, *contrastive_models(run.settings for run in scored))
    say(f"compare: {said.replace('**', '')}")
    say(f"compare: written to {(target / 'report.html').relative_to(runs.ROOT)}")


if __name__ == "__main__":
    run_script(main)
