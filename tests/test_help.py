"""The help of every script is one screen, and what it shows by example can be typed."""

import argparse
import importlib
import re
import shlex
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from simcsp.command_line import parse_config
from simcsp.diagnosis import command

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted(path.stem for path in (ROOT / "src").glob("*.py"))
LINES, COLUMNS = 45, 120

every_script = pytest.mark.parametrize("name", SCRIPTS)


class ParsedError(Exception):
    """The command line was read to its end."""


def script(name: str) -> ModuleType:
    return importlib.import_module(name)


def examples(name: str) -> list[list[str]]:
    """Words after the script in every command that its docstring shows."""
    shown = re.findall(rf"(?:python|torchrun .*) ?src/{name}\.py (.*)", script(name).__doc__ or "")
    return [shlex.split(line, comments=True) for line in shown]


@every_script
def test_help_is_one_screen_with_examples(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [f"src/{name}.py", "--help"])
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    with pytest.raises(SystemExit) as exit_:
        script(name).main()
    assert exit_.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= LINES
    assert max(map(len, lines)) <= COLUMNS
    assert lines[0].startswith("usage: ")
    assert any(f"src/{name}.py" in line for line in lines[1:])


@every_script
def test_examples_are_read(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = script(name)

    def read_to_the_end(read: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> None:
            read(*arguments, **options)
            raise ParsedError

        return call

    for place in (module, command):  # the latter is doctor.py's
        if hasattr(place, "parse_config"):
            monkeypatch.setattr(place, "parse_config", read_to_the_end(parse_config))
    parse_args = argparse.ArgumentParser.parse_args
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", read_to_the_end(parse_args))
    monkeypatch.chdir(ROOT)
    assert examples(name)
    for words in examples(name):
        if words[0] == "runs":  # compare.py needs no more than their names
            continue
        monkeypatch.setattr(sys, "argv", [f"src/{name}.py", *words])
        with pytest.raises((ParsedError, SystemExit)) as ended:
            module.main()
        assert getattr(ended.value, "code", 0) == 0  # --print-config ends by itself
