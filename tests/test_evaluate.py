"""Published quirks reach the scores they are about, and only those."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import evaluate
from simcsp import runs
from simcsp.config import DataConfig, PublishedConfig, RunConfig
from simcsp.datasets.windows import WindowTable, window_table


@pytest.fixture
def table() -> WindowTable:
    tokens = np.random.default_rng(0).integers(6, 10, (4, 20), dtype=np.uint8)
    origin = ["chr1:1-3:+", "chr1:5-7:-", "windows:3", "chr-:1-3:+"]
    kinds = np.array([1, 0, 1, 0], dtype=np.uint8)
    return window_table(tokens, label=kinds, site_type=kinds, species="x", group=origin, origin=origin)


def config_with(**quirks: bool) -> RunConfig:
    return RunConfig(data=DataConfig(window=20), published=PublishedConfig(**quirks))


@pytest.mark.parametrize("windows", ["of the fold", "of other species"])
def test_the_published_threshold_is_used_if_asked_for(tmp_path: Path, table: WindowTable, windows: str) -> None:
    fold = tmp_path / "baseline" / "fold-0"
    fold.mkdir(parents=True)
    predictions = pd.DataFrame(
        {"part": "test", "row": range(4), "label": [1, 1, 0, 0], "site_type": 0, "probability": [0.9, 0.6, 0.6, 0.1]}
    )
    predictions.to_parquet(fold / runs.PREDICTIONS)
    predictions.assign(species="fly").to_parquet(fold / runs.TRANSFER)

    def rows_of(config: RunConfig) -> list[evaluate.Row]:
        if windows == "of the fold":
            return evaluate._fold_scores(fold, config, table)
        return evaluate._transfer_scores(fold, config)

    f1 = {
        asked: {
            str(row["site"]): row["value"]
            for row in rows_of(config_with(logit_threshold=asked))
            if row["metric"] == "f1"
        }["all"]
        for asked in (False, True)
    }
    assert f1 == {False: pytest.approx(0.8), True: pytest.approx(2 / 3)}


def test_doubled_special_tokens_need_room_in_the_encoder() -> None:
    assert config_with().longest_input == 22
    assert config_with(doubled_special_tokens=True).longest_input == 24
