import json
from pathlib import Path

import pytest

from simcsp import runs
from simcsp.errors import InputError
from simcsp.sentences.command import score_sentences

ABOUT = {
    "weather": ("rain", "snow", "wind", "sunshine", "fog", "a storm", "hail", "frost"),
    "food": ("bread", "soup", "cheese", "rice", "cake", "an apple", "pasta", "honey"),
}
FRAMES = (
    "there was {} today", "she talked about {}", "we had not expected {}", "{} is what I remember", "too much {}",
    "the morning began with {}", "nobody wanted {}", "he wrote a poem on {}", "everyone waited for {}", "some {} again",
)  # fmt: skip


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_a_trained_encoder_tells_topics_and_random_weights_hardly(
    minilm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runs, "ROOT", tmp_path)
    files = []
    for topic, things in ABOUT.items():
        files.append(tmp_path / f"{topic}.txt")
        files[-1].write_text("".join(f"{frame.format(thing)}\n" for frame in FRAMES for thing in things))
    score_sentences([*map(str, files), "--encoder", str(minilm), "--run", "topics"])
    found = json.loads((tmp_path / "runs" / "topics" / "sentences.json").read_text())
    trained, untrained = found["scores"]["as it is"], found["scores"]["random weights"]
    assert (untrained["sccs"] < 0.2, trained["sccs"] > 0.3) == (True, True)
    assert (untrained["nmi"] < 0.15, trained["nmi"] > 0.3) == (True, True)
    assert trained["probe_auroc"] > 0.95
    assert set(found["files"]) == {str(path) for path in files}
    assert "| random weights | " in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore")
def test_a_folder_without_an_encoder_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("one\ntwo\n")
    with pytest.raises(InputError, match="no sentence encoder can be loaded from"):
        score_sentences([str(tmp_path / "a.txt"), str(tmp_path / "b.txt"), "--encoder", str(tmp_path)])
