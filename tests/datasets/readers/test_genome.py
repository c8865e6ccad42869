from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcsp.config import DataConfig, DecoyConfig, WindowSource
from simcsp.datasets.readers import READERS
from simcsp.datasets.windows import WindowTable
from simcsp.errors import InputError
from simcsp.sequence.alphabet import decode
from simcsp.tally import Tally

if TYPE_CHECKING:
    from tests.conftest import MiniGenome


def read(
    fasta: Path,
    annotation: Path,
    cache: Path,
    *,
    seed: int = 0,
    decoys: DecoyConfig | None = None,
    tags: tuple[str, ...] = (),
    assembly: str | None = None,
    **data: Any,
) -> tuple[WindowTable, list[Tally]]:
    fields: dict[str, Any] = {"fasta": fasta, "annotation": annotation, "tags": tags, "assembly": assembly}
    source = WindowSource(format="genome", species="mini", decoys=decoys or DecoyConfig(), **fields)
    return READERS["genome"](source, DataConfig(**data), cache, np.random.default_rng(seed))


def rows_of(table: WindowTable) -> dict[str, tuple[str, int, int, str]]:
    """Origin → letters, label, site type, group."""
    columns = zip(table.origin, table.tokens, table.label, table.site_type, table.group, strict=True)
    return {str(o): (decode(w), int(label), int(kind), str(group)) for o, w, label, kind, group in columns}


@pytest.mark.parametrize("form", ["gtf", "gff3"])
def test_the_designed_genome_gives_its_sites_and_decoys(mini_genome: "MiniGenome", tmp_path: Path, form: str) -> None:
    table, tallies = read(mini_genome.fasta, getattr(mini_genome, form), tmp_path / "cache", window=20)
    rows = {origin: row[:3] for origin, row in rows_of(table).items()}
    assert rows == {
        "mini:20-22:+": ("CGTCCCCCC" "GT" "CCCCCCCCA", 1, 0),
        "mini:43-45:+": ("CCCCCCCCC" "AG" "CCCCCCCCC", 1, 1),
        "mini:75-77:-": ("CCCCCCCCC" "AG" "CCCCGTCCC", 1, 1),
        "mini:98-100:-": ("CCCCCCCCC" "GT" "CCCCCCCAG", 1, 0),
        "mini:12-14:+": ("CCCCCCCCC" "GT" "CCCCCCGTC", 0, 0),
        "mini:30-32:+": ("TCCCCCCCC" "AG" "CCCCCCCCC", 0, 1),
        "mini:69-71:-": ("CCCAGCCCC" "GT" "CCCCCCCCC", 0, 0),
        "mini:89-91:-": ("GTCCCCCCC" "AG" "CCCCCCCCC", 0, 1),
    }  # fmt: skip
    assert set(table.species.tolist()) == {"mini"}
    assert [tally.what for tally in tallies] == ["transcripts", "introns", "contigs", "sites and decoys"]
    assert (tallies[-1].read, tallies[-1].kept) == (8, 8)


def test_genes_whose_windows_may_overlap_share_a_group(mini_genome: "MiniGenome", tmp_path: Path) -> None:
    """The genes are ten bases apart, the windows twenty long."""
    table, _ = read(mini_genome.fasta, mini_genome.gtf, tmp_path / "cache", window=20)
    assert set(table.group.tolist()) == {"forward"}


def test_windows_beyond_the_contig_are_dropped_and_counted(mini_genome: "MiniGenome", tmp_path: Path) -> None:
    table, tallies = read(mini_genome.fasta, mini_genome.gtf, tmp_path / "cache", window=50)
    assert set(rows_of(table)) == {
        "mini:43-45:+", "mini:30-32:+", "mini:75-77:-", "mini:69-71:-", "mini:89-91:-"
    }  # fmt: skip
    assert tallies[-1].dropped == {"window of 50 nt reaches beyond the contig": 3}


def test_a_genome_too_small_for_any_window_is_refused(mini_genome: "MiniGenome", tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"mini\.gtf: no site is left to learn from\. Dropped 8: window of 200 nt reaches"
    ):
        read(mini_genome.fasta, mini_genome.gtf, tmp_path / "cache", window=200)


def test_sites_without_gt_or_ag_are_dropped_and_counted(mini_genome: "MiniGenome", tmp_path: Path) -> None:
    letters = mini_genome.sequence
    mini_genome.fasta.write_text(f">mini\n{letters[:20]}GC{letters[22:]}\n")
    table, tallies = read(mini_genome.fasta, mini_genome.gtf, tmp_path / "cache", window=20)
    assert "mini:20-22:+" not in rows_of(table)
    assert tallies[-1].dropped == {"no GT (donor) or AG (acceptor)": 1}
    assert tallies[-1].source == "mini (50.0% of introns GT–AG; decoys: 2 exon, 2 intron)"


def test_windows_with_too_much_n_are_dropped_and_counted(mini_genome: "MiniGenome", tmp_path: Path) -> None:
    letters = mini_genome.sequence
    mini_genome.fasta.write_text(f">mini\n{letters[:46]}NN{letters[48:]}\n")
    for max_unread, kept in ((0.1, True), (0.09, False)):
        table, tallies = read(mini_genome.fasta, mini_genome.gtf, tmp_path / "cache", window=20, max_unread=max_unread)
        assert ("mini:43-45:+" in rows_of(table)) is kept
        assert tallies[-1].dropped == ({} if kept else {"more than 9% N": 1})


