"""The whole path through the shell scripts, on a copy of the checkout, with the smallest configuration."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import AutoModelForMaskedLM, AutoTokenizer

from simcsp.command_line import parse_config
from simcsp.planning.work import folds, phases
from simcsp.storage import sha256
from simcsp.training.dashboard import OVERVIEW, tag_of
from simcsp.training.log import read_metrics

ROOT = Path(__file__).resolve().parents[1]
CONFIG = "tests/configs/tiny.yaml"
MODELS = ("baseline", "best_sccs", "best_nmi", "random")

pytestmark = pytest.mark.slow


def checkout(target: Path) -> Path:
    """A copy of the checkout without anything it has produced."""
    skipped = shutil.ignore_patterns(
        ".git", ".venv", ".*_cache", "__pycache__", "prepared", "simulated", "cache", "raw", "docs"
    )
    shutil.copytree(ROOT, target, ignore=skipped, symlinks=True)
    shutil.rmtree(target / "runs")
    return target


def command(folder: Path, script: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
    environment = {**os.environ, "PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)
    return ["bash", str(folder / script), *arguments], environment


def run(folder: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    words, environment = command(folder, script, *arguments)
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False)


def run_to_the_end(folder: Path, script: str) -> None:
    done = run(folder, script, CONFIG)
    assert done.returncode == 0, done.stderr


def stop_when(folder: Path, script: str, reached: Callable[[], bool], number: signal.Signals) -> int:
    """Start a shell script and give its exit status after a signal once ``reached``; SIGKILL hits its stage, too."""
    words, environment = command(folder, script, CONFIG)
    with subprocess.Popen(
        words, env=environment, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while not reached():
            assert process.poll() is None, "the script ended before it could be stopped"
            time.sleep(0.01)
        (os.killpg if number is signal.SIGKILL else os.kill)(process.pid, number)
        return process.wait()


def numbers(folder: Path) -> dict[str, object]:
    """Everything that must not depend on interruptions: metrics of all stages, and weights."""
    tiny = folder / "runs" / "tiny"
    curves = {
        str(path.relative_to(tiny)): [
            {name: value for name, value in json.loads(line).items() if not name.startswith("speed/")}
            for line in path.read_text().splitlines()
        ]
        for path in sorted(tiny.rglob("metrics.jsonl"))
    }
    weights = {str(path.relative_to(tiny)): sha256(path) for path in sorted(tiny.rglob("*.safetensors"))}
    return {**curves, **weights, "report": json.loads((tiny / "report" / "metrics.json").read_text())}


def differing(folder: Path, finished: Path) -> list[str]:
    """Names of the numbers in which a run is not the undisturbed one."""
    found, expected = numbers(folder), numbers(finished)
    return [name for name in {**expected, **found} if found.get(name) != expected.get(name)]


# --- faults at chosen moments ------------------------------------------------------------------------------------

STAGES = ("prepare", "pretrain", "embed", "finetune", "evaluate", "report")
# Stage, the function in which the fault happens, and the number of its moments to draw from; see tests/faults.py. In
# this order every process of a stage comes to its function, however far the one before it came.
MOMENTS = (
    ("prepare", "write_genomes", 10),
    ("prepare", "write_corpus", 2000),
    ("prepare", "_tables", 2000),
    ("prepare", "save_windows", 2),
    ("prepare", "close_stage", 20),
    ("pretrain", "load_encoder", 5),
    ("pretrain", "train_step", 20),
    ("pretrain", "measure_and_select", 100),
    ("pretrain", "write_checkpoint", 70),
    ("pretrain", "prune_checkpoints", 5),
    ("pretrain", "write_model", 40),
    ("pretrain", "train_step", 20),
    ("pretrain", "write_checkpoint", 70),
    ("pretrain", "close_stage", 100),
    ("finetune", "embed", 10),
    ("finetune", "train_step", 20),
    ("finetune", "measure_and_select", 50),
    ("finetune", "write_model", 40),
    ("finetune", "write_checkpoint", 70),
    ("finetune", "write_predictions", 3),
    ("finetune", "_write_embeddings", 2),
    ("finetune", "close_stage", 30),
    ("embed", "_score_encoder", 300),
    ("evaluate", "_fold_scores", 300),
    ("evaluate", "close_stage", 8),
    ("report", "against_baseline", 20),
    ("report", "_figures", 25),
    ("report", "markdown_report", 10),
)


@contextmanager
def stage_runner(folder: Path) -> Iterator[Callable[..., tuple[int, str]]]:
    """``run(stage, fault, function, moment)`` in a checkout: exit status and standard error."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_THREADING_LAYER": "workqueue"}  # others do not fork
    environment.pop("PYTHONPATH", None)
    words = [sys.executable, "tests/faults.py"]
    with subprocess.Popen(
        words, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:

        def call(stage: str, fault: str = "none", place: str = "", moment: int = 0) -> tuple[int, str]:
            request = {"stage": stage, "config": CONFIG, "fault": fault, "place": place, "moment": moment}
            assert process.stdin is not None
            assert process.stdout is not None
            print(json.dumps(request), file=process.stdin, flush=True)
            answer = json.loads(process.stdout.readline())
            return answer["status"], answer["stderr"]

        yield call
        assert process.stdin is not None
        process.stdin.close()


def half_written(folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob("*") if path.name.endswith((".partial", ".old"))]


class Met(NamedTuple):
    """How a stage took a fault, and what it left half written."""

    what: str
    status: int
    stderr: str
    half_written: list[str]


def meet_faults(folder: Path, seed: int, faults: tuple[str, ...]) -> list[Met]:
    """Let every stage meet these faults in turn, once per function of MOMENTS, then end."""
    rng = np.random.default_rng(seed)
    met = []
    with stage_runner(folder) as run_stage:
        for stage in STAGES:
            for number, (_, place, moments) in enumerate(moment for moment in MOMENTS if moment[0] == stage):
                fault = faults[number % len(faults)]
                moment = int(rng.integers(moments)) + 1
                status, stderr = run_stage(stage, fault, place, moment)
                left = half_written(folder / "runs") + half_written(folder / "data")
                met.append(Met(f"{fault} in {stage}, {place}, moment {moment}", status, stderr, left))
            status, stderr = run_stage(stage)
            assert status == 0, stderr
    return met


# --- the runs that the tests look at ------------------------------------------------------------------------------


def undisturbed(folder: Path) -> None:
    run_to_the_end(folder, "pretrain.sh")
    run_to_the_end(folder, "finetune.sh")


def scripts_stopped(folder: Path) -> list[int]:
    """Exit statuses of the scripts that were killed, stopped and killed."""
    pretraining, finetuning = (folder / "runs" / "tiny" / stage for stage in ("pretrain", "finetune"))
    statuses = []
    for sign, number in (
        (pretraining / "phase-baseline" / "checkpoint-5", signal.SIGKILL),
        (pretraining / "phase-contrast" / "metrics.jsonl", signal.SIGTERM),
    ):
        statuses.append(stop_when(folder, "pretrain.sh", sign.exists, number))
    run_to_the_end(folder, "pretrain.sh")
    sign = finetuning / "baseline" / "fold-1" / "metrics.jsonl"
    statuses.append(stop_when(folder, "finetune.sh", sign.exists, signal.SIGKILL))
    run_to_the_end(folder, "finetune.sh")
    return statuses


def stages_killed(folder: Path) -> list[Met]:
    return meet_faults(folder, 0, ("kill",))


def stages_stopped(folder: Path) -> list[Met]:
    return meet_faults(folder, 1, ("full", "SIGTERM", "full", "SIGINT"))


Job = Callable[[Path], Any]
Ended = Callable[[Job], tuple[Path, Any]]


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ended]:
    """``ended(job)``: the checkout in which a job has run, and what it gave; two go on at a time, each on one core."""
    folder = tmp_path_factory.mktemp("pipeline")
    with ThreadPoolExecutor(2) as pool:
        jobs: tuple[Job, ...] = (undisturbed, stages_killed, stages_stopped, scripts_stopped)
        started = {job: pool.submit(job, checkout(folder / job.__name__)) for job in jobs}
        yield lambda job: (folder / job.__name__, started[job].result())
        pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="module")
