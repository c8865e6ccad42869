"""Whether the files that a configuration names are there."""

from collections.abc import Iterator

from simcsp.config import DataConfig
from simcsp.diagnosis.finding import Finding, Level
from simcsp.errors import InputError
from simcsp.sequence.files import require_readable


def data_files(data: DataConfig) -> Iterator[Finding]:
    """One finding for each file that cannot be read, and one for all others."""
    if data.simulate is not None:
        yield Finding(Level.OK, "data", f"simulated, {data.root} is written by src/prepare.py")
        return
    if not data.files:
        yield Finding(Level.OK, "data", "no configuration with files was given: --config FILE.yaml looks for them")
        return
    readable = []
    for path in (data.root / name for name in data.files):
        try:
            require_readable(path, data.root)
        except InputError as error:
            yield Finding(Level.PROBLEM, "data", str(error))
        else:
            readable.append(path)
    size = sum(path.stat().st_size for path in readable)
    if readable:
        yield Finding(Level.OK, "data", f"{len(readable)} of {len(data.files)} files can be read, {size / 1e6:,.1f} MB")
