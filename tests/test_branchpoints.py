"""From a genome, branch points and weights to the table, on a small BERT."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

import branchpoints
from simcsp import runs
from simcsp.config import EncoderConfig
from simcsp.errors import InputError
from simcsp.model.encoder import load_encoder, save_checkpoint
from simcsp.training.devices import make_accelerator

SPACING, CONTIGS = 100, 3


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three contigs with a region every 100 nt, on both strands; its A of TACTAAC is the branch point."""
    rng = np.random.default_rng(0)
    genome, rows = [], []
    for contig in (f"chr{number}" for number in range(1, CONTIGS + 1)):
        letters = rng.choice(list("ACGT"), 13 * SPACING)
        for number in range(1, 12):
            start, at, strand = number * SPACING, int(rng.integers(7, 20)), "+-"[number % 2]
            motif = "TACTAAC" if strand == "+" else "GTTAGTA"
            first = at - 5 if strand == "+" else at - 1
            letters[start + first : start + first + 7] = list(motif)
            labels = ["0"] * 27
            labels[at] = "1"
            rows.append(f"{contig}\t{start}\t{start + 27}\tx|A\t{','.join(labels)}\t{strand}")
        genome.append(f">{contig}\n{''.join(letters)}\n")
    (tmp_path / "genome.fa").write_text("".join(genome))
    (tmp_path / "points.bed").write_text("\n".join(rows) + "\n")
    small = EncoderConfig(architecture="bert", hidden=16, layers=1, heads=2, intermediate=32)
    (tmp_path / "bert").mkdir()
    save_checkpoint(load_encoder(small, 62, seed=1), tmp_path / "bert")
    monkeypatch.setattr(runs, "ROOT", tmp_path)
    monkeypatch.setattr(branchpoints, "_CACHE", tmp_path / "cache")
    monkeypatch.setattr(branchpoints, "make_accelerator", lambda _: make_accelerator("fp32"))  # one per process
    return tmp_path


def call(files: Path, monkeypatch: pytest.MonkeyPatch, *weights: str) -> None:
    given = ["--fasta", str(files / "genome.fa"), "--branch-points", str(files / "points.bed"), "--run", "tiny"]
    small = ["--window", "60", "--folds", "3", "--epochs", "1", "--learning-rate", "1e-3"]
    monkeypatch.setattr(sys, "argv", ["branchpoints.py", *given, *small, "--weights", *weights])
    branchpoints.main()


def test_every_fold_is_scored_as_scikit_learn_does_and_a_killed_run_goes_on(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        runs, "lock", lambda folder: folder.mkdir(parents=True, exist_ok=True)
    )  # one process, three runs
    call(files, monkeypatch, str(files / "bert"), "random")
    folder = files / "runs" / "tiny" / "branchpoints"
    assert "33 branch points among 891 nucleotides of 33 introns on 3 contigs" in capsys.readouterr().out
    scores = pd.read_csv(folder / "scores.csv").set_index(["model", "fold"])
    assert len(scores) == 3 * 3
    for model, name in (("random", "random"), ("logistic%20regression", "logistic regression")):
        tested = []
        for fold in range(3):
            found = pd.read_parquet(folder / f"model-{model}" / f"fold-{fold}" / "predictions.parquet")
            row = scores.loc[(name, fold)]
            assert row.average_precision == pytest.approx(average_precision_score(found.label, found.probability))
            assert row.auroc == pytest.approx(roc_auc_score(found.label, found.probability))
            assert row.f1 == pytest.approx(f1_score(found.label, found.probability > 0.5))
            assert (found.distance.min(), found.distance.max()) == (18, 44)
            tested += found.origin.unique().tolist()
        assert len(tested) == len(set(tested)) == 33  # every intron in one test part
    assert not list(folder.glob("*/fold-*/checkpoint-*"))

    before = (folder / "scores.csv").read_text()
    for path in (folder / runs.DONE, folder / "model-random" / "fold-2" / runs.DONE):
        path.unlink()
    (folder / "model-random" / "fold-2" / "predictions.parquet").unlink()
    call(files, monkeypatch, str(files / "bert"), "random")
    assert (folder / "scores.csv").read_text() == before
    call(files, monkeypatch, str(files / "bert"), "random")
    assert "table.md is complete" in capsys.readouterr().out


def test_random_alone_has_no_architecture(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="random weights need an architecture"):
        call(files, monkeypatch, "random")


def test_another_assembly_is_named_and_leaves_nothing(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = files / "points.bed"
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    path.write_text("".join("\t".join([c, str(int(s) + 3), str(int(e) + 3), *more]) + "\n" for c, s, e, *more in rows))
    with pytest.raises(InputError, match=r"branch points are A in .*genome\.fa, where most should be"):
        call(files, monkeypatch, str(files / "bert"))
    assert not (files / "runs" / "tiny").exists()
