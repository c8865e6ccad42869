"""Unlabelled sequence for pre-training: memory-mapped tokens and a table of the regions they came from.

``tokens.bin`` holds one ``uint8`` per nucleotide, region after region; ``regions.parquet`` says where each region
begins there and where it came from (0-based half-open, strand ``+``, ``-`` or ``.`` for both).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from simcsp.config import CorpusSource, DataConfig
from simcsp.datasets.genome_annotation import AnnotatedGenome, read_tokens
from simcsp.datasets.readers.text import read_sequences
from simcsp.errors import InputError
from simcsp.sequence.alphabet import N, Tokens, encode, reverse_complement
from simcsp.sequence.fasta import Genome
from simcsp.tally import Tally

TOKENS, REGIONS = "tokens.bin", "regions.parquet"
_LONGEST_N_RUN = 10  # nt; longer runs are gaps of the assembly, and regions end there


class Region(NamedTuple):
    """One stretch of sequence without gaps; ``offset`` is its place in ``tokens.bin``."""

    species: str
    contig: str
    start: int
    end: int
    strand: str
    offset: int


class Corpus:
    """Windows drawn from the regions of a prepared corpus.

    Args:
        folder: where ``tokens.bin`` and ``regions.parquet`` are.
        window: length in nt of the windows that will be drawn.

    Raises:
        InputError: if the corpus is missing, damaged, or has no region as long as a window.
    """

    def __init__(self, folder: Path, window: int) -> None:
        if not (folder / REGIONS).exists() or not (folder / TOKENS).exists():
            raise InputError("no prepared corpus here", path=folder, hint="Run src/prepare.py first")
        try:
            table = pq.read_table(folder / REGIONS).to_pydict()
        except pa.ArrowInvalid as error:
            raise InputError("damaged table of regions", path=folder / REGIONS, hint="Prepare it again") from error
        lengths = np.array(table["end"], dtype=np.int64) - np.array(table["start"], dtype=np.int64)
        if (folder / TOKENS).stat().st_size != lengths.sum():
            raise InputError("tokens.bin and regions.parquet do not fit together", path=folder, hint="Prepare it again")
        places = np.maximum(lengths - window + 1, 0)
        if not places.sum():
            raise InputError(f"no region of the corpus is as long as a window of {window} nt", path=folder)
        self.window = window
        self._tokens: Tokens = np.memmap(folder / TOKENS, dtype=np.uint8, mode="r")
        self._offsets = np.array(table["offset"], dtype=np.int64)
        self._strandless = np.array(table["strand"]) == "."
        self._ends = np.cumsum(places)  # region r owns the places [ends[r - 1], ends[r])

    @property
    def size(self) -> int:
        """Nucleotides in the corpus."""
        return int(self._tokens.size)

    def draw(self, count: int, rng: np.random.Generator) -> Tokens:
        """Draw ``count`` windows, every place equally likely: ``(count, window)``.

        Regions without a strand are read on either strand with equal chance.
        """
        places = rng.integers(self._ends[-1], size=count)
        regions = np.searchsorted(self._ends, places, side="right")
        before = np.where(regions > 0, self._ends[regions - 1], 0)
        starts = self._offsets[regions] + places - before
        windows: Tokens = self._tokens[starts[:, None] + np.arange(self.window)]
        turned = self._strandless[regions] & (rng.random(count) < 0.5)
        windows[turned] = reverse_complement(windows[turned])
        return windows


def write_corpus(data: DataConfig, folder: Path, cache: Path) -> list[Tally]:
    """Write the corpus of all sources into ``folder``; regions shorter than a window are dropped and counted."""
    regions: list[Region] = []
    tallies: list[Tally] = []
    with (folder / TOKENS).open("wb") as stream:
        for source in data.corpus:
            tally = Tally("regions", f"{source.species} ({source.sequences.name})")
            tallies.append(tally)
            for contig, start, strand, tokens in _stretches(source, data, cache, tally, tallies):
                _append(stream, regions, source.species, (contig, start, strand), tokens, data.window, tally)
    if not regions:
        raise InputError("the sources of the corpus hold no region as long as a window", path=data.root)
    columns = {name: [getattr(region, name) for region in regions] for name in Region._fields}
    pq.write_table(pa.table(columns), folder / REGIONS)
    return tallies


def _append(
    stream: BinaryIO,
    regions: list[Region],
    species: str,
    place: tuple[str, int, str],
    tokens: Tokens,
    shortest: int,
    tally: Tally,
) -> None:
    contig, start, strand = place
    for left, right in _between_gaps(tokens):
        tally.read += 1
        if right - left < shortest:
            tally.dropped[f"shorter than a window of {shortest} nt"] += 1
            continue
        piece = tokens[left:right]
        # A region on the reverse strand is stored as it is transcribed; its coordinates stay those of the contig.
        stored = reverse_complement(piece) if strand == "-" else piece
        offset = regions[-1].offset + regions[-1].end - regions[-1].start if regions else 0
        regions.append(Region(species, contig, start + left, start + right, strand, offset))
        stream.write(stored.tobytes())


def _between_gaps(tokens: Tokens) -> Iterator[tuple[int, int]]:
    """Stretches between runs of more than ten N."""
    edges = np.flatnonzero(np.diff(tokens == N, prepend=False, append=False))
    runs: NDArray[np.intp] = edges.reshape(-1, 2)
    position = 0
    for start, end in runs[runs[:, 1] - runs[:, 0] > _LONGEST_N_RUN]:
        if start > position:
            yield position, int(start)
        position = int(end)
    if tokens.size > position:
        yield position, tokens.size


def _stretches(
    source: CorpusSource, data: DataConfig, cache: Path, tally: Tally, tallies: list[Tally]
) -> Iterator[tuple[str, int, str, Tokens]]:
    """Yield contig, start, strand and forward-strand tokens of each stretch of a source."""
    path = data.root / source.sequences
    if source.annotation is not None:
        annotated = AnnotatedGenome(
            path, data.root / source.annotation, cache, ignore_missing_contigs=source.ignore_missing_contigs
        )
        annotated.check_assembly(data.min_gt_ag)
        tallies += annotated.tallies
        for contig in annotated.contigs():
            for locus in contig.loci:
                start, end = locus.span
                yield contig.name, start, locus.strand, contig.tokens[start:end]
        annotated.genome.close()
    elif source.format == "text":
        for number, sequence in read_sequences(path):
            encoded = encode(sequence)
            if encoded.unknown:
                raise InputError(f"{encoded.unknown} letters are no nucleotide code", path=path, line=number)
            if encoded.ambiguous:
                tally.changed["ambiguous letters read as N"] += encoded.ambiguous
            yield f"line {number}", 0, "+", encoded.tokens
    else:
        genome = Genome(path, cache)
        for name, length in genome.lengths.items():
            yield name, 0, ".", read_tokens(genome, name, 0, length, tally)
        genome.close()
