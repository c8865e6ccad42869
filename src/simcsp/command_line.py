"""From YAML and the command line to a configuration."""

import argparse
import dataclasses
import os
import re
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import jsonargparse

from simcsp.config import RunConfig, section_in
from simcsp.config_errors import explained
from simcsp.config_file import read_settings
from simcsp.errors import InputError

OPTIONS = """options of the run:
  --config FILE.yaml       how it differs from the defaults; of several files the later ones count
  --SECTION.SETTING VALUE  one setting, for instance --run try-2 --seed 1 --finetune.learning_rate 1e-4
  --print-config           print all settings as YAML, as files and overrides leave them
  --help-settings          say what every setting means, in hundreds of lines
"""
_DRY_RUN = "  --dry-run                show what is done, what is to do and how long it takes; write nothing\n"


def parse_config(description: str, arguments: list[str] | None = None, *, stage: str = "") -> RunConfig:
    """Read ``--config FILE.yaml`` and overrides ``--section.field value`` into a :class:`RunConfig`.

    Args:
        description: of the script, with examples: what ``--help`` shows.
        arguments: those of the command line if not given.
        stage: that the script is for; with it, ``--dry-run`` prints the plan of that stage and of all it needs, and
            ends the script.

    Raises:
        InputError: on a missing or malformed file, an unknown key, or a value that makes no sense; for a stage that is
            given nothing.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    planned = bool(stage) and "--dry-run" in words
    parser = _Parser(
        usage=argparse.SUPPRESS,  # of hundreds of options
        exit_on_error=False,
        allow_abbrev=False,
        formatter_class=jsonargparse.DefaultHelpFormatter,
        print_config="--print-config",
    )
    usage = f"usage: python src/{Path(sys.argv[0]).name} --config FILE.yaml [--SECTION.SETTING VALUE …]"
    parser.short_help = f"{usage}\n\n{description.strip()}\n\n{OPTIONS}{_DRY_RUN if stage else ''}"
    parser.add_argument("--help-settings", action=_HelpSettings, help="show this and end")
    parser.add_argument("--config", action="config", help="YAML file that says how this run differs from the defaults")
    parser.add_argument("--base", help="in a YAML file: another one, relative to it, that this one builds on")
    parser.add_class_arguments(RunConfig)
    words = _with_bases([word for word in words if not planned or word != "--dry-run"])
    if stage and not words:
        raise InputError("no configuration is given", hint="Give --config FILE.yaml, such as configs/demo.yaml")
    try:
        parsed = parser.parse_args(words)
        if unset := next(_unset(RunConfig, parsed), ""):
            raise ValueError(unset)
        settings = parser.instantiate(parsed)
        config = RunConfig(**{f.name: settings[f.name] for f in dataclasses.fields(RunConfig)})
    except (ValueError, TypeError, jsonargparse.ArgumentError) as error:
        files = [Path(file) for option, file in pairwise(words) if option == "--config"]
        options = [word.partition("=")[0] for word in words if word.startswith("--")]
        raise explained(str(error), files, [option for option in options if option != "--config"]) from error
    if planned:
        from simcsp.planning.page import run_page  # noqa: PLC0415 - times real steps: only who asks for it loads torch

        page = run_page(config, stage)
        print(page.text)
        sys.exit(1 if page.refused else 0)
    return config


class _Parser(jsonargparse.ArgumentParser):
    """Its help is one screen: what the script does, and the options that no setting is."""

    short_help = ""

    def format_help(self, formatter: argparse.HelpFormatter | None = None) -> str:  # noqa: ARG002
        """The short help."""
        return self.short_help

    def format_settings(self) -> str:
        """The short help, then every setting with its type, default and meaning; last, what entries of lists hold."""
        for action in self._actions:
            if action.dest.endswith(".help"):  # the parser's own for those; it would show the short help
                action.help = argparse.SUPPRESS
        return "\n".join([self.short_help, super().format_help(), *_entries()])


def _entries() -> Iterator[str]:
    """What the settings hold that are lists of sections, or a section or nothing: every field with its meaning."""
    names: dict[type, list[str]] = {}
    for name, part in _optional_sections(RunConfig):
        names.setdefault(part, []).append(name)
    for part, those in names.items():
        parser = jsonargparse.ArgumentParser(
            usage=argparse.SUPPRESS, add_help=False, formatter_class=jsonargparse.DefaultHelpFormatter
        )
        parser.add_class_arguments(part)
        fields = re.sub("^  --", "    ", parser.format_help(), flags=re.MULTILINE)  # they are no options
        yield f"keys of {', '.join(those)}:\n\n{fields}"


def _optional_sections(cls: type, prefix: str = "") -> Iterator[tuple[str, type]]:
    for f in dataclasses.fields(cls):
        part = section_in(f.type)
        if part is not None and part is f.type:
            yield from _optional_sections(part, f"{prefix}{f.name}.")
        elif part is not None:
            yield prefix + f.name, part


class _HelpSettings(argparse.Action):
    """``--help-settings``."""

    def __init__(self, option_strings: Sequence[str], **options: Any) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, default=argparse.SUPPRESS, help=options["help"])

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """Print and end."""
        assert isinstance(parser, _Parser)  # noqa: S101 - it is added to no other
        print(parser.format_settings())
        parser.exit()


def _with_bases(arguments: Sequence[str]) -> list[str]:
    """Put the file that a configuration builds on before it, and the one that that builds on before that."""
    expanded: list[str] = []
    for argument in arguments:
        if argument.partition("=")[0] == "--base":
            raise InputError(
                "--base is read from a YAML file only",
                hint="Write base: into the file of --config, or give one --config before another",
            )
        given = expanded and expanded[-1] == "--config"
        path = Path(argument if given else argument.removeprefix("--config="))
        if not given and not argument.startswith("--config="):
            expanded.append(argument)
            continue
        if given:
            expanded.pop()
        for file in _chain(path):
            expanded += ["--config", str(file)]
    return expanded


def _chain(path: Path) -> list[Path]:
    """A configuration and those it builds on, the most basic first."""
    files = [path]
    while (base := _base_of(files[0])) is not None:
        if base in files:
            raise InputError("builds on itself", path=base, hint="Correct its base")
        files.insert(0, base)
    return files


def _base_of(path: Path) -> Path | None:
    base = read_settings(path).get("base")
    return Path(os.path.normpath(path.parent / base)) if isinstance(base, str) else None


def _unset(cls: type, settings: jsonargparse.Namespace, prefix: str = "") -> Iterator[str]:
    """What is to be said of settings that are null, and of sections that are none: the parser lets both pass."""
    for f in (f for f in dataclasses.fields(cls) if f.name in settings):
        name, value, part = prefix + f.name, settings[f.name], section_in(f.type)
        if value is None:
            yield from () if type(None) in get_args(f.type) else (f"no value for {name}",)
        elif part is not None:
            for item in value if isinstance(value, tuple) else (value,):
                section = isinstance(item, jsonargparse.Namespace)
                yield from _unset(part, item, f"{name}.") if section else (f"no keys for {name}",)
