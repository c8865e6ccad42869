"""From a table of variants and a genome to scores, on a small BERT."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import variants
from simcsp import runs, storage
from simcsp.config import EncoderConfig
from simcsp.errors import InputError
from simcsp.model.encoder import load_encoder, save_checkpoint
from simcsp.model.zero_shot import Effects, variant_effects


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    letters = np.random.default_rng(0).choice(list("ACGT"), 2000)
    (tmp_path / "genome.fa").write_text(f">chr1\n{''.join(letters)}\n")
    rows = ["contig\tposition\tref\talt\texon_start\texon_end\tstrand\tlabel"]
    for at in range(860, 920):
        alt = "ACGT"[("ACGT".index(letters[at]) + 1) % 4]
        rows.append(f"chr1\t{at + 1}\t{letters[at]}\t{alt}\t880\t910\t+\t{at % 2}")
    (tmp_path / "table.tsv").write_text("\n".join(rows) + "\n")
    small = EncoderConfig(architecture="bert", hidden=16, layers=2, heads=2, intermediate=32)
    (tmp_path / "bert").mkdir()
    save_checkpoint(load_encoder(small, 260, seed=1), tmp_path / "bert")
    monkeypatch.setattr(variants, "_CACHE", tmp_path / "cache")
    monkeypatch.setattr(variants, "_PIECE", 25)
    monkeypatch.setattr(runs, "lock", lambda folder: folder.mkdir(parents=True, exist_ok=True))
    return tmp_path


def call(files: Path, monkeypatch: pytest.MonkeyPatch, *form: str) -> None:
    words = [*form, "--fasta", str(files / "genome.fa"), "--weights", str(files / "bert"), "--window", "258"]
    monkeypatch.setattr(sys, "argv", ["variants.py", *words, "--target", str(files / "out.tsv")])
    variants.main()


def test_a_table_gets_scores_and_average_precision(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call(files, monkeypatch, "table", str(files / "table.tsv"))
    table = pd.read_csv(files / "out.tsv", sep="\t")
    assert len(table) == 60
    assert table[["delta_p", "kl_donor", "kl_acceptor", "kl"]].notna().all(axis=None)
    assert table.kl_context.notna().sum() == 54  # those with 100 nt of the window on either side
    assert table.at_site.sum() == 4
    np.testing.assert_allclose(table.kl, table.kl_donor + table.kl_acceptor)
    printed = capsys.readouterr().out
    assert "table.tsv: 60 variants read, 60 kept" in printed
    assert "without sites, share of label 1: 0.500" in printed
    assert not (files / "out.tsv.pieces").exists()
    beside = storage.read_json(files / "out.tsv.json")
    assert beside["inputs"][str(files / "genome.fa")] == storage.sha256(files / "genome.fa")
    assert {"version", "settings", "environment", "read"} <= set(beside)
    assert beside["inputs"]["device"]


def test_a_missing_label_is_counted(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (files / "table.tsv").read_text().splitlines()
    (files / "table.tsv").write_text("\n".join([*lines[:-1], lines[-1][:-1]]) + "\n")
    call(files, monkeypatch, "table", str(files / "table.tsv"))
    assert pd.read_csv(files / "out.tsv", sep="\t").label.notna().sum() == 59
    printed = capsys.readouterr().out
    assert "1 of 60 have no label" in printed
    assert "share of label 1" in printed


def test_contigs_of_a_vcf_and_an_annotation_have_any_of_their_names(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = (files / "genome.fa").read_text().splitlines()[1]
    alt = "A" if letters[890] != "A" else "C"
    (files / "calls.vcf").write_text(
        f"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n1\t891\tv\t{letters[890]}\t{alt}\t.\t.\t.\n"
    )
    (files / "genes.bed").write_text("chr1\t700\t1100\tt\t0\t+\t700\t1100\t0\t3\t50,30,50,\t0,180,350,\n")
    call(files, monkeypatch, "vcf", str(files / "calls.vcf"), "--annotation", str(files / "genes.bed"))
    assert pd.read_csv(files / "out.tsv", sep="\t").exon.tolist() == ["880-910"]


def test_a_stopped_run_goes_on_with_the_pieces_that_are_there(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call(files, monkeypatch, "table", str(files / "table.tsv"))
    whole = (files / "out.tsv").read_text()
    (files / "out.tsv").unlink()
    asked: list[int] = []
    limit = 2

    def stopped(*arguments: Any) -> Effects:
        if len(asked) == limit:
            raise KeyboardInterrupt
        asked.append(1)
        return variant_effects(*arguments)

    monkeypatch.setattr(variants, "variant_effects", stopped)
    with pytest.raises(KeyboardInterrupt):
        call(files, monkeypatch, "table", str(files / "table.tsv"))
    assert not (files / "out.tsv").exists()
    limit = 100
    call(files, monkeypatch, "table", str(files / "table.tsv"))
    assert (len(asked), (files / "out.tsv").read_text()) == (3, whole)


def test_a_vcf_needs_an_annotation(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"does not say which strand and exon to look at\. Give --annotation"):
        call(files, monkeypatch, "vcf", str(files / "table.tsv"))