def test_another_assembly_is_refused(mini_genome: "MiniGenome", tmp_path: Path) -> None:
    mini_genome.fasta.write_text(f">mini\nA{mini_genome.sequence}\n")
    with pytest.raises(InputError, match=r"only 0\.0% of 2 introns are GT–AG"):
        read(mini_genome.fasta, mini_genome.gtf, tmp_path / "cache", window=20)


def test_only_transcripts_with_the_tag_give_sites(mini_genome: "MiniGenome", tmp_path: Path) -> None:
    rows = mini_genome.gtf.read_text().replace('"forward.1";', '"forward.1"; tag "MANE_Select";')
    mini_genome.gtf.write_text(rows)
    table, tallies = read(mini_genome.fasta, mini_genome.gtf, tmp_path / "cache", window=20, tags=("MANE_Select",))
    assert set(rows_of(table)) == {"mini:20-22:+", "mini:43-45:+", "mini:12-14:+", "mini:30-32:+"}
    assert tallies[0].dropped == {"without tag MANE_Select": 1}


def test_decoys_are_drawn_where_the_configuration_says(mini_genome: "MiniGenome", tmp_path: Path) -> None:
    wanted = DecoyConfig(regions=("exon",), nearest=8)
    table, tallies = read(mini_genome.fasta, mini_genome.gtf, tmp_path / "cache", window=20, decoys=wanted)
    assert set(table.origin[table.label == 0].tolist()) == {"mini:12-14:+", "mini:69-71:-"}
    assert tallies[-1].source.endswith("decoys: 2 exon, 2 fewer than asked for)")


def test_a_fasta_that_is_not_the_assembly_asked_for_is_refused(mini_genome: "MiniGenome", tmp_path: Path) -> None:
    with pytest.raises(InputError, match="this FASTA should be hg38"):
        read(mini_genome.fasta, mini_genome.gtf, tmp_path / "cache", window=20, assembly="hg38")


def test_paths_start_from_the_root(mini_genome: "MiniGenome", tmp_path: Path) -> None:
    table, _ = read(Path("mini.fa"), Path("mini.gtf"), tmp_path / "cache", window=20, root=mini_genome.fasta.parent)
    assert len(table.label) == 8


GENES = st.lists(
    st.tuples(st.integers(0, 800), st.integers(5, 60), st.integers(20, 90), st.sampled_from("+-")),
    min_size=1,
    max_size=8,
)


def random_genome(folder: Path, genes: list[tuple[int, int, int, str]], seed: int) -> tuple[str, Path, Path]:
    """A contig with genes of two exons; GT and AG are put at the ends of each intron, in the order of the genes."""
    letters = np.random.default_rng(seed).choice(list("ACGT"), 1100)
    rows = []
    for number, (start, exon, intron, strand) in enumerate(genes):
        left, right = start + exon, start + exon + intron
        letters[[left, left + 1, right - 2, right - 1]] = list("GTAG" if strand == "+" else "CTAC")
        for first, last in ((start + 1, left), (right + 1, right + exon)):
            rows.append(f"c\tx\texon\t{first}\t{last}\t.\t{strand}\t.\tgene_id g{number}; transcript_id t{number}\n")
    (folder / "c.fa").write_text(">c\n" + "".join(letters) + "\n")
    (folder / "c.gtf").write_text("".join(rows))
    return "".join(letters), folder / "c.fa", folder / "c.gtf"


@settings(max_examples=30, deadline=None)
@given(genes=GENES, seed=st.integers(0, 99), ratio=st.sampled_from([0.5, 1.0, 3.0]))
def test_windows_of_any_genome_keep_the_promises_of_the_table(
    tmp_path_factory: pytest.TempPathFactory, genes: list[tuple[int, int, int, str]], seed: int, ratio: float
) -> None:
    folder, half = tmp_path_factory.mktemp("genome"), 15
    letters, fasta, gtf = random_genome(folder, genes, seed)
    annotated = {
        (place, strand, kind)
        for start, exon, intron, strand in genes
        for place, kind in ((start + exon, strand == "-"), (start + exon + intron - 2, strand == "+"))
    }
    table, _ = read(
        fasta, gtf, folder / "cache", window=2 * half, decoys=DecoyConfig(ratio=ratio), min_gt_ag=0.0, seed=seed
    )
    again, _ = read(
        fasta, gtf, folder / "cache", window=2 * half, decoys=DecoyConfig(ratio=ratio), min_gt_ag=0.0, seed=seed
    )
    assert rows_of(table) == rows_of(again)
    places, found = [], set()
    for origin, (window, label, site_type, group) in rows_of(table).items():
        _, span, strand = origin.split(":")
        start = int(span.split("-")[0])
        piece = letters[start + 1 - half : start + 1 + half]
        if strand == "-":
            piece = piece.translate(str.maketrans("ACGT", "TGCA"))[::-1]
        assert window == piece
        assert window[half - 1 : half + 1] == ("GT", "AG")[site_type]
        assert ((start, strand, bool(site_type)) in annotated) == bool(label)
        places.append((start, group))
        found.add((start, strand, bool(site_type)))
    for start, strand, kind in annotated - found:
        wanted = ("GT", "AG")[kind] if strand == "+" else ("AC", "CT")[kind]
        assert letters[start : start + 2] != wanted or not half - 1 <= start <= len(letters) - half - 1
    for left, group in places:
        assert {other for right, other in places if abs(left - right) < 2 * half} == {group}
