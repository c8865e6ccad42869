"""Look at whether SimCSP works here: versions, device, memory, disk, data, container, five seconds of training.

    python src/doctor.py
    python src/doctor.py --config configs/human.yaml     # looks for its data, trains its encoder
    bash run.sh doctor configs/human.yaml                # the same, with .venv

One line per check: ok, warning or problem, and what to do about it. Writes nothing but a temporary folder. The status
is 1 if there is a problem.
"""

import sys
from typing import NoReturn

from simcsp.diagnosis.finding import Finding, Level
from simcsp.diagnosis.requirements import missing_packages


def main() -> None:
    """Say what is missing before anything is imported that may be missing; else go through all checks."""
    if missing := missing_packages():
        advice = "bash run.sh setup installs what SimCSP needs into .venv"
        _end(f"{sys.executable} lacks {', '.join(missing)}. {advice}.")
    try:
        from simcsp.console import run_script  # noqa: PLC0415 - these need the packages
        from simcsp.diagnosis.command import diagnose  # noqa: PLC0415
    except (ImportError, OSError) as error:  # a library is there and cannot be loaded
        _end(f"cannot be loaded: {error}. Delete .venv and run bash run.sh setup.")
    run_script(lambda: diagnose(str(__doc__)))


def _end(text: str) -> NoReturn:
    print(Finding(Level.PROBLEM, "packages", text))
    sys.exit(1)


if __name__ == "__main__":
    main()
