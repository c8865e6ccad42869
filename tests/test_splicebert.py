"""From a genome, sites and weights to the table, on a small BERT."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import splicebert
from simcsp import runs
from simcsp.config import EncoderConfig
from simcsp.errors import InputError
from simcsp.metrics.nmi import Nmi, nmi
from simcsp.model.encoder import load_encoder, save_checkpoint
from simcsp.splicebert import rows

SPACING = 300


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A contig with a site or decoy every 300 nt, on both strands, and a BERT for 512 tokens."""
    rng = np.random.default_rng(0)
    letters = rng.choice(list("ACGT"), 200 * SPACING)
    lines = []
    for number in range(2, 198):
        at, strand, kind = number * SPACING, "+-"[number % 2], ("donor", "acceptor")[number // 2 % 2]
        true = number // 4 % 2
        pair = {"donor": "GT", "acceptor": "AG"}[kind]
        if true:  # something to find
            letters[at - 20 : at + 20] = "C" if kind == "donor" else "T"
        forward = pair if strand == "+" else pair.translate(str.maketrans("ACGT", "TGCA"))[::-1]
        letters[at : at + 2] = list(forward)
        label = f"{pair}({'' if true else 'non-'}{kind})"
        lines.append(f"chr1\t{at}\t{at + 2}\tgene|{label}\tx\t{strand}")
    (tmp_path / "genome.fa").write_text(">chr1\n" + "".join(letters) + "\n")
    (tmp_path / "sites.bed").write_text("\n".join(lines) + "\n")
    for site in ("donor", "acceptor"):
        windows = ["".join(rng.choice(list("ACGT"), 600)) for _ in range(40)]
        pair = {"donor": "GT", "acceptor": "AG"}[site]
        positives = [f"P{row}_x;{text[:300]}{pair}{text[302:]}" for row, text in enumerate(windows[:20])]
        negatives = [f"N{row}_x;{row};{text[:300]}{pair}{text[302:]};FP" for row, text in enumerate(windows[20:])]
        (tmp_path / f"POS_{site}_600.csv").write_text("\n".join(positives) + "\n")
        (tmp_path / f"NEG_600_{site}.csv").write_text("\n".join(negatives) + "\n")
    small = EncoderConfig(architecture="bert", hidden=16, layers=2, heads=2, intermediate=32)
    (tmp_path / "bert").mkdir()
    save_checkpoint(load_encoder(small, 512, seed=1), tmp_path / "bert")
    monkeypatch.setattr(runs, "ROOT", tmp_path)
    monkeypatch.setattr(splicebert, "_CACHE", tmp_path / "cache")
    return tmp_path


def call(files: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> None:
    words = ["--sites", str(files / "sites.bed"), "--fasta", str(files / "genome.fa"), *more]
    monkeypatch.setattr(sys, "argv", ["splicebert.py", *words])
    splicebert.main()


def test_every_layer_and_flank_is_measured_by_both_recipes(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call(files, monkeypatch, "--weights", str(files / "bert"), "--spliceator", str(files), "--run", "all")
    folder = files / "runs" / "all" / "splicebert"
    table = pd.read_csv(folder / "table.csv")
    assert table.groupby("model", sort=False).size().tolist() == [10, 6]
    assert set(table.recipe) == {"published", "corrected"}
    values = table[["donor", "acceptor"]].to_numpy()
    assert ((values >= 0) & (values <= 1)).all()
    page = (folder / "table.md").read_text()
    assert f"| {files / 'bert'} | published | " in page.partition("on Spliceator's windows")[2]
    assert "These are 196 sites on an unknown assembly, not the 20,000 on hg19" in page
    files_left = {path.name for path in folder.iterdir()}
    assert files_left == {"table.csv", "table.md", "table.html", runs.RECORD, runs.DONE, ".lock"}


def test_what_is_measured_is_kept_for_the_next_start(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "nmi", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        call(files, monkeypatch, "--weights", "--run", "later")
    asked: list[int] = []
    limit = 3

    def counted(*arguments: Any, **named: Any) -> Nmi:
        if len(asked) == limit:
            raise KeyboardInterrupt
        asked.append(1)
        return nmi(*arguments, **named)

    monkeypatch.setattr(runs, "lock", lambda folder: folder.mkdir(parents=True, exist_ok=True))  # as a new process
    monkeypatch.setattr(rows, "nmi", counted)
    with pytest.raises(KeyboardInterrupt):
        call(files, monkeypatch, "--weights", "--run", "later")
    limit = 100
    call(files, monkeypatch, "--weights", "--run", "later")
    assert len(asked) == 10
    pieces = files / "runs" / "later" / "splicebert" / "pieces"
    assert not pieces.exists()
    pieces.mkdir()  # as if killed before they were gone
    call(files, monkeypatch, "--weights", "--run", "later")
    assert not pieces.exists()


def test_no_two_models_share_what_is_kept(tmp_path: Path) -> None:
    names = ("a/bert", "a_bert", "a%2Fbert", "one-hot", "model-one-hot")
    folders = {rows._folder_of(name, tmp_path) for name in names}
    assert len(folders - {tmp_path / "one-hot"}) == len(names)
    assert {folder.parent for folder in folders} == {tmp_path}


def test_a_missing_file_is_named(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (files / "sites.bed").unlink()
    with pytest.raises(InputError, match=r"sites\.bed: no such file"):
        call(files, monkeypatch, "--weights")
