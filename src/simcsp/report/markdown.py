"""Tables and lists in Markdown."""

from collections.abc import Iterable, Sequence
from typing import Any


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows of cells under a header.

    >>> print(markdown_table(["model", "F1"], [["CNN", 0.9]]))
    | model | F1 |
    |---|---|
    | CNN | 0.9 |
    """
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join([*lines, *("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)])


def markdown_list(items: Iterable[str]) -> str:
    """Items under bullets."""
    return "\n".join(f"- {item}" for item in items)
