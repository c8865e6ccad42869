"""Numbers of a training: ``metrics.jsonl`` is the truth, TensorBoard a view of it."""

import json
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from torch.utils.tensorboard import SummaryWriter

from simcsp import runs, storage
from simcsp.training.dashboard import tag_of


class RunLog:
    """Append-only record of one training.

    Args:
        folder: of the training.
        step: the step it goes on from; what an interrupted run wrote after it is dropped.
    """

    def __init__(self, folder: Path, step: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / runs.METRICS
        kept = [record for record in read_metrics(folder) if record["step"] <= step] if step else []
        storage.write_text(self._path, "".join(f"{json.dumps(record)}\n" for record in kept))
        self.writer = SummaryWriter(str(folder), purge_step=step + 1 if step else 0)

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Record named numbers of one step; TensorBoard shows them as :mod:`simcsp.training.dashboard` arranges.

        What is not finite is null in the record, and left to TensorBoard as it is.
        """
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(storage.finite({"step": step, **values})) + "\n")
        for name, value in values.items():
            self.writer.add_scalar(tag_of(name), value, step)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.writer.close()


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """Records of a training, oldest first; a line cut off by a crash ends the reading."""
    records = []
    path = folder / runs.METRICS
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                records.append(json.loads(line))
            except json.JSONDecodeError:
                break
    return records
