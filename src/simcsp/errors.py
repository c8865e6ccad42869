"""Errors a user can mend: one sentence that names the file, the line, the fault and the way out."""

import copyreg
import errno
from pathlib import Path
from typing import Any

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says when the disk, the user's share of it, or the largest size of a file is used up."""


class InputError(Exception):
    """Something given to the program is wrong.

    Raised where the fact is known and printed once, without a traceback, at the edge of a script.

    Args:
        problem: what is wrong, as a clause without a full stop.
        path: the file it was found in.
        line: the 1-based line or record number in that file.
        hint: what to do about it, as a clause without a full stop, or a question.
    """

    def __init__(
        self, problem: str, *, path: Path | str | None = None, line: int | None = None, hint: str = ""
    ) -> None:
        where = "" if path is None else f"{path}: " if line is None else f"{path}, line {line}: "
        end = "" if hint.endswith("?") else "."
        super().__init__(f"{where}{problem}.{f' {hint}{end}' if hint else ''}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep the sentence as it is on the way from one process to another."""
        return copyreg.__newobj__, (type(self), *self.args)  # type: ignore[attr-defined]
