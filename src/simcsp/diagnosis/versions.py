"""Whether Python and the packages are those that SimCSP was made for."""

import platform
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from simcsp.diagnosis.finding import Finding, Level
from simcsp.diagnosis.requirements import required_packages, required_python

_NAMED = ("torch", "transformers", "accelerate", "numpy")  # whose versions anyone who helps asks for first


def python_version() -> Finding:
    """Python's own."""
    version, wanted = platform.python_version(), required_python()
    if SpecifierSet(wanted).contains(version, prereleases=True):
        return Finding(Level.OK, "Python", version)
    advice = "Give another one: PYTHON=python3.12 bash run.sh setup, once .venv is gone"
    return Finding(Level.PROBLEM, "Python", f"{version}, needed is {wanted}. {advice}.")


def package_versions() -> Iterator[Finding]:
    """One finding for each package that is missing or out of bounds, and one for all others."""
    right: dict[str, str] = {}
    for requirement in map(Requirement, required_packages()):
        version = _version(requirement.name)
        if version is not None and requirement.specifier.contains(version, prereleases=True):
            right[requirement.name] = version
            continue
        found = "is missing" if version is None else f"is {version}"
        text = f"{requirement.name} {found}, needed is {requirement.specifier}. bash run.sh setup installs it."
        yield Finding(Level.PROBLEM, "packages", text)
    named = ", ".join(f"{name} {right[name]}" for name in _NAMED if name in right)
    yield Finding(Level.OK, "packages", f"{len(right)} within the bounds of pyproject.toml: {named}")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
