"""Every experiment end to end on the simulated genome, in a tiny form, through the scripts of its stages."""

import importlib
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from accelerate.state import AcceleratorState
from matplotlib.figure import Figure
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import compare
import embed
import evaluate
import finetune
import prepare
import pretrain
import report
import search
from simcsp import runs
from simcsp.command_line import parse_config
from simcsp.datasets.windows import load_windows
from simcsp.metrics.layers import layer_scores
from simcsp.model import embedding
from simcsp.training import pretraining
from simcsp.training.log import read_metrics

ROOT = Path(__file__).resolve().parents[1]
STAGES = {
    "prepare": prepare,
    "pretrain": pretrain,
    "embed": embed,
    "finetune": finetune,
    "evaluate": evaluate,
    "report": report,
}
TINY = ("--config", str(ROOT / "tests/configs/tiny-experiment.yaml"))

STUDY = (
    "--study.seeds=[0, 1]",
    "--study.budgets=[{labels: 20, epochs: 2, batch_size: 8}, {labels: 0, epochs: 1, batch_size: 32}]",
    "--pretrain.also=[{name: mlm_control, steps: 8, batch_size: 32, evaluate_every: 8}, "
    "{name: supervised, steps: 8, batch_size: 8, contrastive_weight: 1, positives: label, keep: sccs}]",
    "--split.pretraining=2",
    "--finetune.initialisations=[baseline, mlm_control, supervised, cnn]",
    "--data.transfer=[{format: genome, species: cousin-1, fasta: cousin-1.fa, annotation: cousin-1.gtf}]",
)

pytestmark = pytest.mark.slow

Stage = Callable[..., None]


def blank(*_: Any) -> dict[str, Figure]:
    figure = Figure(figsize=(1, 1))
    figure.subplots()
    return {"by label": figure}


