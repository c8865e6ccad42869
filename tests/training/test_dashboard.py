"""What TensorBoard shows, read back from event files, over its own HTTP interface, and from its page in a browser."""

import json
import re
import shutil
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest
import yaml  # type: ignore[import-untyped]
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout

from simcsp.config import RunConfig, as_plain
from simcsp.training.dashboard import OVERVIEW, page_layout, tag_of, write_overview
from simcsp.training.log import RunLog

PHASES = ("pretrain/phase-baseline", "pretrain/phase-contrast")
FOLDS = ("finetune/baseline/fold-0", "finetune/baseline/fold-1", "finetune/random/fold-0")
GLANCE = {"at a glance/loss", "at a glance/SCCS", "at a glance/NMI", "at a glance/F1"}


def shown_layout(folder: Path) -> Layout:
    """The layout in the event file of a stage's overview."""
    (content,) = EventAccumulator(str(folder / OVERVIEW)).Reload().Tensors("custom_scalars__config__")
    layout = Layout()
    layout.ParseFromString(content.tensor_proto.string_val[0])
    return layout


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two phases and three folds of a run, as the stages log them; one phase was killed and resumed."""
    run = tmp_path_factory.mktemp("runs") / "demo"
    for stage in ("pretrain", "finetune"):
        write_overview(run / stage, RunConfig())
    for shift, phase in enumerate(PHASES):
        for start, steps in ((0, range(0, 41, 10)), (20, range(30, 61, 10))):
            with RunLog(run / phase, start) as log:
                for step in steps:
                    values = {"validation/sccs": 0.1 + step / 200, "validation/nmi": 0.05 + step / 300}
                    log.scalars(step, {"train/loss": 1 / (1 + step + shift + start), "train/mlm_loss": 1.2, **values})
    for shift, fold in enumerate(FOLDS):
        with RunLog(run / fold, 0) as log:
            for step in range(0, 41, 10):
                log.scalars(step, {"train/loss": 0.7 - step / 100, "validation/f1": 0.7 + step / 200 - shift / 20})
    return run.parent


@pytest.fixture(scope="module")
def address(logs: Path) -> Iterator[str]:
    """TensorBoard itself, on a port that is free."""
    words = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logs), "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        found = next(filter(None, (re.search(r"http://127\.0\.0\.1:\d+", line) for line in process.stderr)))
        yield found[0]
        process.terminate()
        process.stderr.close()


def asked(address: str, path: str) -> Any:
    with urlopen(f"{address}/data/{path}", timeout=30) as answer:
        return json.load(answer)


def curves_of(address: str) -> dict[str, list[str]]:
    """Tags by run, once TensorBoard has read all there is."""
    deadline = time.monotonic() + 30
    while len(runs := asked(address, "plugin/scalars/tags")) < len(PHASES + FOLDS):
        assert time.monotonic() < deadline, runs
        time.sleep(0.2)
    return {run: sorted(tags) for run, tags in runs.items()}


class Browser(NamedTuple):
    """A session of a headless Chromium, steered over chromedriver's HTTP interface (W3C WebDriver)."""

    session: str

    def ask(self, command: str, **values: Any) -> Any:
        """POST if there are values, else GET."""
        body = json.dumps(values).encode() if values else None
        with urlopen(Request(f"{self.session}/{command}", data=body), timeout=60) as answer:
            return json.load(answer)["value"]


@pytest.fixture
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("no Chromium with its chromedriver on this machine")
    switches = ("headless=new", "no-sandbox", "disable-gpu", "disable-background-networking", "window-size=1920,1000")
    options = {"binary": program, "args": [f"--{switch}" for switch in switches]}
    with subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = next(filter(None, (re.search(r"on port (\d+)\.", line) for line in process.stdout)))[1]
        server = Browser(f"http://127.0.0.1:{port}")
        session = server.ask("session", capabilities={"alwaysMatch": {"goog:chromeOptions": options}})["sessionId"]
        yield Browser(f"{server.session}/session/{session}")
        urlopen(Request(f"{server.session}/session/{session}", method="DELETE"), timeout=30).close()
        process.terminate()


def test_numbers_are_grouped_and_what_matters_is_first() -> None:
    assert tag_of("validation/f1_donor") == "classification of donors/F1"
    assert tag_of("validation/mlm_loss") == "masked language model/loss, held out"
    assert tag_of("speed/mfu") == "speed/MFU (share of the peak)"
    assert tag_of("validation/precision_at_1000") == "validation/precision_at_1000"
    names = ["train/loss", "validation/sccs", "validation/nmi", "validation/f1", "validation/auroc", "speed/mfu"]
    assert set(sorted(map(tag_of, names))[:4]) == GLANCE


def test_the_page_has_loss_sccs_nmi_and_f1_side_by_side(tmp_path: Path) -> None:
    write_overview(tmp_path, RunConfig())
    first, *others = shown_layout(tmp_path).category
    assert first.title.startswith("Loss, SCCS, NMI, F1 (")
    assert [chart.title for chart in first.chart] == ["Loss (training)", "SCCS", "NMI", "F1 (validation)"]
    assert {tag.rstrip("$") for chart in first.chart for tag in chart.multiline.tag} == GLANCE
    assert [category.title for category in others] == ["Pre-training", "Fine-tuning"]


