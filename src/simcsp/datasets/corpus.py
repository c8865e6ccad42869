"""Unlabelled sequence for pre-training: memory-mapped tokens and a table of the regions they came from.

``tokens.bin`` holds one ``uint8`` per nucleotide, region after region: the token, plus 128 where the base was written
in lower case (a repeat, in UCSC's and Ensembl's soft-masked genomes). ``regions.parquet`` says where each region begins
there and where it came from (0-based half-open, strand ``+``, ``-`` or ``.`` for both).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from simcsp.config import CorpusSource, DataConfig
from simcsp.console import progress
from simcsp.datasets.genome_annotation import AnnotatedGenome
from simcsp.datasets.low_complexity import kept_stretches
from simcsp.datasets.readers.text import read_sequences
from simcsp.errors import InputError
from simcsp.sequence.alphabet import Tokens, reverse_complement
from simcsp.sequence.assembly import require_assembly, resolve_contigs
from simcsp.sequence.fasta import Genome, nucleotides
from simcsp.tally import Tally

TOKENS, REGIONS = "tokens.bin", "regions.parquet"
SOFT = 0x80  # added to a token in tokens.bin
_PIECE = 1 << 24  # nt of a contig held in memory at a time


class Region(NamedTuple):
    """One stretch of sequence without gaps; ``offset`` is its place in ``tokens.bin``."""

    species: str
    contig: str
    start: int
    end: int
    strand: str
    offset: int


class Drawn(NamedTuple):
    """Windows of a corpus.

    Attributes:
        tokens: ``(count, window)``.
        soft: ``(count, window)`` true where the base was written in lower case.
        contig: ``(count,)`` number of the contig, different for each contig of each species.
        start: ``(count,)`` 0-based first nucleotide on the forward strand of the contig.
    """

    tokens: Tokens
    soft: NDArray[np.bool_]
    contig: NDArray[np.int64]
    start: NDArray[np.int64]


class Corpus:
    """Windows drawn from the regions of a prepared corpus.

    Args:
        folder: where ``tokens.bin`` and ``regions.parquet`` are.
        window: length in nt of the longest windows that will be drawn.
        balance: whether every place or every species is drawn equally often.

    Raises:
        InputError: if the corpus is missing, damaged, or (one species of it) has no region as long as a window.
    """

    def __init__(
        self, folder: Path, window: int, *, balance: Literal["nucleotides", "species"] = "nucleotides"
    ) -> None:
        table = _read_regions(folder)
        self.folder, self.window = folder, window
        self._tokens: Tokens = np.memmap(folder / TOKENS, dtype=np.uint8, mode="r")
        species, number = np.unique(table["species"], return_inverse=True)
        order = np.argsort(number, kind="stable")  # a species' regions side by side
        self._offsets, self._lengths = table["offset"][order], table["length"][order]
        self._strandless, self._reverse = (table["strand"][order] == strand for strand in (".", "-"))
        contigs = np.char.add(np.char.add(table["species"], "\t"), table["contig"])
        self._contigs = np.unique(contigs, return_inverse=True)[1][order]
        self._starts = table["start"][order]
        # Regions up to last[s] belong to species s, or to the only stratum that there is.
        self._last = np.cumsum(np.bincount(number)) if balance == "species" else np.array([order.size])
        self._strata = species if balance == "species" else np.array(["the corpus"])
        self._ends_of: tuple[int, NDArray[np.int64]] = (0, np.empty(0, dtype=np.int64))
        self.require_regions_of(window)

    @property
    def size(self) -> int:
        """Nucleotides in the corpus."""
        return int(self._tokens.size)

    def require_regions_of(self, length: int) -> None:
        """Make sure that windows of a length in nt can be drawn.

        Raises:
            InputError: if (one species of) the corpus has no region as long as that.
        """
        places = np.diff(self._ends(length)[self._last - 1], prepend=0)
        if not places.all():
            whose = self._strata[np.argmin(places)]
            raise InputError(f"no region of {whose} is as long as a window of {length} nt", path=self.folder)

    def draw(self, count: int, rng: np.random.Generator, window: int = 0) -> Drawn:
        """Draw ``count`` windows of ``window`` nt, or of the longest length.

        Regions without a strand are read on either strand with equal chance.
        """
        window = window or self.window
        ends = self._ends(window)
        bounds = np.concatenate([[0], ends[self._last - 1]])
        stratum = rng.integers(self._last.size, size=count)
        places = rng.integers(bounds[stratum], bounds[stratum + 1])
        regions = np.searchsorted(ends, places, side="right")
        before = np.where(regions > 0, ends[regions - 1], 0)
        inside = places - before
        stored: Tokens = self._tokens[(self._offsets[regions] + inside)[:, None] + np.arange(window)]
        tokens, soft = stored & ~np.uint8(SOFT), stored >= SOFT
        turned = self._strandless[regions] & (rng.random(count) < 0.5)
        tokens[turned], soft[turned] = reverse_complement(tokens[turned]), soft[turned, ::-1]
        # A region of the reverse strand is stored from its end on.
        along = np.where(self._reverse[regions], self._lengths[regions] - window - inside, inside)
        return Drawn(tokens, soft, self._contigs[regions], self._starts[regions] + along)

    def _ends(self, window: int) -> NDArray[np.int64]:
        """Region ``r`` owns the places ``[ends[r - 1], ends[r])`` of windows of this length."""
        if self._ends_of[0] != window:
            self._ends_of = window, np.cumsum(np.maximum(self._lengths - window + 1, 0))
        return self._ends_of[1]


def read_pieces(folder: Path, length: int, overlap: int) -> Iterator[tuple[Region, Tokens]]:
    """Tokens of a prepared corpus without the marks of lower case, region by region, long ones in pieces.

    Args:
        folder: of the corpus.
        length: of a piece in nt, at most.
        overlap: nt that two pieces of one region share.
    """
    stored: Tokens = np.memmap(folder / TOKENS, dtype=np.uint8, mode="r")
    for row in pq.read_table(folder / REGIONS).to_pylist():
        region = Region(**row)
        for start in range(0, max(1, region.end - region.start - overlap), length - overlap):
            end = min(start + length, region.end - region.start)
            yield region, stored[region.offset + start : region.offset + end] & ~np.uint8(SOFT)


def write_corpus(data: DataConfig, folder: Path, cache: Path) -> list[Tally]:
    """Write the corpus of all sources into ``folder``.

    Gaps, chunks of many N or low complexity, and regions shorter than a window are left out and counted.
    """
    tallies: list[Tally] = []
    with (folder / TOKENS).open("wb") as stream:
        writer = _RegionWriter(stream, data)
        for source in data.corpus:
            what = "nucleotides" if source.annotation is None else "nucleotides of genes"
            tally = Tally(what, f"{source.species} ({source.sequences.name})")
            tallies.append(tally)
            for contig, start, strand, letters in _stretches(source, data, cache, tally, tallies):
                writer.write(source.species, contig, start, strand, letters, tally)
    if not writer.regions:
        raise InputError("the sources of the corpus hold no region as long as a window", path=data.root)
    columns = {name: [getattr(region, name) for region in writer.regions] for name in Region._fields}
    pq.write_table(pa.table(columns), folder / REGIONS)
    return tallies


class _RegionWriter:
    """Appends regions to ``tokens.bin`` and joins those that follow each other on a contig."""

    def __init__(self, stream: BinaryIO, data: DataConfig) -> None:
        self.stream, self.data = stream, data
        self.regions: list[Region] = []
        self._size = 0

    def write(self, species: str, contig: str, start: int, strand: str, letters: "_Letters", tally: Tally) -> None:
        tokens, soft = letters
        tally.read += tokens.size
        for left, right in kept_stretches(tokens, self.data.chunks, tally):
            if right - left < self.data.window:
                tally.dropped[f"in stretches shorter than a window of {self.data.window} nt"] += right - left
                continue
            # A region on the reverse strand is stored as it is transcribed; its coordinates stay those of the contig.
            piece, marks = tokens[left:right], soft[left:right]
            if strand == "-":
                piece, marks = reverse_complement(piece), marks[::-1]
            self.stream.write((piece | np.where(marks, np.uint8(SOFT), np.uint8(0))).tobytes())
            self._append(Region(species, contig, start + left, start + right, strand, self._size))

    def _append(self, region: Region) -> None:
        self._size += region.end - region.start
        last = self.regions[-1] if self.regions else None
        # On the reverse strand what follows on the contig is stored behind, but comes before in the transcript.
        if last and region.strand != "-" and last[:2] + last[3:5] == (*region[:2], region.start, region.strand):
            self.regions[-1] = last._replace(end=region.end)
        else:
            self.regions.append(region)


_Letters = tuple[Tokens, NDArray[np.bool_]]


def _stretches(
    source: CorpusSource, data: DataConfig, cache: Path, tally: Tally, tallies: list[Tally]
) -> Iterator[tuple[str, int, str, _Letters]]:
    """Yield contig, start, strand and the forward strand of each stretch of a source."""
    path = data.root / source.sequences
    if source.format == "text":
        for number, sequence in read_sequences(path):
            yield f"{path.name} line {number}", 0, "+", _encoded(sequence, tally, path=path, line=number)
    elif source.annotation is not None:
        yield from _transcribed(source, data, cache, tally, tallies)
    else:
        genome = Genome(path, cache)
        require_assembly(genome.lengths, source.assembly, path)
        held_out = _held_out(source, genome, tally)
        total = sum(length for name, length in genome.lengths.items() if name not in held_out)
        with progress(None, f"prepare: {source.species}", unit="nt", total=total, scale=True) as bar:
            for name, length in genome.lengths.items():
                for start in range(0, 0 if name in held_out else length, _PIECE):
                    end = min(start + _PIECE, length)
                    yield name, start, ".", _encoded(genome.fetch(name, start, end), tally, path=path, contig=name)
                    bar.update(end - start)
        genome.close()


def _transcribed(
    source: CorpusSource, data: DataConfig, cache: Path, tally: Tally, tallies: list[Tally]
) -> Iterator[tuple[str, int, str, _Letters]]:
    """The pre-mRNA of every locus: from the first to the last exon, on its strand."""
    if source.annotation is None:
        raise ValueError("a transcribed source has an annotation")
    path = data.root / source.sequences
    annotated = AnnotatedGenome(
        path,
        data.root / source.annotation,
        cache,
        ignore_missing_contigs=source.ignore_missing_contigs,
        assembly=source.assembly,
    )
    annotated.check_assembly(data.min_gt_ag)
    tallies += annotated.tallies
    held_out = _held_out(source, annotated.genome, tally)
    for contig in annotated.contigs():
        for locus in contig.loci:
            start, end = locus.span
            if contig.name in held_out:
                tally.read += end - start
                tally.drop(f"held out: {contig.name}", end - start)
                continue
            letters = annotated.genome.fetch(contig.name, start, end)
            yield contig.name, start, locus.strand, _encoded(letters, tally, path=path, contig=contig.name)
    annotated.genome.close()


def _held_out(source: CorpusSource, genome: Genome, tally: Tally) -> set[str]:
    """Contigs that are left out, as the FASTA calls them."""
    resolved, unknown = resolve_contigs(source.hold_out, genome.lengths)
    if unknown:
        raise InputError(
            f"contig {sorted(unknown)[0]} is to be held out and is not there", path=genome.path,
            hint="Correct hold_out; names like chr21, 21 and NC_000021.9 are understood",
        )  # fmt: skip
    held_out = set(resolved.values())
    if held_out and source.annotation is None:
        size = sum(genome.lengths[name] for name in held_out)
        tally.read += size
        tally.dropped[f"held out: {', '.join(sorted(held_out))}"] += size
    return held_out


def _encoded(letters: bytes, tally: Tally, *, path: Path, line: int | None = None, contig: str = "") -> _Letters:
    soft = np.frombuffer(letters, dtype=np.uint8) >= ord("a")
    return nucleotides(letters, tally, path=path, line=line, contig=contig), soft


def _read_regions(folder: Path) -> dict[str, NDArray[Any]]:
    if not (folder / REGIONS).exists() or not (folder / TOKENS).exists():
        raise InputError("no prepared corpus here", path=folder, hint="Run src/prepare.py first")
    try:
        table = pq.read_table(folder / REGIONS)
    except pa.ArrowInvalid as error:
        raise InputError("damaged table of regions", path=folder / REGIONS, hint="Prepare it again") from error
    columns = {name: table.column(name).to_numpy() for name in ("start", "end", "offset")}
    lengths = columns["end"] - columns["start"]
    if (folder / TOKENS).stat().st_size != lengths.sum():
        raise InputError("tokens.bin and regions.parquet do not fit together", path=folder, hint="Prepare it again")
    names = {name: np.array(table.column(name).to_pylist(), dtype=str) for name in ("species", "contig", "strand")}
    return {**names, "start": columns["start"], "offset": columns["offset"], "length": lengths}