def finished(ended: Ended) -> Path:
    """A checkout in which both scripts have run undisturbed."""
    folder, _ = ended(undisturbed)
    return folder


# --- the tests ----------------------------------------------------------------------------------------------------


def test_the_run_folder_holds_what_the_readme_promises(finished: Path) -> None:
    tiny = finished / "runs" / "tiny"
    assert {path.name for path in tiny.iterdir()} == {"pretrain", "encoders", "finetune", "evaluation", "report"}
    assert {path.name for path in (tiny / "report").iterdir()} == {
        "report.md", "report.html", "metrics.json", "folds.csv", "comparisons.csv", "pretraining.csv", "layers.csv",
        "f1.png", "pretraining.png", "umap.png", "curves.png", "layers.png",
    }  # fmt: skip
    for model in MODELS:
        for fold in (0, 1):
            names = {path.name for path in (tiny / "finetune" / model / f"fold-{fold}").iterdir()}
            assert {"best", "predictions.parquet", "test_embeddings.npz", "metrics.jsonl", "done.json"} <= names
            assert not any(name.startswith("checkpoint-") for name in names)


def test_the_plan_of_a_run_is_what_it_logs(finished: Path) -> None:
    tiny, config = finished / "runs" / "tiny", parse_config("", ["--config", str(ROOT / CONFIG)])
    sizes = json.loads((finished / "data" / "prepared" / "tiny" / "manifest.json").read_text())["split"]

    def last_step(folder: Path) -> int:
        return int(json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])["step"])

    for phase in phases(config):
        folder = tiny / "pretrain" / f"phase-{phase.name}"
        assert last_step(folder) == phase.steps
        records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        assert sum("validation/sccs" in record for record in records) == phase.measurements
    for number, fold in enumerate(folds(config, sizes["windows per part"])):
        assert last_step(tiny / "finetune" / "baseline" / f"fold-{number}") == fold.steps


