"""Fixtures that several test modules need."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from accelerate import Accelerator
    from torch import Tensor

# A process that a shell starts in the background ignores Ctrl-C, and so would all that the tests start and stop.
signal.signal(signal.SIGINT, signal.default_int_handler)

# One thread: sums come out the same on every machine. Read by numpy and torch, which are imported later.
for _library in ("OMP", "MKL", "OPENBLAS"):
    os.environ[f"{_library}_NUM_THREADS"] = "1"

# Where Python is told to keep no bytecode, everything that the tests start would compile torch again for seconds.
if sys.dont_write_bytecode:
    _bytecode = TemporaryDirectory(prefix="simcsp-bytecode-")  # goes with this process
    sys.dont_write_bytecode, sys.pycache_prefix = False, _bytecode.name
    os.environ["PYTHONPYCACHEPREFIX"] = _bytecode.name
    del os.environ["PYTHONDONTWRITEBYTECODE"]

# Nothing but the dinucleotides written here is a GT or an AG of either gene's strand inside the gene.
MINI_SEQUENCE = "".join(
    (
        "CCCCCCCCCC",  # 0 – 10
        "CCGTCCCCCC",  # 10 – 20, first exon of `forward`; GT at 12 is no donor
        "GTCCCCCCCCAGCCCCCCCCCCCAG",  # 20 – 45, intron; AG at 30 is no acceptor
        "CCCCCCCCCC",  # 45 – 55, second exon of `forward`
        "CCCCCGGGGG",  # 55 – 65
        "GGGGACGGGG",  # 65 – 75, second exon of `reverse`; AC at 69 is a GT of the reverse strand and no donor
        "CTGGGGGGGGGGGGCTGGGGGGGAC",  # 75 – 100, intron; CT at 89 is an AG of the reverse strand and no acceptor
        "GGGGGGGGGG",  # 100 – 110, first exon of `reverse`
        "GGGGGGGGGG",  # 110 – 120
    )
)
_EXONS = {"forward": ("+", ((11, 20), (46, 55))), "reverse": ("-", ((101, 110), (66, 75)))}  # 1-based, closed


_Exons = list[tuple[int, int]]  # 0-based half-open, rising
_HALF, _EACH = 59, 70  # letters on either side of a site, and windows of each kind


# What a configuration says of each, in the words of docs/data.md.
_SOURCES = {
    "gtf": "{format: genome, species: x, fasta: genome.fa, annotation: genes.gtf}",
    "gff3": "{format: genome, species: x, fasta: genome.fa, annotation: genes.gff3}",
    "bed12": "{format: genome, species: x, fasta: genome.fa, annotation: genes.bed}",
    "genepred": "{format: genome, species: x, fasta: genome.fa, annotation: genes.gp}",
    "introns": "{format: genome, species: x, fasta: genome.fa, annotation: introns.bed}",
    "sites": "{format: sites, species: x, fasta: genome.fa, sites: sites.bed}",
    "text": "{format: text, species: x, site: donor, positives: positives.txt, negatives: negatives.txt}",
    "spliceator": "{format: spliceator, species: x, site: donor, positives: POS.csv, negatives: NEG.csv}",
    "gue": "{format: gue, species: x, sequences: gue.csv}",
    "nt": "{format: nt, species: x, site: donor, sequences: nt.fna}",
    "groups": "{format: text, species: x, site: donor, positives: positives.txt, negatives: negatives.txt, "
    "groups: groups.tsv}",
}  # fmt: skip


class MiniGenome(NamedTuple):
    """A contig of 120 nt called ``mini`` with one gene of two exons on each strand, 0-based half-open.

    Attributes:
        sequence: letters of the forward strand.
        introns: (contig, start, end, strand, gene) of both introns.
        sites: gene → position of its donor, its acceptor, its only other GT, its only other AG.
    """

    sequence: str
    introns: tuple[tuple[str, int, int, str, str], ...]
    sites: dict[str, tuple[int, int, int, int]]
    fasta: Path
    gtf: Path
    gff3: Path


@pytest.fixture(autouse=True)
def signals_as_before() -> Iterator[None]:
    """A script that ends with an error ignores signals from then on, and what later tests start would inherit that."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True, scope="module")
