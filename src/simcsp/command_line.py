"""From YAML and the command line to a configuration."""

import dataclasses
import difflib
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import jsonargparse
import yaml  # type: ignore[import-untyped]

from simcsp.config import RunConfig
from simcsp.errors import InputError


def parse_config(description: str, arguments: list[str] | None = None) -> RunConfig:
    """Read ``--config FILE.yaml`` and overrides ``--section.field value`` into a :class:`RunConfig`.

    ``--print_config`` prints the resolved settings, ``--help`` documents every one of them.

    Raises:
        InputError: on a missing or malformed file, an unknown key, or a value that makes no sense.
    """
    parser = jsonargparse.ArgumentParser(
        description=description,
        exit_on_error=False,
        allow_abbrev=False,
        formatter_class=jsonargparse.DefaultHelpFormatter,
    )
    parser.add_argument("--config", action="config", help="YAML file that says how this run differs from the defaults")
    parser.add_argument("--base", help="in a YAML file: another one, relative to it, that this one builds on")
    parser.add_class_arguments(RunConfig)
    try:
        parsed = parser.parse_args(_with_bases(sys.argv[1:] if arguments is None else arguments))
        if unset := sorted(_unset(RunConfig, parsed)):
            raise InputError(f"configuration: no value for {', '.join(unset)}", hint="See --help for every setting")
        settings = parser.instantiate(parsed)
        return RunConfig(**{f.name: settings[f.name] for f in dataclasses.fields(RunConfig)})
    except (ValueError, TypeError, jsonargparse.ArgumentError) as error:
        message = " ".join(str(error).split()).rstrip(".")
        raise InputError(f"configuration: {message}", hint=_nearest(message)) from error


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
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):  # the parser has the better words for it
        return None
    base = content.get("base") if isinstance(content, dict) else None
    return Path(os.path.normpath(path.parent / base)) if isinstance(base, str) else None


def _nearest(message: str) -> str:
    """Name the known key closest to the unknown one in an error of the parser."""
    unknown = re.search(r"[Oo]ption '([\w.-]+)'|unrecognized arguments: --([\w.-]+)", message)
    if unknown is None:
        return "See --help for every setting"
    name = next(group for group in unknown.groups() if group).rsplit(".", 1)[-1]
    close = difflib.get_close_matches(name, _known_keys(RunConfig), n=1)
    return f"Did you mean {close[0]!r}" if close else "See --help for every setting"


def _known_keys(cls: type) -> set[str]:
    """Names of all fields of a dataclass and of the dataclasses its annotations mention."""
    keys: set[str] = set()
    for f in dataclasses.fields(cls):
        keys.add(f.name)
        if (part := _dataclass_in(f.type)) is not None:
            keys |= _known_keys(part)
    return keys


def _unset(cls: type, settings: jsonargparse.Namespace, prefix: str = "") -> Iterator[str]:
    """Settings that are null, and sections that are none: the parser lets both pass."""
    for f in (f for f in dataclasses.fields(cls) if f.name in settings):
        name, value, part = prefix + f.name, settings[f.name], _dataclass_in(f.type)
        if value is None:
            yield from () if type(None) in get_args(f.type) else (name,)
        elif part is not None:
            for item in value if isinstance(value, tuple) else (value,):
                yield from _unset(part, item, f"{name}.") if isinstance(item, jsonargparse.Namespace) else (name,)


def _dataclass_in(annotation: Any) -> type | None:
    """The dataclass that an annotation is or mentions, as in ``tuple[WindowSource, ...]``."""
    parts = (annotation, *get_args(annotation))
    return next((part for part in parts if isinstance(part, type) and dataclasses.is_dataclass(part)), None)
