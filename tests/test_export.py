"""From the folders of a run to one that transformers or sentence-transformers opens."""

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import export
from simcsp import runs, storage
from simcsp.config import EncoderConfig
from simcsp.datasets.windows import save_windows, window_table
from simcsp.errors import InputError
from simcsp.model.encoder import SiteClassifier, load_encoder, save_checkpoint
from simcsp.model.objectives import ClassificationObjective
from simcsp.sequence.alphabet import decode, with_special_tokens
from simcsp.training.checkpoint import write_model

WINDOW = 20
SETTINGS = """
run: small
data: {name: small, window: 20, windows: [{format: gue, species: x, sequences: x.csv}]}
split: {folds: 2}
encoder: {init: splicebert.510nt, pooling: cls}
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A run with one classifier, as far as its export looks; gives the classifier and its windows."""
    monkeypatch.setattr(runs, "ROOT", tmp_path)
    monkeypatch.setattr(export, "finished_before", lambda *_: {})
    (tmp_path / "small.yaml").write_text(SETTINGS)
    prepared, folder = tmp_path / "data" / "prepared" / "small", tmp_path / "runs" / "small"
    tokens = np.random.default_rng(0).integers(6, 10, (40, WINDOW), dtype=np.uint8)
    kinds, names = np.arange(40, dtype=np.uint8) % 2, [f"w{row}" for row in range(40)]
    table = window_table(tokens, label=kinds, site_type=kinds, species="x", group=names, origin=names)
    table = table._replace(part=np.array([row % 5 for row in range(40)], dtype=np.int8))
    save_windows(table, prepared / "windows")
    source = {"what": "windows", "source": "x.csv", "read": 40, "kept": 40, "dropped": {}, "changed": {}}
    assemblies = {"hg38.fa": {"assembly": "hg38", "contigs": {}}}
    storage.write_json(prepared / "manifest.json", {"windows": 40, "assemblies": assemblies, "sources": [source]})
    small = EncoderConfig(architecture="bert", hidden=16, layers=2, heads=2, intermediate=32)
    encoder = load_encoder(small, WINDOW + 2, seed=1)
    classifier = SiteClassifier(encoder, pooling="cls", layer=-1, dropout=0.0, seed=1)
    write_model(folder / "finetune" / "baseline" / "fold-0" / "best", ClassificationObjective(classifier))
    storage.write_json(folder / "finetune" / runs.RECORD, {"version": "1.2", "environment": {"code": "abc"}})
    (folder / "pretrain" / "baseline").mkdir(parents=True)
    save_checkpoint(encoder, folder / "pretrain" / "baseline")
    rows = ["model,fold,site,metric,value", "baseline,0,donor,f1,0.75", "baseline,1,donor,f1,0.1",
            "baseline,selection,all,sccs,0.25"]  # fmt: skip
    storage.write_text(folder / "evaluation" / runs.SCORES, "\n".join(rows) + "\n")
    return classifier.eval(), tokens


def call(folder: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["export.py", *words, "--config", str(folder / "small.yaml")])
    export.main()


