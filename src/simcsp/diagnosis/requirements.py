"""What pyproject.toml asks for, read with nothing but Python's own library: the packages may all be missing."""

import re
import tomllib
from importlib import metadata
from typing import Any

from simcsp import runs


def required_python() -> str:
    """The range of Python versions, as in ``>=3.11,<3.14``."""
    return str(_project()["requires-python"])


def required_packages() -> list[str]:
    """Each package with its bounds, as in ``torch>=2.6,<3``."""
    return [str(requirement) for requirement in _project()["dependencies"]]


def missing_packages() -> list[str]:
    """Names of the required packages that this Python lacks."""
    return [name for name in map(_name, required_packages()) if not _installed(name)]


def _project() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((runs.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project


def _name(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0]


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
