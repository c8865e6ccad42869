"""What the report of a run says of it."""

from pathlib import Path

import pandas as pd
import pytest
from transformers import BertConfig

import report
from simcsp import runs
from simcsp.config import (
    EncoderConfig,
    FinetuneConfig,
    PhaseConfig,
    PretrainConfig,
    RecipeConfig,
    RunConfig,
    SplitConfig,
)


def test_labels_that_any_recipe_saw_are_named() -> None:
    supervised = RecipeConfig(name="supervised", contrastive_weight=1, positives="label")
    split = SplitConfig(pretraining=2)
    seen = report._seen_with_labels(
        RunConfig(split=split, pretrain=PretrainConfig(also=(supervised,))), {"labelled": 1234}
    )
    assert list(seen.values()) == ["1,234 (labelled)"]
    assert report._seen_with_labels(RunConfig(split=split), {"labelled": 1234}) == {}


def test_one_kept_encoder_can_be_fine_tuned_without_the_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    phase = PhaseConfig(steps=12, evaluate_every=4, contrastive_weight=1)
    config = RunConfig(
        pretrain=PretrainConfig(baseline=phase, contrast=phase, keep_measured=True),
        finetune=FinetuneConfig(initialisations=("baseline", "contrast-8")),
    )
    scores = {"validation/sccs": 0.3, "validation/nmi": 0.1, "validation/mlm_loss": 1.2}
    monkeypatch.setattr(report, "read_metrics", lambda folder: [{"step": step, **scores} for step in (0, 4, 8, 12)])
    rows = [(name, str(fold)) for name in ("baseline", "contrast-8") for fold in range(3)]
    table = pd.DataFrame(
        {"f1": 0.8, "auroc": 0.9, "sccs": 0.4, "nmi": 0.2},
        index=pd.MultiIndex.from_tuples(rows, names=["model", "fold"]),
    )
    (section,) = report._more(config, table, 2 / 7, tmp_path)
    assert "| contrast-8 | 20 |" in section
    assert pd.read_csv(tmp_path / "trajectory.csv").encoder.tolist() == ["baseline", "contrast-8"]


def test_the_encoder_is_the_one_that_was_kept_whatever_the_configuration_says_of_its_shape(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(runs, "ROOT", tmp_path)
    BertConfig(num_hidden_layers=5, hidden_size=512).save_pretrained(tmp_path / "runs" / "x" / "pretrain" / "baseline")
    config = RunConfig(run="x", encoder=EncoderConfig(init="510nt", drop_layers=1, layers=4, hidden=128))
    assert report._encoder(config) == "bert from 510nt, 5 layers of 512, without 1 on top, pooling site"
