from __future__ import annotations

import pickle
from collections import Counter
from dataclasses import replace
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tqdm import tqdm

from simcsp import runs
from simcsp.config import PRETRAINED, DataConfig, EncoderConfig, FinetuneConfig, RunConfig, SplitConfig
from simcsp.datasets.windows import WindowTable, save_windows, window_table
from simcsp.model.embedding import embed
from simcsp.model.encoder import load_encoder, random_encoder, save_checkpoint
from simcsp.planning import work as planned_work
from simcsp.sequence.alphabet import A, G, T
from simcsp.stages import stage_folder
from simcsp.training import finetuning
from simcsp.training.cross_validation import CrossValidation, FoldJob
from simcsp.training.workers import run_jobs

if TYPE_CHECKING:
    from pathlib import Path

    from accelerate import Accelerator

LENGTH, WINDOWS = 20, 100
SELECTION = 4  # the part that is in neither of two folds
CONFIG = RunConfig(
    run="r",
    precision="fp32",
    data=DataConfig(window=LENGTH),
    split=SplitConfig(folds=2),
    encoder=EncoderConfig(hidden=16, layers=1, heads=2, intermediate=32, local_attention=8),
    finetune=FinetuneConfig(epochs=3, patience=1, batch_size=8, learning_rate=0.02),
)
FROZEN = replace(CONFIG, finetune=replace(CONFIG.finetune, frozen=True))


def make_table() -> WindowTable:
    """Random windows; half of them have GT at the centre. Every part has all four kinds."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(A, A + 4, size=(WINDOWS, LENGTH), dtype=np.uint8)
    label = (np.arange(WINDOWS) // 2 % 2).astype(np.uint8)
    tokens[label == 1, LENGTH // 2 - 1 : LENGTH // 2 + 1] = G, T
    names = [str(row) for row in range(WINDOWS)]
    site_type = (np.arange(WINDOWS) % 2).astype(np.uint8)
    table = window_table(tokens, label=label, site_type=site_type, species="x", group=names, origin=names)
    return table._replace(part=(np.arange(WINDOWS) % 5).astype(np.int8))


TABLE = make_table()
IN_FOLDS = np.flatnonzero(TABLE.part != SELECTION)


@pytest.fixture(autouse=True)
def pretrained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prepared windows and three encoders that differ."""
    monkeypatch.setattr(runs, "ROOT", tmp_path)
    save_windows(TABLE, stage_folder(CONFIG, "prepare") / "windows")
    for seed, name in enumerate(PRETRAINED):
        save_checkpoint(load_encoder(CONFIG.encoder, LENGTH + 2, seed), stage_folder(CONFIG, "pretrain") / name)


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[bytes, bytes]]:
    """How often an encoder, known by its weights, has embedded a window outside of training and prediction."""
    count: Counter[tuple[bytes, bytes]] = Counter()

    def counting(encoder: Any, windows: Any, **rest: Any) -> Any:
        (weights, *_) = encoder.parameters()
        count.update((weights.detach().numpy().tobytes(), window.tobytes()) for window in windows)
        return embed(encoder, windows, **rest)

    monkeypatch.setattr(finetuning, "embed", counting)
    return count


def do(work: CrossValidation, jobs: list[FoldJob]) -> int:
    """Do jobs; gives the steps that the bar counted."""
    with tqdm(file=StringIO()) as bar:
        run_jobs(jobs, work, 1, bar)
    return int(bar.n)


def test_jobs_are_all_folds_of_all_initialisations_in_order() -> None:
    work = CrossValidation(CONFIG)
    assert [str(job) for job in work.jobs[:3]] == ["baseline, fold 1", "baseline, fold 2", "best_sccs, fold 1"]
    assert len(work.jobs) == len(set(work.jobs)) == 8
    assert work.left() == work.jobs


def test_finished_folds_are_not_repeated_and_lose_what_a_kill_left_of_their_checkpoints() -> None:
    work = CrossValidation(CONFIG)
    folder = work.fold_folder("baseline", 1)
    for name in ("checkpoint-3", ".checkpoint-2.partial", "best"):
        (folder / name).mkdir(parents=True)
        (folder / name / "file").touch()
    assert work.left() == work.jobs
    assert {path.name for path in folder.iterdir()} == {"checkpoint-3", ".checkpoint-2.partial", "best"}
    runs.close_stage(folder, {})
    assert work.left() == [job for job in work.jobs if job != ("baseline", 1)]
    assert {path.name for path in folder.iterdir()} == {"best", runs.DONE}


