"""The commits of docs/extending.md apply to the code as it is, keep to its style, and do what they say."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
COMMITS = re.findall(r"^````diff\n(.*?)^````$", (ROOT / "docs" / "extending.md").read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout with every commit of the page."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    copy = tmp_path_factory.mktemp("extended")
    for name in ("src", "tests", "docs"):  # with the bytecode, or all of it would be compiled once more
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("*.egg-info", "*.png"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    for commit in COMMITS:
        (copy / "commit.diff").write_text(commit)
        done = subprocess.run(
            ["git", "apply", "--whitespace=error", "commit.diff"], cwd=copy, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"docs/extending.md is not of this code any more: {done.stderr}"
    return copy


def run(folder: Path, *command: str) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_kind_of_extension_is_one_commit() -> None:
    assert len(COMMITS) == 3


def test_commits_keep_to_the_style(extended: Path) -> None:
    run(extended, "ruff", "check", "--no-cache", "src", "tests")
    run(extended, "ruff", "format", "--no-cache", "--check", "src", "tests")


def test_tests_that_the_commits_bring_pass(extended: Path) -> None:
    new = r"^--- /dev/null\n\+\+\+ b/(tests/\S+)$"
    brought = [name for commit in COMMITS for name in re.findall(new, commit, re.MULTILINE)]
    assert len(brought) == len(COMMITS)
    example = "tests/test_docs.py::test_every_format_has_an_example"
    run(extended, "pytest", "-p", "no:cacheprovider", *brought, example)