def no_accelerator_left() -> Iterator[None]:
    """There is one per process, and its precision cannot be changed; the next module may ask for another."""
    yield
    if state := sys.modules.get("accelerate.state"):
        state.AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def accelerator() -> Iterator[Accelerator]:
    """The CPU in float32, whatever a test before asked for."""
    from accelerate import Accelerator  # noqa: PLC0415 - only after the number of threads is set
    from accelerate.state import AcceleratorState  # noqa: PLC0415

    AcceleratorState._reset_state(reset_partial_state=True)
    yield Accelerator(cpu=True, mixed_precision="no")
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture
def mini_genome(tmp_path: Path) -> MiniGenome:
    """The designed genome as FASTA, GTF and GFF3."""
    folder = tmp_path / "mini"
    folder.mkdir()
    fasta, gtf, gff3 = folder / "mini.fa", folder / "mini.gtf", folder / "mini.gff3"
    lines = [MINI_SEQUENCE[start : start + 50] for start in range(0, len(MINI_SEQUENCE), 50)]
    fasta.write_text(">mini designed by hand\n" + "\n".join(lines) + "\n")
    gtf.write_text("".join(_gtf_rows()))
    gff3.write_text("##gff-version 3\n" + "".join(_gff3_rows()))
    return MiniGenome(
        sequence=MINI_SEQUENCE,
        introns=(("mini", 20, 45, "+", "forward"), ("mini", 75, 100, "-", "reverse")),
        sites={"forward": (20, 43, 12, 30), "reverse": (98, 75, 69, 89)},
        fasta=fasta,
        gtf=gtf,
        gff3=gff3,
    )


