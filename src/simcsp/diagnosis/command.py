"""The checks in order, each with its line."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from accelerate import Accelerator

from simcsp import runs
from simcsp.command_line import parse_config
from simcsp.config import RunConfig
from simcsp.console import say
from simcsp.diagnosis.container import container
from simcsp.diagnosis.data_files import data_files
from simcsp.diagnosis.finding import Finding, Level
from simcsp.diagnosis.hardware import device, disk, memory
from simcsp.diagnosis.trial import train_briefly
from simcsp.diagnosis.versions import package_versions, python_version
from simcsp.errors import InputError
from simcsp.model.splicebert import needs_fetching
from simcsp.training.devices import make_accelerator

_SECONDS = 5.0


def diagnose(description: str) -> None:
    """Print a line per check, as soon as it is made.

    Args:
        description: for ``--help``.

    Raises:
        InputError: if the configuration makes no sense, or a check found a problem.
    """
    config = parse_config(description)
    levels = []
    for finding in _findings(config):
        say(str(finding))
        levels.append(finding.level)
    problems, warnings = levels.count(Level.PROBLEM), levels.count(Level.WARNING)
    summary = f"doctor: {len(levels)} checks, problems: {problems}, warnings: {warnings}"
    if problems:
        raise InputError(summary, hint="Mend what is called a problem above, and run this again")
    say(f"{summary}. SimCSP works here.")


def _findings(config: RunConfig) -> Iterator[Finding]:
    yield python_version()
    yield from package_versions()
    accelerator = make_accelerator(config.precision)
    yield device(accelerator)
    yield from memory(accelerator)
    for name in ("data", "data/prepared", "runs"):  # any of them may be a link to another disk
        yield disk(runs.ROOT / name, f"{name}/")
    yield from data_files(config.data)
    yield container()
    yield training(config, accelerator)


def training(config: RunConfig, accelerator: Accelerator) -> Finding:
    """Whether, and how fast, the encoder of a configuration trains here."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = train_briefly(config, accelerator, Path(folder), _SECONDS)
        except (InputError, OSError, RuntimeError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            advice = "Another device or fewer layers may do" if isinstance(error, RuntimeError) else "Mend that first"
            return Finding(Level.PROBLEM, "training", f"does not work: {reason.rstrip('.')}. {advice}.")
    init = config.encoder.init
    text = (
        f"{done.steps} steps of MLM and SimCSP with {done.parameters:,} parameters in {done.seconds:.1f} s: "
        f"{done.tokens_per_second:,.0f} tokens/s"
        f"{f' (from scratch: {init} is not here yet)' if needs_fetching(init) else ''}"
    )
    return Finding(Level.OK, "training", text)