def scored_once() -> Callable[..., list[dict[str, Any]]]:
    """Scores of layers that are computed for the first encoder and stand for those of all others."""
    rows: list[dict[str, Any]] = []

    def scores(*arguments: Any) -> list[dict[str, Any]]:
        if not rows:
            rows.extend(layer_scores(*arguments))
        return rows

    return scores


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A root without anything, where UMAP is not drawn and one process enters many stages."""
    root = tmp_path_factory.mktemp("experiments")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "ROOT", root)
        patch.setattr(prepare, "CACHE", root / "cache")
        patch.setattr(runs, "lock", lambda folder: None)
        patch.setattr(pretraining, "umap_figures", blank)
        patch.setattr(embed, "umap_layout", lambda vectors, seed: vectors[:, :2])
        patch.setattr(embed, "layer_scores", scored_once())
        patch.chdir(root)
        yield root


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """``run(module, experiment, overrides…)``: call a script with the configuration of an experiment, made tiny."""

    def call(module: Any, experiment: str, *overrides: str, command: tuple[str, ...] = ()) -> None:
        config = ("--config", str(ROOT / f"configs/experiments/{experiment}.yaml"), *TINY, "--run", experiment)
        monkeypatch.setattr(sys, "argv", [module.__name__, *command, *config, *overrides])
        module.main()
        AcceleratorState._reset_state(reset_partial_state=True)

    yield call
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def run_all(run: Stage, folder: Path) -> Callable[..., Path]:
    def call(experiment: str, *overrides: str) -> Path:
        for module in STAGES.values():
            run(module, experiment, *overrides)
        return folder / "runs" / experiment

    return call


def read(report: Path) -> str:
    """The page; the pictures that it shows are there."""
    text = report.read_text()
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", text)
    assert [name for name in pictures if not (report.parent / name).stat().st_size] == []
    assert "nan" not in text.replace("nano", "")
    return text


def test_experiment_1_follows_scores_along_both_trainings(run_all: Callable[..., Path]) -> None:
    made = run_all("exp1", "--finetune.initialisations=[baseline, kept, mlm_control]")
    text = read(made / "report" / "report.md")
    for heading in (
        "## Along pre-training",
        "### Do SCCS and NMI predict F1?",
        "## Along fine-tuning",
        "### Against the MLM control",
    ):
        assert heading in text
    table = pd.read_csv(made / "report" / "trajectory.csv")
    assert list(table.encoder) == ["baseline-4", "baseline-8", "baseline", "contrast-4", "contrast-8", "contrast-12"]
    assert list(table.step) == [4, 8, 12, 16, 20, 24]
    folds = pd.read_csv(made / "report" / "folds.csv")
    assert table.f1.tolist() == pytest.approx([folds[folds.model == name].f1.mean() for name in table.encoder])
    measured = {
        r["step"]: r["validation/nmi"]
        for r in read_metrics(made / "pretrain" / "phase-contrast")
        if "validation/nmi" in r
    }
    assert table.nmi[4] == measured[8]
    followed = [r["step"] for r in read_metrics(made / "finetune" / "contrast-8" / "fold-1") if "validation/nmi" in r]
    assert followed == [0, 6, 12]


def test_experiment_2_searches_resumes_and_never_looks_at_folds(
    run: Stage, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (prepare, pretrain):
        run(module, "exp2")
    made = folder / "runs" / "exp2" / "search"
    seen: set[bytes] = set()

    def watched(encoder: Any, windows: Any, **rest: Any) -> Any:
        seen.update(window.tobytes() for window in windows)
        return embedding.embed(encoder, windows, **rest)

    monkeypatch.setattr(pretraining, "embed", watched)
    run(search, "exp2")
    read(made / "report.md")
    undisturbed = pd.read_csv(made / "trials.csv")
    assert len(undisturbed) == 4
    table = load_windows(folder / "data" / "prepared" / "tiny-experiment" / "windows")
    assert seen <= {window.tobytes() for window in table.tokens[table.part == 4]}  # in neither of two folds

    shutil.rmtree(made)
    stop = {"at": 7}

    def interrupted(*arguments: Any, **rest: Any) -> Any:
        stop["at"] -= 1
        if stop["at"] == 0:
            raise KeyboardInterrupt
        return watched(*arguments, **rest)

    monkeypatch.setattr(pretraining, "embed", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(search, "exp2")
    AcceleratorState._reset_state(reset_partial_state=True)
    assert 0 < len(list(made.glob("trial-*/done.json"))) < 4
    run(search, "exp2")
    pd.testing.assert_frame_equal(pd.read_csv(made / "trials.csv"), undisturbed)
    best = parse_config(
        "", ["--config", str(ROOT / "configs/experiments/exp2.yaml"), "--config", str(made / "best.yaml")]
    )
    chosen = undisturbed.loc[undisturbed[undisturbed.state == "complete"].sccs.idxmax()]
    assert best.pretrain.contrast.learning_rate == pytest.approx(chosen["pretrain.contrast.learning_rate"])
    assert best.pretrain.contrast.contrastive_weight == 1
    assert best.encoder.pooling == chosen["encoder.pooling"]
    events = EventAccumulator(str(made / "trial-000")).Reload()
    assert "_hparams_/session_start_info" in events.summary_metadata
    assert "search/best_sccs" in events.Tags()["scalars"]


def test_experiment_3_removes_a_layer_after_mlm(run_all: Callable[..., Path]) -> None:
    made = run_all("exp3", "--finetune.initialisations=[baseline, best_sccs, mlm_control]")
    for name in ("baseline", "best_sccs", "mlm_control"):
        assert json.loads((made / "pretrain" / name / "config.json").read_text())["num_hidden_layers"] == 3
    assert "MLM control" in read(made / "report" / "report.md")


def test_experiment_4_removes_two(run: Stage, folder: Path) -> None:
    for module in (prepare, pretrain):
        run(module, "exp4")
    stored = (folder / "runs" / "exp4" / "pretrain" / "best_nmi" / "config.json").read_text()
    assert json.loads(stored)["num_hidden_layers"] == 2


def test_experiment_5_trains_the_classifier_alone(run_all: Callable[..., Path]) -> None:
    made = run_all("exp5", "--finetune.initialisations=[baseline, best_sccs]")
    stored = np.load(made / "finetune" / "best_sccs" / "fold-0" / "test_embeddings.npz")
    assert np.array_equal(stored["before"], stored["after"])
    read(made / "report" / "report.md")


def test_the_published_bug_trains_on_nothing_but_three_tokens(run_all: Callable[..., Path]) -> None:
    made = run_all("unspaced", "--finetune.initialisations=[baseline, best_sccs]", "--encoder.dropout=0")
    assert "unspaced contrast" in read(made / "report" / "report.md")
    records = read_metrics(made / "pretrain" / "phase-contrast")
    losses = [r["train/contrastive_loss"] for r in records if "train/contrastive_loss" in r]
    assert losses
    assert losses == pytest.approx([np.log(16)] * len(losses), abs=1e-3)  # of guessing among a batch of equal windows


def test_the_study_joins_its_runs(run: Stage, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(compare, "answer", *STUDY, command=("plan",))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["answer-0-20", "answer-0-all", "answer-1-20", "answer-1-all"]
    for line in lines:
        for module in STAGES.values():
            run(module, "answer", *STUDY, *line.split())
    run(compare, "answer", *STUDY)
    made = folder / "runs" / "answer" / "report"
    text = read(made / "report.md")
    for heading in ("Against MLM control", "Against dilated CNN", "Against logistic regression", "## Other species"):
        assert heading in text
    comparisons = pd.read_csv(made / "comparisons.csv")
    one = comparisons[(comparisons.reference == "baseline") & (comparisons.metric == "f1")]
    assert set(one.variant) == {"20 labels", "all labels"}
    assert set(one.pairs) == {4}  # two folds of two seeds
    transfer = pd.read_csv(made / "transfer.csv")
    assert set(transfer.species) == {"cousin-1"}
    assert len(transfer) == 2 * 2 * 2 * 5  # budgets, seeds, folds, models
    shared = {path.name for path in (folder / "runs" / "answer-0").iterdir()}  # by the budgets
    assert shared == {"pretrain", "encoders"}


def test_the_benchmark_of_objectives_measures_every_way_that_the_windows_allow(
    run: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    objectives = importlib.import_module("objectives")
    monkeypatch.setattr(objectives, "SEEDS", 1)
    settings = ("--data.name=objectives", "--split.pretraining=2", "--pretrain.contrast.steps=2")
    run(prepare, "exp2", *settings)
    capsys.readouterr()
    run(objectives, "exp2", *settings)
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert head == "| contrast of, beside MLM | SCCS | NMI | AUROC donor | AUROC acceptor | MLM loss |"
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    found = {name: [score.split(" ± ") for score in scores] for name, *scores in cells}
    assert list(found) == [
        "BASELINE", "MLM alone", "dropout", "shift of 5 nt", "10 % mutated", "labels", "labels, 10 % mutated",
        "labels without MLM",
    ]  # fmt: skip
    assert all(spread == "0.000" for cells in found.values() for _, spread in cells)
    assert all(0 <= float(auroc) <= 1 for cells in found.values() for auroc, _ in cells[2:4])
    assert all(float(scores[-1][0]) > 0 for scores in found.values())
