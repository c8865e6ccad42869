"""A configuration file as it is written: its content, and where in it a setting stands."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml  # type: ignore[import-untyped]

from simcsp.errors import InputError


class Place(NamedTuple):
    """Where a setting is written.

    Attributes:
        path: of the file.
        line: 1-based.
        entry: 1-based number of the entry, in a list.
        text: what is written as its value; none where its section is written and the setting is not.
    """

    path: Path
    line: int
    entry: int | None
    text: str | None


def read_settings(path: Path) -> dict[Any, Any]:
    """Content of a configuration file.

    Raises:
        InputError: if it cannot be read, is no YAML, or holds no settings.
    """
    try:
        text = path.read_text(encoding="utf-8")
        content = yaml.safe_load(text)
    except OSError as error:
        raise InputError(f"the configuration cannot be read ({error.strerror})", path=path) from error
    except UnicodeDecodeError as error:
        raise InputError("the configuration is not text in UTF-8", path=path) from error
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or str(error)
        line = None if mark is None else mark.line + 1
        if "'\\t'" in problem:
            raise InputError("YAML allows no tab here", path=path, line=line, hint="Write spaces instead") from error
        raise InputError(f"this is no YAML: {' '.join(problem.split())}", path=path, line=line) from error
    if not isinstance(content, dict):
        problem = "the file holds no settings, such as `seed: 1`" if text.strip() else "the file is empty"
        raise InputError(problem, path=path)
    return content


def places(path: Path, name: str) -> Iterator[Place]:
    """Where a setting is written in a file that can be read, or left out of a section; in a list more than once."""
    yield from _below(yaml.compose(path.read_text(encoding="utf-8")), name.split("."), Place(path, 1, None, None))


def _below(node: yaml.Node, names: list[str], place: Place) -> Iterator[Place]:
    if not names:
        start, end = node.start_mark, node.end_mark
        yield place._replace(text=start.buffer[start.pointer : end.pointer])
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value, 1):
            if isinstance(item, yaml.MappingNode):
                yield from _below(item, names, place._replace(line=item.start_mark.line + 1, entry=number))
    elif isinstance(node, yaml.MappingNode):
        values = [(key.start_mark.line + 1, value) for key, value in node.value if key.value == names[0]]
        if not values and len(names) == 1:
            yield place
        for line, value in values:
            yield from _below(value, names[1:], place._replace(line=line))
