"""bigWig from bedGraph, by the optional package pyBigWig."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from simcsp.extras import require_package
from simcsp.storage import whole_file

_ROWS = 1 << 16  # handed over at a time


def require_bigwig() -> None:
    """Check that bigWig can be written.

    Raises:
        InputError: if pyBigWig is not installed.
    """
    otherwise = "leave --bigwig out: bedGraph is always written"
    require_package("pyBigWig", what="bigWig", extra="bigwig", otherwise=otherwise)


def write_bigwigs(bedgraphs: Mapping[str, Path], lengths: Mapping[str, int], folder: Path) -> None:
    """Write a bigWig for every bedGraph that is not empty.

    Args:
        bedgraphs: name of the bedGraph → where it is; rows sorted by contig and position.
        lengths: nt by contig.
        folder: to write to; ``.bedgraph`` becomes ``.bw``.
    """
    import pyBigWig  # noqa: PLC0415 - optional

    for name, path in bedgraphs.items():
        if not path.stat().st_size:
            continue
        with whole_file(folder / name.replace(".bedgraph", ".bw")) as partial:
            track = pyBigWig.open(str(partial), "w")
            track.addHeader([(contig, lengths[contig]) for contig in sorted(lengths, key=str.encode)])
            with path.open(encoding="utf-8") as rows:
                for part in _batches(line.split("\t") for line in rows):
                    contigs, starts, ends, values = zip(*part, strict=True)
                    places = {"ends": [int(end) for end in ends], "values": [float(value) for value in values]}
                    track.addEntries(list(contigs), [int(start) for start in starts], **places)
            track.close()


def _batches(rows: Iterable[list[str]]) -> Iterator[list[list[str]]]:
    iterator = iter(rows)
    while part := list(islice(iterator, _ROWS)):
        yield part
