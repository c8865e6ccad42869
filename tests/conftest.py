"""Fixtures that several test modules need."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

# One thread: sums come out the same on every machine. Read by numpy and torch, which are imported later.
for _library in ("OMP", "MKL", "OPENBLAS"):
    os.environ[f"{_library}_NUM_THREADS"] = "1"

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
