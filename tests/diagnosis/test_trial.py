from pathlib import Path

import pytest
from accelerate import Accelerator

from simcsp.config import DataConfig, EncoderConfig, RunConfig
from simcsp.diagnosis.trial import train_briefly
from simcsp.training.checkpoint import latest_checkpoint
from simcsp.training.log import read_metrics

CONFIG = RunConfig(
    data=DataConfig(window=40), encoder=EncoderConfig(hidden=16, layers=1, heads=2, intermediate=32, init="510nt")
)


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