def test_every_chart_of_the_page_asks_for_one_curve_that_exists() -> None:
    tags = {tag_of(f"validation/{name}{site}") for name in ("f1", "nmi") for site in ("", "_donor", "_acceptor")}
    tags |= {tag_of(f"train/{name}") for name in ("loss", "mlm_loss", "contrastive_loss")}
    tags |= {tag_of(f"validation/{name}") for name in ("sccs", "mlm_loss", "spread", "auroc", "average_precision")}
    for charts in page_layout().values():
        for _, patterns in charts.values():
            for pattern in patterns:
                assert [tag for tag in tags if re.match(pattern, tag)] == [pattern.rstrip("$")]


def test_settings_are_shown_as_they_were_resolved(tmp_path: Path) -> None:
    write_overview(tmp_path, RunConfig())
    (text,) = EventAccumulator(str(tmp_path / OVERVIEW)).Reload().Tensors("settings/text_summary")
    shown = text.tensor_proto.string_val[0].decode()
    assert yaml.safe_load(shown.removeprefix("```yaml\n").removesuffix("```")) == as_plain(RunConfig())


def test_a_stage_begun_again_has_one_overview(tmp_path: Path) -> None:
    (tmp_path / f".{OVERVIEW}.partial").mkdir()  # killed while writing it
    for _ in range(3):
        write_overview(tmp_path, RunConfig())
    assert [path.name for path in tmp_path.iterdir()] == [OVERVIEW]
    assert len(list((tmp_path / OVERVIEW).iterdir())) == 1


@pytest.mark.slow
def test_tensorboard_serves_one_page_and_curves_without_what_was_undone(address: str) -> None:
    runs = curves_of(address)
    assert set(runs) == {f"demo/{name}" for name in PHASES + FOLDS}
    assert runs["demo/pretrain/phase-contrast"] == sorted([*GLANCE - {"at a glance/F1"}, tag_of("train/mlm_loss")])
    assert runs["demo/finetune/random/fold-0"] == ["at a glance/F1", "at a glance/loss"]
    categories = asked(address, "plugin/custom_scalars/layout")["category"]
    assert [(c["title"].partition(" (")[0], len(c["chart"])) for c in categories] == [
        ("Loss, SCCS, NMI, F1", 4), ("Pre-training", 4), ("Fine-tuning", 4),
    ]  # fmt: skip
    wanted = f"tag={quote('at a glance/loss$')}&run={quote('demo/pretrain/phase-contrast')}"
    found = asked(address, f"plugin/custom_scalars/scalars?{wanted}")
    (curve,) = found["tag_to_events"].values()
    assert [step for _, step, _ in curve] == [0, 10, 20, 30, 40, 50, 60]
    assert [value for *_, value in curve] == pytest.approx([1 / n for n in (2, 12, 22, 52, 62, 72, 82)])


@pytest.mark.slow
def test_the_page_in_a_browser_draws_the_four_side_by_side(address: str, browser: Browser, tmp_path: Path) -> None:
    curves_of(address)
    browser.ask("url", url=f"{address}/#custom_scalars")
    shown = drawn_charts(browser)
    assert [title for title, *_ in shown] == ["Loss (training)", "SCCS", "NMI", "F1 (validation)"]
    assert len({top for _, top, _ in shown}) == 1, "they are in one row"
    assert [curves for *_, curves in shown] == [5, 2, 2, 3]
    (tmp_path / "page.png").write_bytes(b64decode(browser.ask("screenshot")))
    with Image.open(tmp_path / "page.png") as picture:
        assert picture.width == 1920


# Charts lie in shadow trees; one curve is two lines, as it is and smoothed.
CHARTS = """
const all = (node, name) => [...node.querySelectorAll("*")].flatMap(
  e => [...(e.localName === name ? [e] : []), ...(e.shadowRoot ? all(e.shadowRoot, name) : [])]);
return all(document, "tf-custom-scalar-multi-line-chart-card").slice(0, 4).map(card => {
  const [chart] = all(card.shadowRoot, "vz-line-chart2");
  const lines = [...chart.shadowRoot.querySelectorAll("path.line")].filter(line => line.getAttribute("d"));
  return [card.title, Math.round(card.getBoundingClientRect().top), lines.length / 2];
});
"""


def drawn_charts(browser: Browser) -> list[tuple[str, int, int]]:
    """Title, place from the top, and number of curves of the first four charts, once all are drawn."""
    deadline = time.monotonic() + 60
    while True:
        shown = [tuple(chart) for chart in browser.ask("execute/sync", script=CHARTS, args=[])]
        if (len(shown) == 4 and all(lines for *_, lines in shown)) or time.monotonic() > deadline:
            return shown
        time.sleep(0.2)
