"""Branch points upstream of acceptors, in the format of SpliceBERT's study.

``mercer_dataset.hg19.bed.gz`` of github.com/chenkenbio/SpliceBERT, after Mercer et al. (2015, Genome Research 25:290),
is BED6, 0-based half-open, without a header. A row is the region 18 to 44 nt upstream of an acceptor, or less where the
intron ends before. Its fifth column has a label for every nucleotide, from low to high coordinates on either strand: 1
branch point of high confidence, 0 none, -100 one of low confidence, of which nothing is asked.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from simcsp.datasets.splits import Fold
from simcsp.errors import InputError
from simcsp.sequence.alphabet import A, N, Tokens, encode, reverse_complement
from simcsp.sequence.assembly import explain_mismatch
from simcsp.sequence.bed import BedRow, read_bed6
from simcsp.sequence.fasta import Genome
from simcsp.sequence.sites import unread_share
from simcsp.tally import Tally

REGION = 27  # nucleotides that are asked about
NEAREST = 18  # nt from the exon to the last of them; the intron's last nucleotide has 1
UNKNOWN = -100
SHORTEST_WINDOW = 40  # nt, a region and what a motif reaches on either side of it

_LABELS = {"0": 0, "1": 1, "-100": UNKNOWN}
_LEAST_A = 0.5  # share of branch points that are A; of Mercer's about 0.78, of other nucleotides about 0.28
_FEW = 10  # branch points of which any share may be A


class Region(NamedTuple):
    """One row; ``labels`` are those of ``[start, end)``, from low to high coordinates."""

    contig: str
    start: int
    end: int
    strand: str
    labels: tuple[int, ...]
    line: int


class BranchPoints(NamedTuple):
    """Windows on the strand of the intron, ``n`` rows.

    Attributes:
        tokens: ``(n, L)`` nucleotide tokens; :func:`region_of` says where the region is.
        label: ``(n, 27)`` of the region's nucleotides, in the direction of transcription: 1, 0, or -100, also before
            the beginning of a region that is shorter.
        contig: ``(n,)`` as the FASTA calls it.
        origin: ``(n,)`` the region, ``contig:start-end:strand``.
    """

    tokens: Tokens
    label: NDArray[np.int8]
    contig: NDArray[np.str_]
    origin: NDArray[np.str_]

    def take(self, rows: NDArray[np.intp]) -> "BranchPoints":
        """The chosen rows."""
        return BranchPoints._make(column[rows] for column in self)

    def __str__(self) -> str:
        points, asked = int((self.label == 1).sum()), int((self.label != UNKNOWN).sum())
        contigs = len(np.unique(self.contig))
        introns = f"{len(self.label):,} introns on {contigs} contigs"
        return f"{points:,} branch points among {asked:,} nucleotides of {introns}"


def region_of(length: int) -> slice:
    """Where the region lies in a window of so many nucleotides: in the middle, as published.

    >>> region_of(510)
    slice(241, 268, None)
    """
    start = (length - REGION) // 2
    return slice(start, start + REGION)


def read_regions(path: Path, tally: Tally) -> list[Region]:
    """Regions with a branch point of high confidence; the others are counted, as published studies left them out.

    Raises:
        InputError: if a row is malformed, or no region is left.
    """
    found = []
    for row in read_bed6(path, "labels"):
        region = _region(row, path)
        tally.read += 1
        if 1 in region.labels:
            found.append(region)
        else:
            tally.drop("no branch point of high confidence", 1)
    if not found:
        raise InputError("no branch point found", path=path, hint="A row needs a label 1 in its fifth column")
    return found


def cut_regions(
    regions: Iterable[Region],
    contig_of: Mapping[str, str],
    genome: Genome,
    path: Path,
    length: int,
    max_unread: float,
    tally: Tally,
) -> BranchPoints:
    """Cut the windows of regions.

    Args:
        regions: in any order.
        contig_of: name in their file → contig of the FASTA.
        genome: the FASTA.
        path: file of the regions, for errors.
        length: of a window in nt, at least 40.
        max_unread: largest share of N in a window.
        tally: counts those that have no window.

    Raises:
        InputError: if windows are too short, a region ends beyond its contig, the branch points are no A in the FASTA,
            or no window is left.
    """
    if length < SHORTEST_WINDOW:
        raise InputError(f"a window of {length} nt is too short", hint=f"Give --window {SHORTEST_WINDOW} or more")
    rows: list[tuple[Tokens, list[int], str, str]] = []
    for region in regions:
        contig = contig_of.get(region.contig)
        if contig is None:
            tally.drop("contig not in the FASTA", 1)
            continue
        _require_inside(region, contig, genome, path)
        first = _first(region, length)
        if first < 0 or first + length > genome.lengths[contig]:
            tally.drop(f"window of {length} nt reaches beyond the contig", 1)
            continue
        window = encode(genome.fetch(contig, first, first + length)).tokens
        if unread_share(window[None])[0] > max_unread:
            tally.drop(f"more than {max_unread:.0%} N in the window", 1)
            continue
        reverse = region.strand == "-"
        labels = [UNKNOWN] * (REGION - len(region.labels)) + list(region.labels[::-1] if reverse else region.labels)
        origin = f"{contig}:{region.start}-{region.end}:{region.strand}"
        rows.append((reverse_complement(window) if reverse else window, labels, contig, origin))
    if not rows:
        raise InputError("no region has a window", path=path, hint=f"Dropped {tally.reasons}")
    windows, labelled, contigs, origins = zip(*rows, strict=True)
    found = BranchPoints(np.stack(windows), np.array(labelled, dtype=np.int8), np.array(contigs), np.array(origins))
    _require_adenines(found, genome, path)
    return found


def chromosome_folds(table: BranchPoints, count: int) -> list[Fold]:
    """Folds of whole contigs: each tests on one part and validates on the next, as published.

    Raises:
        InputError: if there are fewer contigs than folds, or a part to score on lacks one of the labels.
    """
    contigs = np.unique(table.contig).size
    if not 3 <= count <= contigs:
        raise InputError(
            f"{count} folds of {contigs} contigs: each tests on some, validates on others and trains on the rest",
            hint="Give --folds from 3 to the number of contigs with branch points",
        )
    rows = np.arange(len(table.label))
    parts = [part for _, part in GroupKFold(count).split(rows, groups=table.contig)]
    for part in parts:
        if not {0, 1} <= set(np.unique(table.label[part]).tolist()):
            raise InputError(
                f"{len(part)} introns of a fold have nucleotides of one label only", hint="Give fewer --folds"
            )
    turned = [parts[fold:] + parts[:fold] for fold in range(count)]
    return [Fold(np.sort(np.concatenate(rest)), validation, test) for test, validation, *rest in turned]


def _region(row: BedRow, path: Path) -> Region:
    contig, start, end, _, labels, strand, number = row
    if not 1 <= end - start <= REGION:
        raise InputError(f"a region has 1 to {REGION} nt, found {end - start}", path=path, line=number)
    written = labels.split(",")
    if unknown := next((label for label in written if label not in _LABELS), None):
        raise InputError(f"a label is 1, 0 or -100, found {unknown[:40]!r}", path=path, line=number)
    if len(written) != end - start:
        raise InputError(f"{len(written)} labels for {end - start} nt", path=path, line=number)
    return Region(contig, start, end, strand, tuple(_LABELS[label] for label in written), number)


def _first(region: Region, length: int) -> int:
    """Start of the window on the forward strand: the end of the region next to the acceptor has a fixed place in it."""
    behind: int = length - region_of(length).stop  # nt of the window between the region and its 3' end
    return region.start - behind if region.strand == "-" else region.end + behind - length


def _require_inside(region: Region, contig: str, genome: Genome, path: Path) -> None:
    if region.end > genome.lengths[contig]:
        raise InputError(
            f"region ends at {region.end:,}, beyond {contig} ({genome.lengths[contig]:,} nt) of {genome.path}",
            path=path, line=region.line, hint=explain_mismatch(genome.lengths, {contig: region.end}),
        )  # fmt: skip


def _require_adenines(table: BranchPoints, genome: Genome, path: Path) -> None:
    """Branch points are mostly A; where they are not, the FASTA is of another assembly, or places are off by one."""
    points = table.tokens[:, region_of(table.tokens.shape[1])][table.label == 1]
    points = points[points != N]
    share = float((points == A).mean()) if points.size else 0.0
    if points.size > _FEW and share < _LEAST_A:
        raise InputError(
            f"only {share:.0%} of {points.size:,} branch points are A in {genome.path}, where most should be",
            path=path, hint="Give the FASTA of the assembly that they are on; BED counts from 0 and leaves the end out",
        )  # fmt: skip
