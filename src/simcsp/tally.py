"""Counts of what was read, kept and dropped, so that nothing is skipped in silence."""

from collections import Counter
from dataclasses import dataclass, field
from typing import SupportsInt


@dataclass
class Tally:
    """What one reader saw in one source.

    Attributes:
        what: the kind of record, in the plural ("introns", "windows").
        source: where the records came from.
        read: records seen.
        dropped: records left out, by reason.
        changed: things kept after a change, by reason (ambiguous letters read as N, …).
    """

    what: str
    source: str
    read: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)

    def drop(self, reason: str, count: SupportsInt) -> None:
        """Count records that are left out; where there are none, their reason is not mentioned."""
        if number := int(count):
            self.dropped[reason] += number

    @property
    def kept(self) -> int:
        """Records that went on."""
        return self.read - self.dropped.total()

    @property
    def reasons(self) -> str:
        """Why records were dropped, for the sentence of an error."""
        return ", ".join(f"{count:,}: {reason}" for reason, count in sorted(self.dropped.items()) if count)

    def as_dict(self) -> dict[str, object]:
        """For the manifest."""
        return {
            "what": self.what,
            "source": self.source,
            "read": self.read,
            "kept": self.kept,
            "dropped": dict(sorted(self.dropped.items())),
            "changed": dict(sorted(self.changed.items())),
        }

    def __str__(self) -> str:
        lines = [f"{self.source}: {self.read:,} {self.what} read, {self.kept:,} kept"]
        lines += [f"    dropped {count:,}: {reason}" for reason, count in sorted(self.dropped.items()) if count]
        lines += [f"    changed {count:,}: {reason}" for reason, count in sorted(self.changed.items()) if count]
        return "\n".join(lines)
