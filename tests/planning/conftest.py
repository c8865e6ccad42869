import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simcsp import runs
from simcsp.command_line import parse_config
from simcsp.config import RunConfig
from simcsp.planning import plan
from simcsp.planning.rates import ClassifierRates, Rates
from simcsp.planning.work import Kind
from simcsp.stages import finished_before, stage_folder, stage_settings

TINY = Path(__file__).resolve().parents[1] / "configs" / "tiny.yaml"
MANIFEST = {
    "windows": 1000,
    "corpus nucleotides": 20_000,
    "split": {"windows per part": [200, 200, 200, 200, 200]},
}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    """Of tests/configs/tiny.yaml, in fp32 and in an empty checkout."""
    monkeypatch.setattr(runs, "ROOT", tmp_path)
    return parse_config("", ["--config", str(TINY), "--precision", "fp32"])


@pytest.fixture
def finish() -> Callable[..., None]:
    """Leave the folder of a stage as if it had finished here, or on another device."""

    def finished(config: RunConfig, stage: str, device: str = "cpu, fp32") -> None:
        folder = stage_folder(config, stage)
        inputs = finished_before(config, stage) | ({} if stage == "prepare" else {"device": device})
        runs.open_stage(folder, stage_settings(config, stage), inputs)
        runs.close_stage(folder, {})

    return finished


@pytest.fixture
def prepare(finish: Callable[..., None]) -> Callable[..., None]:
    """Leave prepared data: five parts of 200 windows, and ``more`` in their manifest."""

    def prepared(config: RunConfig, **more: Any) -> None:
        finish(config, "prepare")
        (stage_folder(config, "prepare") / "manifest.json").write_text(json.dumps(MANIFEST | more))

    return prepared


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> Rates:
    """Made up, in place of those of this machine."""
    joint = Kind(mlm=True, contrast=True, whole=False)
    trained = {Kind(mlm=True, contrast=False, whole=True): 1e-2, joint._replace(mlm=False): 2e-2, joint: 3e-2}
    made_up = Rates(
        trained=trained,
        encoder=ClassifierRates(tuned={16: 4e-2, 8: 5e-2}, predicted=1e-3, parameters=1000, width=32),
        cnn=ClassifierRates(tuned={16: 1e-2}, predicted=5e-4, parameters=500, width=64),
        read=2e-3,
        clustered=1e-4,
        scored=3e-4,
        layers=1,
    )
    monkeypatch.setattr(plan, "measured_rates", lambda *_: made_up)
    return made_up
