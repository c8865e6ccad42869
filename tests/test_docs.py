"""What the pages promise is there: files, pictures, commands, settings."""

import dataclasses
import re
import typing
from pathlib import Path

import pytest

from simcsp.command_line import parse_config
from simcsp.config import RunConfig, WindowSource

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("*/README.md"))]
MADE_BY_USERS = ("runs/", "data/", "configs/mine.yaml", "configs/my")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


def names_a_setting(dotted: str) -> bool:
    cls: type = RunConfig
    for name in dotted.split("."):
        found = {f.name: f.type for f in dataclasses.fields(cls)} if dataclasses.is_dataclass(cls) else {}
        if name not in found:
            return False
        kind = found[name]
        inner = [part for part in (kind, *getattr(kind, "__args__", ())) if dataclasses.is_dataclass(part)]
        cls = next((part for part in inner if isinstance(part, type)), str)
    return True


@every_page
def test_named_files_exist(page: Path) -> None:
    text = page.read_text()
    named = re.findall(r"[`(\s]((?:src|tests|configs|docs|benchmarks|notebooks)/[\w/.-]*\w)", text)
    named += re.findall(r"(?:bash|python) ([\w/]+\.(?:sh|py))", text)
    missing = [name for name in named if not name.startswith(MADE_BY_USERS) and not (ROOT / name).exists()]
    assert missing == []


@every_page
def test_nothing_is_left_to_fill_in(page: Path) -> None:
    assert re.findall(r"\b[A-Z]+_(?:FIGURES|RESULTS|TABLE)\b|TODO|FIXME", page.read_text()) == []


def anchors(page: Path) -> set[str]:
    """What the headings of a page are called in links, as GitHub does."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_page
def test_pictures_and_links_lead_somewhere(page: Path) -> None:
    wrong = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        if "://" not in target and (not file.exists() or (anchor and anchor not in anchors(file))):
            wrong.append(target)
    assert wrong == []


def test_anchors_are_those_of_github() -> None:
    assert {"where-is-what", "umap-and-leiden"} <= anchors(ROOT / "README.md")
    assert "3-4-layers-removed" in anchors(ROOT / "docs" / "experiments.md")


@every_page
def test_named_settings_exist(page: Path) -> None:
    settings = re.findall(r"--([a-z_]+(?:\.[a-z_]+)+)", page.read_text())
    settings += re.findall(r"`((?:data|split|encoder|pretrain|finetune|nmi)\.[a-z_.]+)", page.read_text())
    settings = [name for name in settings if not name.endswith((".sh", ".py"))]
    assert [name for name in settings if not names_a_setting(name.rstrip("."))] == []


SOURCES = re.findall(r"```yaml\n(- .*?)```", (ROOT / "docs" / "data.md").read_text(), flags=re.DOTALL)


@pytest.mark.parametrize("sources", SOURCES)
def test_examples_of_sources_are_read(sources: str, tmp_path: Path) -> None:
    kind = "windows" if "format" in sources and "hold_out" not in sources else "corpus"
    page = tmp_path / "mine.yaml"
    page.write_text(f"data:\n  {kind}:\n" + "".join(f"    {line}\n" for line in sources.splitlines()))
    data = parse_config("", ["--config", str(page)]).data
    assert len(getattr(data, kind)) == len(re.findall("^- ", sources, flags=re.MULTILINE))


def test_every_format_has_an_example() -> None:
    formats = set(re.findall(r"format: (\w+)", "".join(SOURCES)))
    assert formats == set(typing.get_args(typing.get_type_hints(WindowSource)["format"]))


@every_page
def test_run_sh_commands_exist(page: Path) -> None:
    commands = set(re.findall(r"bash run\.sh ([a-z]+)", page.read_text()))
    assert [name for name in commands if f"\n  {name})" not in (ROOT / "run.sh").read_text()] == []


def test_scripts_say_what_they_do_in_their_first_lines() -> None:
    runnable = 'if __name__ == "__main__":'
    files = (path for folder in ("src", "benchmarks") for path in ROOT.glob(f"{folder}/*.py"))
    for script in (path for path in files if runnable in path.read_text()):
        opening = script.read_text().split('"""')[1]
        assert f"python {script.relative_to(ROOT)}" in opening, script
