"""A contig designed so that every GT is known: one gene on each strand, and GT and AG before, between and behind."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from simcsp.config import DecoyConfig
from simcsp.datasets.genome_annotation import AnnotatedGenome, Contig
from simcsp.datasets.readers.decoys import draw_decoys
from simcsp.sequence.sites import DONOR, Site, splice_sites

LENGTH, APART = 600, 20
GENES = {"forward": ("+", (100, 140, 200, 240)), "reverse": ("-", (360, 400, 460, 500))}  # exon, intron, exon
INTRON_ENDS = {140: "GT", 198: "AG", 400: "CT", 458: "AC"}
FORWARD_GT = {110: "exon", 130: "exon", 150: "intron", 180: "intron", 210: "exon", 30: "far", 90: "near", 300: "far"}
REVERSE_GT = {370: "exon", 420: "intron", 560: "far", 510: "near"}  # AC on the forward strand


@pytest.fixture
def contig(tmp_path: Path) -> Contig:
    return annotated(tmp_path)


def annotated(folder: Path, tags: tuple[str, ...] = (), more: str = "") -> Contig:
    letters = ["C"] * LENGTH
    for place, pair in {**INTRON_ENDS, **dict.fromkeys(FORWARD_GT, "GT"), **dict.fromkeys(REVERSE_GT, "AC")}.items():
        letters[place : place + 2] = pair
    (folder / "genome.fa").write_text(">c\n" + "".join(letters) + "\n")
    rows = [exon_rows(gene, strand, edges, tag="wanted") for gene, (strand, edges) in GENES.items()]
    (folder / "genes.gtf").write_text("".join(rows) + more)
    (only,) = AnnotatedGenome(folder / "genome.fa", folder / "genes.gtf", folder / "cache", tags=tags).contigs()
    return only


def exon_rows(gene: str, strand: str, edges: tuple[int, ...], tag: str) -> str:
    return "".join(
        f'c\th\texon\t{start + 1}\t{end}\t.\t{strand}\t.\tgene_id "{gene}"; transcript_id "{gene}"; tag "{tag}";\n'
        for start, end in zip(edges[::2], edges[1::2], strict=True)
    )


def draw(contig: Contig, counts: Counter[str] | None = None, seed: int = 0, **wanted: object) -> list[Site]:
    decoys = DecoyConfig(**{"ratio": 100.0, **wanted})  # type: ignore[arg-type]
    real = splice_sites(contig.introns)
    return draw_decoys(
        contig, real, decoys, APART, np.random.default_rng(seed), Counter() if counts is None else counts
    )


def donors(decoys: list[Site]) -> set[tuple[int, str]]:
    return {(site.position, site.strand) for site in decoys if site.site_type == DONOR}


def expected(*regions: str) -> set[tuple[int, str]]:
    forward = {(place, "+") for place, region in FORWARD_GT.items() if region in regions}
    return forward | {(place, "-") for place, region in REVERSE_GT.items() if region in regions}


@pytest.mark.parametrize(
    ("regions", "places"),
    [
        (("exon",), ("exon",)),
        (("intron",), ("intron",)),
        (("exon", "intron"), ("exon", "intron")),
        (("intergenic",), ("far",)),
        (("intergenic", "intron"), ("far", "intron")),
    ],
)
def test_decoys_lie_in_the_regions_asked_for(contig: Contig, regions: tuple[str, ...], places: tuple[str, ...]) -> None:
    assert donors(draw(contig, regions=regions)) == expected(*places)


def test_decoys_keep_the_distances_asked_for(contig: Contig) -> None:
    """The annotated donors are at 140 on the forward strand and at 458 on the reverse strand."""
    assert donors(draw(contig, nearest=11)) == expected("exon", "intron") - {(130, "+"), (150, "+")}
    assert donors(draw(contig, nearest=10, farthest=30)) == {(110, "+"), (130, "+"), (150, "+")}
    assert donors(draw(contig, farthest=40)) == {(110, "+"), (130, "+"), (150, "+"), (180, "+"), (420, "-")}


def test_the_ratio_is_per_site_and_shared_by_the_regions(contig: Contig) -> None:
    counts: Counter[str] = Counter()
    decoys = draw(contig, counts, ratio=1.0, regions=("exon", "intron"))
    assert Counter((site.strand, site.site_type) for site in decoys)["+", DONOR] == 1
    counts.clear()
    draw(contig, counts, ratio=2.0, regions=("intergenic", "intron"))
    assert counts["intergenic"] == 2  # half of two decoys for each of two donors; there is no AG between the genes
    assert counts["intron"] == 2  # one for each donor


def test_decoys_that_there_are_not_are_counted(contig: Contig) -> None:
    counts: Counter[str] = Counter()
    draw(contig, counts, ratio=4.0, regions=("exon",))
    # Of 4 for each of 2 donors there are 3 and 1; no exon has a decoy of the 2 acceptors but what the donors' CT gives.
    assert counts["exon"] + counts["fewer than asked for"] == 16
    assert counts["exon"] == 4


def test_an_intergenic_decoy_is_a_group_of_its_own_far_from_every_gene(contig: Contig) -> None:
    decoys = draw(contig, regions=("intergenic",))
    assert {site.gene for site in decoys} == {"c:30-32", "c:300-302", "c:560-562"}
    assert not {site.gene for site in decoys} & set(contig.group_of.values())


def test_ends_of_transcripts_without_the_tag_are_neither_sites_nor_decoys(tmp_path: Path) -> None:
    """Another isoform has a donor at 110, and a gene without the tag lies around 300."""
    more = exon_rows("isoform", "+", (100, 110, 200, 240), tag="other")
    more += exon_rows("other", "+", (290, 310), tag="other")
    tagged = annotated(tmp_path, tags=("wanted",), more=more)
    assert {site.position for site in splice_sites(tagged.introns)} == {140, 198, 400, 458}
    assert donors(draw(tagged)) == expected("exon", "intron") - {(110, "+")}
    assert donors(draw(tagged, regions=("intergenic",))) == expected("far") - {(300, "+")}


def test_the_seed_decides(contig: Contig) -> None:
    draws = [frozenset(donors(draw(contig, seed=seed, ratio=1.0))) for seed in range(8)]
    assert len(set(draws)) > 1
    assert draws[0] == donors(draw(contig, seed=0, ratio=1.0))