@pytest.fixture
def unmasked() -> Callable[[dict[str, Tensor]], tuple[Tensor, Tensor]]:
    """``unmasked(batch)``: the tokens of a pre-training batch before masking, and where they were chosen."""

    def look_under(batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        original, chosen = batch["tokens"].clone(), batch["tokens"] < 0
        if "places" in batch:
            for window, view, number in (batch["weight"] > 0).nonzero().tolist():
                place = int(batch["places"][window, view, number])
                original[window, view, place] = batch["targets"][window, view, number]
                chosen[window, view, place] = True
        return original, chosen

    return look_under


class PublishedFormats(NamedTuple):
    """A small file of every format that can be read.

    Attributes:
        folder: that they are in; not to be written to.
        sources: format → what a configuration says of it.
    """

    folder: Path
    sources: dict[str, str]


@pytest.fixture(scope="session")
def published_formats(tmp_path_factory: pytest.TempPathFactory) -> PublishedFormats:
    """Files of every format, written from one simulated genome without the project's readers."""
    folder = tmp_path_factory.mktemp("published")
    _write_published_formats(folder)
    return PublishedFormats(folder, _SOURCES)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the public data named in data/README.md."""
    given = os.environ.get("SIMCSP_REAL_DATA")
    folder = Path(given) if given else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real data: set SIMCSP_REAL_DATA to the folder that holds them")
    return folder


def _gtf_rows() -> list[str]:
    return [
        f'mini\thand\texon\t{start}\t{end}\t.\t{strand}\t.\tgene_id "{gene}"; transcript_id "{gene}.1";\n'
        for gene, (strand, exons) in _EXONS.items()
        for start, end in exons
    ]


def _gff3_rows() -> list[str]:
    rows = []
    for gene, (strand, exons) in _EXONS.items():
        first, last = min(exons)[0], max(exons)[1]
        rows.append(f"mini\thand\tgene\t{first}\t{last}\t.\t{strand}\t.\tID={gene}\n")
        rows.append(f"mini\thand\tmRNA\t{first}\t{last}\t.\t{strand}\t.\tID={gene}.1;Parent={gene}\n")
        for start, end in exons:
            rows.append(f"mini\thand\texon\t{start}\t{end}\t.\t{strand}\t.\tParent={gene}.1\n")
    return rows


def _write_published_formats(folder: Path) -> None:
    """Write them all; contig chr1, twelve genes of four exons, on either strand."""
    import numpy as np  # noqa: PLC0415 - only after the number of threads is set

    from simcsp.sequence.simulate import GenomeSettings, write_genomes  # noqa: PLC0415

    write_genomes(GenomeSettings(genes=12, species=1, contigs=1, exons_per_gene=4), folder, seed=0)
    (folder / "ancestor.fa").rename(folder / "genome.fa")
    (folder / "ancestor.gtf").rename(folder / "genes.gtf")
    letters = "".join(line for line in (folder / "genome.fa").read_text().splitlines() if not line.startswith(">"))
    genes = _genes_of((folder / "genes.gtf").read_text())
    for name, rows in {
        "genes.gff3": ["##gff-version 3", f"##sequence-region chr1 1 {len(letters)}", *_gff3_lines(genes)],
        "genes.bed": _bed12(genes),
        "genes.gp": _genepred(genes),
        "introns.bed": [f"chr1\t{s}\t{e}\t{gene}\t0\t{strand}" for gene, strand, s, e in _introns(genes)],
        "sites.bed": _labelled_sites(genes, letters),
    }.items():
        (folder / name).write_text("\n".join(rows) + "\n")
    _write_windows(folder, np.random.default_rng(1))


def _genes_of(gtf: str) -> dict[str, tuple[str, _Exons]]:
    """Gene → strand and exons, 0-based half-open and rising."""
    exons: dict[tuple[str, str], _Exons] = defaultdict(list)
    for first, last, strand, gene in re.findall(r'\texon\t(\d+)\t(\d+)\t\.\t([+-])\t\.\tgene_id "(\w+)"', gtf):
        exons[gene, strand].append((int(first) - 1, int(last)))
    return {gene: (strand, sorted(found)) for (gene, strand), found in exons.items()}


def _introns(genes: dict[str, tuple[str, _Exons]]) -> list[tuple[str, str, int, int]]:
    return [
        (gene, strand, left[1], right[0]) for gene, (strand, exons) in genes.items() for left, right in pairwise(exons)
    ]


def _gff3_lines(genes: dict[str, tuple[str, _Exons]]) -> list[str]:
    rows = []
    for gene, (strand, exons) in genes.items():
        first, last = exons[0][0] + 1, exons[-1][1]
        rows.append(f"chr1\tx\tgene\t{first}\t{last}\t.\t{strand}\t.\tID={gene}")
        rows.append(f"chr1\tx\tmRNA\t{first}\t{last}\t.\t{strand}\t.\tID={gene}.1;Parent={gene}")
        rows += [f"chr1\tx\texon\t{start + 1}\t{end}\t.\t{strand}\t.\tParent={gene}.1" for start, end in exons]
    return rows


def _bed12(genes: dict[str, tuple[str, _Exons]]) -> list[str]:
    rows = []
    for gene, (strand, exons) in genes.items():
        start, end = exons[0][0], exons[-1][1]
        sizes = ",".join(str(last - first) for first, last in exons)
        starts = ",".join(str(first - start) for first, _ in exons)
        rows.append(f"chr1\t{start}\t{end}\t{gene}\t0\t{strand}\t{start}\t{start}\t0\t{len(exons)}\t{sizes}\t{starts}")
    return rows


def _genepred(genes: dict[str, tuple[str, _Exons]]) -> list[str]:
    rows = []
    for gene, (strand, exons) in genes.items():
        start, end = exons[0][0], exons[-1][1]
        starts, ends = (",".join(str(exon[side]) for exon in exons) + "," for side in (0, 1))
        rows.append(f"{gene}\tchr1\t{strand}\t{start}\t{end}\t{start}\t{start}\t{len(exons)}\t{starts}\t{ends}")
    return rows


def _labelled_sites(genes: dict[str, tuple[str, _Exons]], letters: str) -> list[str]:
    """The ends of all introns, and as many GT and AG of the forward strand that are none."""
    real = set()
    for _, strand, start, end in _introns(genes):
        real |= {(start, strand, "donor" if strand == "+" else "acceptor")}
        real |= {(end - 2, strand, "acceptor" if strand == "+" else "donor")}
    rows = [(place, f"chr1\t{place}\t{place + 2}\tx|{kind}\t0\t{strand}") for place, strand, kind in real]
    for kind, pair in (("donor", "GT"), ("acceptor", "AG")):
        free = [at for at in range(100, len(letters) - 100) if letters[at : at + 2] == pair]
        free = [at for at in free if (at, "+", kind) not in real]
        rows += [(at, f"chr1\t{at}\t{at + 2}\tx|non-{kind}\t0\t+") for at in free[:: len(free) // _EACH]]
    return [row for _, row in sorted(rows)]


def _write_windows(folder: Path, rng: np.random.Generator) -> None:
    def window(pair: str) -> str:
        before, behind = ("".join(rng.choice(list("ACGT"), _HALF)) for _ in range(2))
        return before + pair + behind

    donors, decoys, more = ([window("GT") for _ in range(_EACH)] for _ in range(3))
    acceptors, other = ([window("AG") for _ in range(_EACH)] for _ in range(2))
    files = {
        "positives.txt": "".join(f"> seq {row}\n{text}\n" for row, text in enumerate(donors)),
        "negatives.txt": "".join(f"{text}\n" for text in decoys),
        "POS.csv": "ID_uniprot;sequence\n" + "".join(f"P{row}_x;{text}\n" for row, text in enumerate(donors)),
        "NEG.csv": "".join(f"N{row}_x;{row};{text};FP\n" for row, text in enumerate(decoys)),
        "gue.csv": "sequence,label\n"
        + "".join(f"{text},{label}\n" for label, texts in enumerate((acceptors, donors, decoys + other))
                  for text in texts),
        "nt.fna": "".join(f">w{row}|{int(text in donors)}\n{text}\n" for row, text in enumerate(donors + more)),
        "groups.tsv": "file\tindex0\tcluster\n"
        + "".join(f"{stem}\t{row}\t{row // 2}{stem}\n" for stem in ("positives", "negatives") for row in range(_EACH)),
    }  # fmt: skip
    for name, text in files.items():
        (folder / name).write_text(text)
