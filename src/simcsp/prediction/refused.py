"""Records that came in: each was written, or refused with its line and the reason; none is left out in silence."""

from collections.abc import Callable, Iterable, Sized
from typing import Any, NamedTuple, TypeVar

from tqdm import tqdm

from simcsp.console import say
from simcsp.prediction.growing import GrowingFiles
from simcsp.tally import Tally

REFUSED = "refused.tsv"
HEAD = "line\trecord\treason\n"

Part = TypeVar("Part", bound=Sized)


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


def write_records(
    output: GrowingFiles, parts: Iterable[Part], texts_of: Callable[[Part], dict[str, str]], name: str, bar: "tqdm[Any]"
) -> None:
    """Write records, a part of them at a time.

    Args:
        output: files with two tallies: of the records read, and of those written.
        parts: records that are scored together.
        texts_of: part → what each file gains; records that it refuses are counted there.
        name: of the file in which each written record is a line.
        bar: advanced by one at every record.
    """
    read, written = output.tallies
    for part in parts:
        read.read += len(part)
        texts = texts_of(part)
        written.read += texts[name].count("\n")
        output.append(texts)
        bar.update(len(part))


def finish_records(output: GrowingFiles, summary: dict[str, Any]) -> None:
    """Finish a prediction once all records are accounted for, and say how many came in, went out, and were refused.

    Args:
        output: files with two tallies, as :func:`write_records` keeps them.
        summary: what else the finished folder says.

    Raises:
        AssertionError: if some are unaccounted for; the folder is then not finished.
    """
    read, written = output.tallies
    refused = read.dropped.total()
    if read.read != written.read + refused:
        raise AssertionError(f"{read.read} records read, {written.read} written, {refused} refused")
    output.finish({"records": read.as_dict(), **summary})
    say(str(read))
    say(f"predict: {read.read:,} records in = {written.read:,} out + {refused:,} refused")