def test_a_dry_run_leaves_a_finished_run_as_it_was(finished: Path) -> None:
    files = (path for folder in ("runs", "data") for path in sorted((finished / folder).rglob("*")) if path.is_file())
    before = {path: sha256(path) for path in files}
    done = run(finished, "finetune.sh", CONFIG, "--dry-run")
    assert done.returncode == 0, done.stderr
    states = [line.split()[1] for line in done.stdout.splitlines() if re.match("  [a-z]", line)]
    assert states == ["finished"] * 5 + ["to"]
    assert all(sha256(path) == digest for path, digest in before.items())


def test_metrics_json_has_folds_means_and_comparisons(finished: Path) -> None:
    metrics = json.loads((finished / "runs" / "tiny" / "report" / "metrics.json").read_text())
    assert list(metrics) == [*MODELS, "logistic_regression"]
    for model in MODELS:
        assert len(metrics[model]["folds"]) == 2
        for scores in (*metrics[model]["folds"], metrics[model]["mean"]):
            assert {"f1", "auroc", "average_precision", "sccs", "nmi"} <= set(scores)
    assert set(metrics["best_sccs"]["against_baseline"]["f1"]) == {
        "difference", "interval", "p", "p_holm", "detectable_difference", "effect_size", "interval_over_windows",
    }  # fmt: skip
    assert not metrics["baseline"]["against_baseline"]


@pytest.mark.parametrize("name", ["baseline", "best_sccs", "best_nmi"])
def test_checkpoints_open_with_plain_transformers(finished: Path, name: str) -> None:
    folder = finished / "runs" / "tiny" / "pretrain" / name
    model = AutoModelForMaskedLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert model.config.vocab_size == 10
    assert tokenizer("ACGTN")["input_ids"] == [2, 6, 7, 8, 9, 5, 3]


def test_tensorboard_shows_what_metrics_jsonl_says(finished: Path) -> None:
    folder = finished / "runs" / "tiny" / "pretrain" / "phase-contrast"
    events = EventAccumulator(str(folder)).Reload()
    assert set(events.Tags()["scalars"]) == {tag_of(name) for record in read_metrics(folder) for name in record} - {
        "step"
    }
    assert {tag.split("/")[0] for tag in events.Tags()["scalars"]} == {
        "at a glance", "clusters", "contrast", "embedding", "masked language model", "optimiser", "speed",
    }  # fmt: skip
    assert [event.step for event in events.Images("umap/layer 1 by label")] == [0, 10, 20]
    assert (folder / "projector_config.pbtxt").exists()
    for stage in ("pretrain", "finetune"):
        shown = EventAccumulator(str(finished / "runs" / "tiny" / stage / OVERVIEW)).Reload()
        assert shown.Tags()["tensors"] == ["settings/text_summary", "custom_scalars__config__"]
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    logged = [record["validation/sccs"] for record in records if "validation/sccs" in record]
    assert [event.value for event in events.Scalars("at a glance/SCCS")] == pytest.approx(logged)


