from dataclasses import replace
from pathlib import Path

import pytest
from accelerate import Accelerator

from simcsp.config import DataConfig, EncoderConfig, RunConfig
from simcsp.diagnosis.trial import train_briefly
from simcsp.errors import InputError
from simcsp.model import splicebert
from simcsp.model.encoder import load_encoder, save_checkpoint
from simcsp.training.checkpoint import latest_checkpoint
from simcsp.training.log import read_metrics

CONFIG = RunConfig(
    data=DataConfig(window=40), encoder=EncoderConfig(hidden=16, layers=1, heads=2, intermediate=32, init="510nt")
)


@pytest.fixture(autouse=True)
def nothing_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splicebert, "_RAW", tmp_path / "raw")


def test_brief_training_is_a_whole_one(tmp_path: Path, accelerator: Accelerator) -> None:
    done = train_briefly(CONFIG, accelerator, tmp_path, 0.3)
    assert done.steps >= 1
    assert done.seconds > 0
    # eight windows of 40 nt, two views each, between [CLS] and [SEP]
    assert done.tokens_per_second == pytest.approx(done.steps * 8 * 2 * 42 / done.seconds)
    records = read_metrics(tmp_path / "timed")
    assert records[-1]["step"] == done.steps
    checkpoint = latest_checkpoint(tmp_path / "timed")
    assert checkpoint
    assert checkpoint.name == f"checkpoint-{done.steps}"
    assert list((tmp_path / "timed").glob("events.out.tfevents.*"))


@pytest.mark.parametrize(("init", "folder"), [("mine", "mine"), ("510nt", "raw/splicebert/splicebert.510nt")])
def test_the_shape_trained_is_that_of_a_checkpoint_that_is_here(
    init: str, folder: str, tmp_path: Path, accelerator: Accelerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    larger = EncoderConfig(architecture="bert", hidden=32, layers=2, heads=2, intermediate=64)
    model = load_encoder(larger, 42, seed=0)
    save_checkpoint(model, tmp_path / folder)
    asked = replace(CONFIG, encoder=replace(CONFIG.encoder, init=init))
    assert train_briefly(asked, accelerator, tmp_path, 0.1).parameters == model.num_parameters()


def test_a_layer_of_a_checkpoint_that_is_not_here_is_no_problem(tmp_path: Path, accelerator: Accelerator) -> None:
    asked = replace(CONFIG, encoder=replace(CONFIG.encoder, layer=5, drop_layers=1))  # of SpliceBERT's six
    assert train_briefly(asked, accelerator, tmp_path, 0.1).steps >= 1


def test_a_checkpoint_made_for_shorter_windows_is_named(tmp_path: Path, accelerator: Accelerator) -> None:
    save_checkpoint(load_encoder(replace(CONFIG.encoder, init="scratch"), 22, seed=0), tmp_path / "short")
    asked = replace(CONFIG, encoder=replace(CONFIG.encoder, init=str(tmp_path / "short")))
    with pytest.raises(InputError, match=r"short: the checkpoint takes 22 tokens, a window makes 42"):
        train_briefly(asked, accelerator, tmp_path, 0.1)