def test_a_classifier_opens_with_equal_logits_and_a_card(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call(tmp_path, monkeypatch, "classifier", "baseline", "--licence", "cc-by-4.0")
    written, compared = capsys.readouterr().out.splitlines()
    assert written.startswith("export: classifier baseline of fold 0 (--fold 0 to 1) written to ")
    assert re.fullmatch(r"export: logits of 16 windows differ by \S+ at most from those of the model here", compared)
    folder = tmp_path / "runs" / "small" / "export" / "classifier-baseline"
    classifier, tokens = run
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    with torch.inference_mode():
        found = model(**tokenizer([decode(window) for window in tokens], return_tensors="pt")).logits[:, 0]
        wanted, _ = classifier(torch.from_numpy(with_special_tokens(tokens)))
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    card = (folder / "README.md").read_text()
    for needed in (
        "license: cc-by-4.0",
        "Probabilities are as trained and not calibrated",
        "| f1 | donor | 0.750 | test part of fold 0 |",
        "**assemblies**: hg38.fa (hg38)",
        "Training started from splicebert.510nt, CC-BY-4.0",
        "SimCSP 1.2, commit abc",
        "**encoder**: bert, 2 layers of width 16, from splicebert.510nt",
        "**pre-training**: 1,000 steps with weights 1 MLM\n",
    ):
        assert needed in card
    assert "0.100" not in card
    assert storage.damaged_files(folder) == []


def test_a_classifier_has_onnx_on_demand_and_an_embedder_has_not(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    call(tmp_path, monkeypatch, "classifier", "baseline", "--onnx", "--target", str(tmp_path / "out"))
    assert (tmp_path / "out" / "model.onnx").exists()
    assert "`model.onnx` gives the same `logits`" in (tmp_path / "out" / "README.md").read_text()
    assert storage.damaged_files(tmp_path / "out") == []
    with pytest.raises(InputError, match="an embedder is not exported as ONNX"):
        call(tmp_path, monkeypatch, "embedder", "baseline", "--onnx")


def test_an_embedder_opens_in_sentence_transformers(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call(tmp_path, monkeypatch, "embedder", "baseline", "--pooling", "mean", "--target", str(tmp_path / "out"))
    written, compared = capsys.readouterr().out.splitlines()
    assert written == f"export: embedder baseline written to {tmp_path / 'out'}"
    assert compared.startswith("export: embeddings of 16 windows differ by ")
    assert SentenceTransformer(str(tmp_path / "out"), device="cpu").encode(["ACGT" * 5]).shape == (1, 16)
    assert "| sccs | all | 0.250 | selection part, pooling cls |" in (tmp_path / "out" / "README.md").read_text()


def test_an_embedder_is_of_the_run_that_shares_its_pretraining(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs" / "small" / "pretrain").rename(tmp_path / "runs" / "pretrain")
    (tmp_path / "runs" / "other").mkdir()
    (tmp_path / "runs" / "pretrain").rename(tmp_path / "runs" / "other" / "pretrain")
    (tmp_path / "small.yaml").write_text(SETTINGS + "pretrained: other\n")
    call(tmp_path, monkeypatch, "embedder", "baseline", "--target", str(tmp_path / "out"))
    assert "**fine-tuning**: none" in (tmp_path / "out" / "README.md").read_text()


def test_nothing_is_overwritten_and_unknown_models_are_named(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finetuned = tmp_path / "runs" / "small" / "finetune"
    shutil.copytree(finetuned / "baseline", finetuned / "random")
    for reference in ("cnn", "logistic_regression"):
        (finetuned / reference / "fold-0" / "best").mkdir(parents=True)
    there = "the run has no such model. Give one of baseline, random."
    with pytest.raises(InputError, match=rf"best_nmi.fold-0.best: {there}$"):
        call(tmp_path, monkeypatch, "classifier", "best_nmi")
    with pytest.raises(InputError, match=rf"logistic_regression.fold-0.best: {there}$"):
        call(tmp_path, monkeypatch, "classifier", "logistic_regression")
    with pytest.raises(InputError, match=r"baseline.fold-7.best: the run has no such model. Give another --fold\.$"):
        call(tmp_path, monkeypatch, "classifier", "baseline", "--fold", "7")
    with pytest.raises(InputError, match=r"best_nmi: the run has no such model\. Give one of baseline\.$"):
        call(tmp_path, monkeypatch, "embedder", "best_nmi")
    with pytest.raises(InputError, match="the convolutional network is a reference without an encoder"):
        call(tmp_path, monkeypatch, "classifier", "cnn")
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="out: something is there already"):
        call(tmp_path, monkeypatch, "classifier", "baseline", "--target", str(tmp_path / "out"))
