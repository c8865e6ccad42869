import platform
from importlib import metadata

import pytest

from simcsp.diagnosis.finding import Level
from simcsp.diagnosis.requirements import missing_packages, required_packages
from simcsp.diagnosis.versions import package_versions, python_version

real_version = metadata.version


@pytest.mark.parametrize(
    ("version", "level"),
    [("3.10.14", Level.PROBLEM), ("3.11.0", Level.OK), ("3.13.9", Level.OK), ("3.14.0", Level.PROBLEM)],
)
def test_python_within_its_range(version: str, level: Level, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "python_version", lambda: version)
    found = python_version()
    assert found.level is level
    assert version in found.text


def test_all_packages_of_the_tested_environment_are_right() -> None:
    assert missing_packages() == []
    (found,) = package_versions()
    assert found.level is Level.OK
    assert found.text.startswith(f"{len(required_packages())} within the bounds")
    assert f"torch {real_version('torch')}" in found.text


@pytest.mark.parametrize(
    ("version", "right"), [("2.5.1", False), ("2.6.0", True), ("2.13.0+cu130", True), ("3.0.0", False)]
)
def test_torch_out_of_bounds_is_named_with_the_bounds(
    version: str, *, right: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: version if name == "torch" else real_version(name))
    *problems, rest = package_versions()
    assert rest.level is Level.OK
    if right:
        assert problems == []
    else:
        (problem,) = problems
        assert problem.level is Level.PROBLEM
        assert problem.text == f"torch is {version}, needed is <3,>=2.6. bash run.sh setup installs it."


def test_missing_package_is_found_by_both_ways_of_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "umap-learn":
            raise metadata.PackageNotFoundError(name)
        return real_version(name)

    monkeypatch.setattr(metadata, "version", version)
    assert missing_packages() == ["umap-learn"]
    problem, _ = package_versions()
    assert problem.text.startswith("umap-learn is missing, needed is ")


def test_names_are_read_as_packaging_reads_them() -> None:
    from packaging.requirements import Requirement  # noqa: PLC0415 - what the code must do without

    from simcsp.diagnosis.requirements import _name  # noqa: PLC0415

    assert [_name(text) for text in required_packages()] == [Requirement(text).name for text in required_packages()]