def test_killed_before_the_checkpoints_are_deleted_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    work, job = CrossValidation(CONFIG), FoldJob("baseline", 0)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(work, "_clean", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        do(work, [job])
    folder = work.fold_folder(*job)
    done = (folder / runs.DONE).stat().st_mtime_ns
    assert list(folder.glob("checkpoint-*"))
    assert job not in work.left()
    assert not list(folder.glob("checkpoint-*"))
    assert (folder / runs.DONE).stat().st_mtime_ns == done


def test_another_process_gets_the_same_work() -> None:
    work = CrossValidation(CONFIG)
    received = pickle.loads(pickle.dumps(work))
    assert len(pickle.dumps(work)) < 10_000  # the windows stay where they are
    assert received.jobs == work.jobs
    assert (received.table.tokens == TABLE.tokens).all()
    assert all((one.test == other.test).all() for one, other in zip(received.folds, work.folds, strict=True))


def test_few_validation_windows_are_drawn_from_those_of_the_fold_and_the_rest_stays() -> None:
    few = CrossValidation(replace(CONFIG, finetune=replace(CONFIG.finetune, validation=7)))
    assert few.folds[0].validation.tolist() != few.folds[1].validation.tolist()
    for drawn, whole in zip(few.folds, CrossValidation(CONFIG).folds, strict=True):
        assert len(set(drawn.validation.tolist())) == 7
        assert set(drawn.validation.tolist()) < set(whole.validation.tolist())
        assert (drawn.train == whole.train).all()
        assert (drawn.test == whole.test).all()


def test_every_window_is_embedded_once_by_each_encoder(embedded: Counter[tuple[bytes, bytes]]) -> None:
    work = CrossValidation(CONFIG)
    jobs = [job for job in work.jobs if job.name in {"baseline", "best_sccs"}]
    assert do(work, jobs) == work.steps(jobs)
    assert set(embedded.values()) == {1}
    assert list(Counter(weights for weights, _ in embedded).values()) == 2 * [len(IN_FOLDS)]
    assert {window for _, window in embedded} == {window.tobytes() for window in TABLE.tokens[IN_FOLDS]}


def test_frozen_encoders_embed_every_window_once_for_all_folds(embedded: Counter[tuple[bytes, bytes]]) -> None:
    work = CrossValidation(FROZEN)
    work.embed(work.left())
    assert set(embedded.values()) == {1}
    assert len(embedded) == 5 * len(IN_FOLDS)  # three encoders, and a random one for each fold
    assert len(embedded) == planned_work.embedded(FROZEN, planned_work.folds(FROZEN, np.bincount(TABLE.part).tolist()))
    assert {window for _, window in embedded} == {window.tobytes() for window in TABLE.tokens[IN_FOLDS]}
    before = dict(embedded)
    do(work, work.jobs)
    CrossValidation(FROZEN).embed(work.jobs)
    assert dict(embedded) == before
    assert work.left() == []
    work.forget_embeddings()
    assert not list(work.folder.rglob("embeddings.npy"))


def test_frozen_encoders_of_finished_folds_embed_nothing(embedded: Counter[tuple[bytes, bytes]]) -> None:
    work = CrossValidation(FROZEN)
    for job in work.jobs:
        if job != ("random", 1):
            runs.close_stage(work.fold_folder(*job), {})
    work.embed(work.left())
    assert len(embedded) == len(IN_FOLDS)


def test_frozen_random_start_is_another_one_in_every_fold(accelerator: Accelerator) -> None:
    work = CrossValidation(FROZEN)
    jobs = [FoldJob("random", fold) for fold in (0, 1)]
    work.embed(jobs)
    do(work, jobs)
    stored = [np.load(work.fold_folder(*job) / runs.EMBEDDINGS)["before"] for job in jobs]
    for fold, vectors in enumerate(stored):
        seed = int(np.random.SeedSequence([CONFIG.seed, fold]).generate_state(1)[0])
        encoder = random_encoder(stage_folder(CONFIG, "pretrain") / "baseline", dropout=0.1, seed=seed)
        windows = TABLE.tokens[work.folds[fold].test]
        assert vectors == pytest.approx(
            embed(encoder, windows, pooling="site", layer=-1, accelerator=accelerator), abs=1e-6
        )
