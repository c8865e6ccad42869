"""Output files that grow together, and are cut back to the last whole piece after a kill."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simcsp import runs, storage
from simcsp.tally import Tally

PROGRESS = "progress.json"


class GrowingFiles:
    """Text files of one folder, written piece by piece.

    ``progress.json`` says how many pieces are done, how long every file was then, and what had been counted. It is
    written after the files are on the disk, so whatever was written behind the stated lengths belongs to a piece that
    was not finished, and goes. Files have their names once all of them are whole.

    Args:
        folder: claimed by the caller.
        heads: name of every file → what it begins with.
        tallies: counted beside; they go on from where they were.
    """

    def __init__(self, folder: Path, heads: dict[str, str], tallies: Sequence[Tally]) -> None:
        self.folder, self.names, self.tallies = folder, list(heads), tallies
        if not (folder / PROGRESS).exists():
            for name, head in heads.items():
                self._path(name).write_text(head, encoding="utf-8")
            self.done = 0
            self._record()
        self._go_on()

    @property
    def path(self) -> dict[str, Path]:
        """Where each file is for now."""
        return {name: self._path(name) for name in self.names}

    def append(self, texts: dict[str, str], pieces: int = 1) -> None:
        """Add the text of so many pieces to files; what comes after a kill begins behind them."""
        for name, text in texts.items():
            with self._path(name).open("a", encoding="utf-8") as stream:
                stream.write(text)
        self.done += pieces
        self._record()

    def finish(self, summary: dict[str, Any]) -> None:
        """Give the files their names, and mark the folder as finished."""
        for path, name in zip(self.path.values(), self.names, strict=True):
            if path.exists():
                path.replace(self.folder / name)
        runs.close_stage(self.folder, summary)
        (self.folder / PROGRESS).unlink()

    def _go_on(self) -> None:
        stored: dict[str, Any] = storage.read_json(self.folder / PROGRESS)
        self.done = stored["pieces"]
        for name, size in stored["bytes"].items():
            if self._path(name).exists():  # it has its name already if the end was interrupted
                os.truncate(self._path(name), size)
        for tally, counts in zip(self.tallies, stored["counts"], strict=True):
            tally.read = counts["read"]
            tally.dropped, tally.changed = Counter(counts["dropped"]), Counter(counts["changed"])

    def _record(self) -> None:
        for path in self.path.values():
            storage.flush_to_disk(path)
        sizes = {name: self._path(name).stat().st_size for name in self.names}
        counts = [tally.as_dict() for tally in self.tallies]
        storage.write_json(self.folder / PROGRESS, {"pieces": self.done, "bytes": sizes, "counts": counts})

    def _path(self, name: str) -> Path:
        return self.folder / f".{name}.growing"
