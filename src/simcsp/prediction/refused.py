"""Records that could not be scored: each with its line and the reason, none left out in silence."""

from typing import NamedTuple

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


def account(tally: Tally, written: int) -> str:
    """The last word on records: how many came in, went out, and were refused.

    Raises:
        AssertionError: if some are unaccounted for.
    """
    refused = tally.dropped.total()
    if tally.read != written + refused:
        raise AssertionError(f"{tally.read} records read, {written} written, {refused} refused")
    return f"predict: {tally.read:,} records in = {written:,} out + {refused:,} refused"
