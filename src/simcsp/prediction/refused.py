"""Records that came in: each was written, or refused with its line and the reason; none is left out in silence."""

from typing import Any, NamedTuple

from simcsp.console import say
from simcsp.prediction.growing import GrowingFiles
from simcsp.tally import Tally

REFUSED = "refused.tsv"
HEAD = "line\trecord\treason\n"


class Refusal(NamedTuple):
    """One record; ``line`` is its 1-based line in the input."""

    line: int
    record: str
    reason: str


def refused_rows(refusals: list[Refusal], tally: Tally) -> str:
    """Rows of ``refused.tsv``; counted in ``tally`` by reason."""
    for refusal in refusals:
        tally.drop(refusal.reason, 1)
    return "".join(f"{line}\t{' '.join(record.split())}\t{reason}\n" for line, record, reason in refusals)


def finish_records(output: GrowingFiles, tally: Tally, written: int, summary: dict[str, Any]) -> None:
    """Finish a prediction once all records are accounted for, and say how many came in, went out, and were refused.

    Raises:
        AssertionError: if some are unaccounted for; the folder is then not finished.
    """
    refused = tally.dropped.total()
    if tally.read != written + refused:
        raise AssertionError(f"{tally.read} records read, {written} written, {refused} refused")
    output.finish({"records": tally.as_dict(), **summary})
    say(str(tally))
    say(f"predict: {tally.read:,} records in = {written:,} out + {refused:,} refused")