def test_a_second_call_changes_nothing(finished: Path) -> None:
    before = numbers(finished)
    done = run(finished, "pretrain.sh", CONFIG)
    assert done.returncode == 0
    assert done.stdout.count("is complete") == 3
    assert numbers(finished) == before


def test_other_settings_in_the_same_run_are_refused_by_name(finished: Path) -> None:
    before = numbers(finished)
    done = run(finished, "pretrain.sh", CONFIG, "--pretrain.contrast.learning_rate", "0.5")
    assert done.returncode == 1
    assert "settings.pretrain.contrast.learning_rate was 0.001, now 0.5" in done.stderr
    assert "Traceback" not in done.stderr
    assert numbers(finished) == before


def test_scripts_stopped_and_killed_end_in_the_same_numbers(finished: Path, ended: Ended) -> None:
    folder, statuses = ended(scripts_stopped)
    assert statuses == [-signal.SIGKILL, 130, -signal.SIGKILL]
    assert differing(folder, finished) == []


def test_every_stage_killed_at_random_moments_ends_in_the_same_numbers(finished: Path, ended: Ended) -> None:
    folder, met = ended(stages_killed)
    assert len(met) >= 20
    assert [one.what for one in met if one.status != -signal.SIGKILL] == []
    assert differing(folder, finished) == []
    assert half_written(folder / "runs") == []


def test_stopped_stages_and_full_disks_say_so_in_one_line_and_end_in_the_same_numbers(
    finished: Path, ended: Ended
) -> None:
    folder, met = ended(stages_stopped)
    for what, status, stderr, left in met:
        last = re.split("[\r\n]+", stderr.strip())[-1]
        assert "Traceback" not in stderr, f"{what}: {stderr}"
        if what.startswith("full"):
            wanted = (
                "error: Nothing more can be written (File too large). Free some space and run the same command again."
            )
            assert (what, status, last) == (what, 1, wanted)
        else:
            wanted = "Interrupted. Run the same command again to go on from what is finished."
            assert (what, status, last) == (what, 130, wanted)
        assert left == [], what
    assert differing(folder, finished) == []


def test_parallel_folds_killed_and_stopped_end_in_the_numbers_of_one_after_the_other(
    finished: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(finished, tmp_path / "simcsp")
    models = folder / "runs" / "tiny" / "finetune"
    shutil.rmtree(models)
    words = [sys.executable, "src/finetune.py", "--config", CONFIG, "--finetune.parallel", "2"]
    moments = (("baseline/fold-1/metrics.jsonl", signal.SIGKILL), ("best_nmi/fold-0/best", signal.SIGTERM))
    for sign, number in moments:
        with subprocess.Popen(
            words, cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL
        ) as process:
            while not (models / sign).exists():
                assert process.poll() is None, "it ended before it could be stopped"
                time.sleep(0.01)
            process.send_signal(number)  # to the first process only
            assert process.wait() == (130 if number is signal.SIGTERM else -signal.SIGKILL)
    subprocess.run(words, cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True)
    found, expected = (numbers(place) for place in (folder, finished))
    names = [name for name in expected if name.startswith("finetune/")]
    assert len(names) == 8 * 3
    assert [name for name in names if found.get(name) != expected[name]] == []
    predicted = [sorted((place / "runs/tiny/finetune").rglob("predictions.parquet")) for place in (folder, finished)]
    assert len(predicted[0]) == 10
    assert [sha256(path) for path in predicted[0]] == [sha256(path) for path in predicted[1]]
    assert not list(models.rglob("*checkpoint-*"))


@pytest.mark.parametrize(
    ("name", "pictures"),
    [("explore_embeddings.ipynb", 4), ("compare_runs.ipynb", 2)],
)
def test_a_notebook_runs_from_a_clean_kernel_on_the_finished_run(
    finished: Path, monkeypatch: pytest.MonkeyPatch, name: str, pictures: int
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(finished / "src"))  # of the kernel
    monkeypatch.setenv("SIMCSP_RUN", "tiny")
    monkeypatch.setenv("SIMCSP_RUNS", "tiny")
    notebook = nbformat.read(ROOT / "notebooks" / name, as_version=4)  # type: ignore[no-untyped-call]
    assert not any(cell.get("outputs") for cell in notebook.cells), "notebooks are committed without output"
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(finished / "notebooks")}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    assert len([output for output in outputs if "image/png" in output.get("data", {})]) == pictures
