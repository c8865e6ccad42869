"""What a check found, in one line."""

from enum import StrEnum
from typing import NamedTuple


class Level(StrEnum):
    """How bad it is; only a problem keeps SimCSP from working."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(NamedTuple):
    """The outcome of one check.

    Attributes:
        level: how bad it is.
        check: what was looked at, in a word or two.
        text: what was found and, unless all is well, what to do about it.
    """

    level: Level
    check: str
    text: str

    def __str__(self) -> str:
        return f"{self.level:<7}  {self.check:<10}  {' '.join(self.text.split())}"
