"""Packages that only some commands need, and that the extras of pyproject.toml install."""

import importlib.util

from simcsp.errors import InputError


def require_package(package: str, *, what: str, extra: str, otherwise: str) -> None:
    """Say that a package is missing before any work is done for what needs it.

    Args:
        package: as it is imported.
        what: needs it, the subject of the sentence.
        extra: that installs it.
        otherwise: how to do without.

    Raises:
        InputError: if the package is not installed.
    """
    if importlib.util.find_spec(package) is None:
        hint = f"Run .venv/bin/pip install -e '.[{extra}]', or {otherwise}"
        raise InputError(f"{what} needs the package {package}", hint=hint)
