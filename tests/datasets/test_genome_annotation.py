from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from simcsp.datasets.genome_annotation import AnnotatedGenome, Locus
from simcsp.errors import InputError
from simcsp.sequence.alphabet import decode
from simcsp.sequence.annotation import Intron
from simcsp.sequence.sites import intron_ends

if TYPE_CHECKING:
    from tests.conftest import MiniGenome

Span = tuple[int, int]


def gtf_of(genes: list[tuple[str, str, list[Span]]], contig: str = "c") -> str:
    """One transcript for each (gene, strand, exons), exons 0-based half-open."""
    return "".join(
        f'{contig}\th\texon\t{start + 1}\t{end}\t.\t{strand}\t.\tgene_id "{gene}"; transcript_id "{contig}.{number}";\n'
        for number, (gene, strand, exons) in enumerate(genes)
        for start, end in exons
    )


def annotated(
    tmp_path: Path,
    letters: str | dict[str, str],
    annotation: str,
    *,
    ignore: bool = False,
    apart: int = 0,
    tags: Sequence[str] = (),
    assembly: str | None = None,
) -> AnnotatedGenome:
    contigs = {"c": letters} if isinstance(letters, str) else letters
    fasta, gtf = tmp_path / "genome.fa", tmp_path / "genes.gtf"
    fasta.write_text("".join(f">{name}\n{text}\n" for name, text in contigs.items()))
    gtf.write_text(annotation)
    return AnnotatedGenome(
        fasta, gtf, tmp_path / "cache", tags=tags, assembly=assembly, ignore_missing_contigs=ignore, apart=apart
    )


def groups_of(genome: AnnotatedGenome) -> set[frozenset[str]]:
    """Genes that share a group."""
    (contig,) = genome.contigs()
    names = set(contig.group_of.values())
    return {frozenset(gene for gene, group in contig.group_of.items() if group == name) for name in names}


def test_the_designed_genome_is_read_whole(mini_genome: "MiniGenome", tmp_path: Path) -> None:
    for annotation in (mini_genome.gtf, mini_genome.gff3):
        genome = AnnotatedGenome(mini_genome.fasta, annotation, tmp_path / "cache")
        (contig,) = genome.contigs()
        assert decode(contig.tokens) == mini_genome.sequence
        assert contig.introns == [Intron(*intron) for intron in mini_genome.introns]
        assert contig.loci == [
            Locus("mini", (10, 55), "+", "forward"),
            Locus("mini", (65, 110), "-", "reverse"),
        ]
        assert contig.group_of == {"forward": "forward", "reverse": "reverse"}
        assert genome.check_assembly(1.0) == 1.0


def test_overlapping_genes_share_a_group_on_either_strand_but_a_locus_only_on_one(tmp_path: Path) -> None:
    genes = [
        ("a", "+", [(0, 20), (60, 100)]),
        ("b", "-", [(90, 120), (150, 200)]),
        ("d", "+", [(190, 210)]),
        ("e", "+", [(205, 250)]),
        ("alone", "-", [(250, 300)]),
    ]
    genome = annotated(tmp_path, "A" * 300, gtf_of(genes))
    assert groups_of(genome) == {frozenset("abde"), frozenset(["alone"])}
    (contig,) = genome.contigs()
    assert contig.loci == [
        Locus("c", (0, 100), "+", "a"),
        Locus("c", (190, 250), "+", "d"),
        Locus("c", (90, 200), "-", "b"),
        Locus("c", (250, 300), "-", "alone"),
    ]


def test_a_locus_reaches_to_the_end_of_its_longest_gene(tmp_path: Path) -> None:
    genes = [("long", "+", [(0, 20), (80, 100)]), ("nested", "+", [(30, 40)]), ("late", "+", [(90, 120)])]
    (contig,) = annotated(tmp_path, "A" * 200, gtf_of([*genes, ("touching", "+", [(120, 150)])])).contigs()
    assert contig.loci == [Locus("c", (0, 120), "+", "long"), Locus("c", (120, 150), "+", "touching")]


def test_a_gene_in_two_places_joins_the_groups_of_both(tmp_path: Path) -> None:
    genes = [
        ("a", "+", [(0, 50)]),
        ("b", "-", [(100, 200)]),
        ("a", "+", [(150, 250)]),
        ("far", "+", [(260, 290)]),
    ]
    assert groups_of(annotated(tmp_path, "A" * 300, gtf_of(genes))) == {frozenset("ab"), frozenset(["far"])}


@pytest.mark.parametrize(("apart", "joined"), [(0, False), (50, False), (51, True)])
def test_genes_nearer_than_a_window_share_a_group(tmp_path: Path, apart: int, joined: bool) -> None:
    genes = [("a", "+", [(0, 100)]), ("b", "-", [(150, 250)])]
    genome = annotated(tmp_path, "A" * 300, gtf_of(genes), apart=apart)
    assert groups_of(genome) == ({frozenset("ab")} if joined else {frozenset("a"), frozenset("b")})


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 60), st.integers(1, 12)), min_size=1, max_size=12),
    st.integers(0, 4),
)
@example([(0, 0, 12), (1, 1, 2), (2, 5, 2)], 0)  # one nested in the first, then another
@example([(0, 0, 10), (1, 5, 3), (2, 20, 10), (1, 25, 3)], 0)  # the second gene comes again and joins all
def test_groups_are_the_connected_components_of_overlap(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int, int]], apart: int
) -> None:
    spans = [(f"g{gene}", start, start + length) for gene, start, length in rows]
    components = {frozenset([gene]) for gene, _, _ in spans}
    for left, first, last in spans:
        for right, start, end in spans:
            if first < end + apart and start < last + apart:
                joined = {component for component in components if {left, right} & component}
                components = components - joined | {frozenset().union(*joined)}
    annotation = gtf_of([(gene, "+-"[start % 2], [(start, end)]) for gene, start, end in spans])
    genome = annotated(tmp_path_factory.mktemp("groups"), "A" * 80, annotation, apart=apart)
    assert groups_of(genome) == components


def test_contigs_come_in_the_order_of_the_fasta_and_only_if_annotated(tmp_path: Path) -> None:
    annotation = gtf_of([("b", "+", [(0, 9)])], "two") + gtf_of([("a", "+", [(0, 9)])], "one")
    genome = annotated(tmp_path, {"zero": "A" * 50, "one": "C" * 50, "two": "G" * 50}, annotation)
    assert [contig.name for contig in genome.contigs()] == ["one", "two"]


def test_names_spelt_differently_are_translated_and_counted(tmp_path: Path) -> None:
    annotation = "".join(gtf_of([("g", "+", [(0, 9), (40, 50)])], name) for name in ("1", "chr2", "MT"))
    genome = annotated(tmp_path, {"chr2": "A" * 50, "chr1": "C" * 50, "chrM": "G" * 50}, annotation)
    assert [(contig.name, contig.introns[0].contig, contig.loci[0].contig) for contig in genome.contigs()] == [
        (name, name, name) for name in ("chr2", "chr1", "chrM")
    ]
    assert genome.tallies[-1].changed == {"contig names translated (1 → chr1, …)": 2}


def test_two_names_of_one_contig_are_one_contig(tmp_path: Path) -> None:
    annotation = gtf_of([("a", "+", [(0, 9), (40, 50)])], "1") + gtf_of([("b", "+", [(5, 20)])], "chr1")
    (contig,) = annotated(tmp_path, {"chr1": "C" * 50}, annotation).contigs()
    assert contig.loci == [Locus("chr1", (0, 50), "+", "a")]


def test_a_contig_of_another_length_than_the_annotation_declares_is_refused(tmp_path: Path) -> None:
    rows = "c\th\texon\t1\t9\t.\t+\t.\tParent=t\n"
    annotated(tmp_path, "A" * 50, f"##gff-version 3\n##sequence-region c 1 50\n{rows}")
    with pytest.raises(InputError, match=r"genes\.gtf: contig c has 60 nt, but c of the FASTA has 50"):
        annotated(tmp_path, "A" * 50, f"##gff-version 3\n##sequence-region c 1 60\n{rows}")


def test_only_transcripts_with_a_tag_are_taken(tmp_path: Path) -> None:
    annotation = gtf_of([("a", "+", [(0, 9)]), ("b", "+", [(20, 29)])])
    annotation = annotation.replace('"c.1";', '"c.1"; tag "MANE_Select";')
    assert len(annotated(tmp_path, "A" * 50, annotation).transcripts) == 2
    genome = annotated(tmp_path, "A" * 50, annotation, tags=["MANE_Select"])
    assert [transcript.gene for transcript in genome.transcripts] == ["b"]


DM6_CHR4, DM3_CHR4 = 1_348_131, 1_351_857


def test_the_fasta_must_be_the_assembly_that_it_is_said_to_be(tmp_path: Path) -> None:
    annotation = gtf_of([("a", "+", [(0, 9)])], "4")
    annotated(tmp_path, {"chr4": "A" * DM6_CHR4}, annotation, assembly="dm6")
    with pytest.raises(InputError, match=r"genome\.fa: this FASTA is dm6, not dm3: chr4 has 1,348,131 nt"):
        annotated(tmp_path, {"chr4": "A" * DM6_CHR4}, annotation, assembly="dm3")


def test_an_annotation_of_another_assembly_is_told_which_would_fit(tmp_path: Path) -> None:
    fit = "this FASTA is dm6; the coordinates would fit into dm3"
    beyond = gtf_of([("a", "+", [(0, 9), (DM3_CHR4 - 9, DM3_CHR4)])], "4")
    with pytest.raises(InputError, match=rf"ends at 1,351,857, beyond chr4 \(1,348,131 nt\) .*{fit}"):
        annotated(tmp_path, {"chr4": "A" * DM6_CHR4}, beyond)
    inside = gtf_of([("a", "+", [(0, 9), (90, 100)])], "chr4")
    with pytest.raises(InputError, match=rf"only 0\.0% of 1 introns are GT–AG .*{fit}"):
        annotated(tmp_path, {"chr4": "A" * DM6_CHR4}, inside).check_assembly(0.5)


def test_missing_contigs_stop_unless_they_are_to_be_ignored(tmp_path: Path) -> None:
    annotation = gtf_of([("a", "+", [(0, 9)]), ("b", "+", [(0, 9)])], "patch") + gtf_of([("d", "+", [(0, 9)])])
    with pytest.raises(InputError, match=r"1 of 2 contigs \(patch\) are not in .*set ignore_missing_contigs: true"):
        annotated(tmp_path, "A" * 50, annotation)
    genome = annotated(tmp_path, "A" * 50, annotation, ignore=True)
    assert [transcript.gene for transcript in genome.transcripts] == ["d"]
    assert genome.tallies[0].dropped == {"contig not in the FASTA": 2}


def test_nothing_in_common_is_refused_even_if_missing_contigs_are_to_be_ignored(tmp_path: Path) -> None:
    annotation = gtf_of([("a", "+", [(0, 9)])], "patch")
    with pytest.raises(InputError, match="have no contig in common"):
        annotated(tmp_path, "A" * 50, annotation, ignore=True)


def test_an_exon_beyond_the_end_of_its_contig_is_refused(tmp_path: Path) -> None:
    annotated(tmp_path, "A" * 50, gtf_of([("g", "+", [(40, 50)])]))
    with pytest.raises(InputError) as caught:
        annotated(tmp_path, "A" * 49, gtf_of([("g", "+", [(40, 50)])]))
    assert str(caught.value) == (
        f"{tmp_path / 'genes.gtf'}: transcript c.0 ends at 50, beyond c (49 nt) of {tmp_path / 'genome.fa'}. "
        "The two files are of different assemblies; give a matching pair."
    )


def introns_with_ends(ends: list[str]) -> tuple[str, str]:
    """A contig whose introns have the given ends (``"GT-AG"``) in the direction of the gene, and its GTF."""
    letters, exons = "CCCCC", [(0, 5)]
    for first, last in (pair.split("-") for pair in ends):
        letters += first + "C" * 20 + last + "CCCCC"
        exons.append((len(letters) - 5, len(letters)))
    return letters, gtf_of([("g", "+", exons)])


def test_the_rate_of_gt_ag_is_that_of_the_introns(tmp_path: Path) -> None:
    ends = ["GT-AG", "GT-AG", "GC-AG", "GT-AG", "AT-AC", "GT-AG", "CC-AG", "GT-AG"]
    genome = annotated(tmp_path, *introns_with_ends(ends))
    (contig,) = genome.contigs()
    assert intron_ends(contig.tokens, contig.introns) == ends
    assert genome.check_assembly(5 / 8) == 5 / 8


def test_introns_that_end_in_n_say_nothing_of_the_assembly(tmp_path: Path) -> None:
    genome = annotated(tmp_path, *introns_with_ends(["GT-AG", "NN-AG", "NN-NN", "GT-AN", "GC-AG"]))
    assert genome.check_assembly(0.5) == 0.5
    with pytest.raises(InputError, match="all 2 introns end in N"):
        annotated(tmp_path, *introns_with_ends(["NN-AG", "NN-NN"])).check_assembly(0.0)


def test_another_assembly_is_refused_with_the_rate_that_was_seen(tmp_path: Path) -> None:
    genome = annotated(tmp_path, *introns_with_ends(["GT-AG", "GA-AG", "TT-AG", "GT-GG"]))
    with pytest.raises(InputError) as caught:
        genome.check_assembly(0.5)
    assert str(caught.value) == (
        f"{tmp_path / 'genes.gtf'}: only 25.0% of 4 introns are GT–AG in {tmp_path / 'genome.fa'}; "
        "98–99 % are in the right assembly. "
        "The two files are of different assemblies; give a matching pair."
    )


def test_an_annotation_without_introns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no intron is annotated"):
        annotated(tmp_path, "A" * 50, gtf_of([("g", "+", [(0, 9)])])).check_assembly(0.0)


def test_ambiguous_letters_are_counted_once_however_often_a_contig_is_read(tmp_path: Path) -> None:
    genome = annotated(tmp_path, {"c": "ACGTRYN" * 9, "unread": "RRRR"}, gtf_of([("g", "+", [(0, 9), (40, 50)])]))
    for _ in range(3):
        assert [decode(contig.tokens) for contig in genome.contigs()] == ["ACGTNNN" * 9]
    letters = genome.tallies[-1]
    assert (letters.source, letters.read, letters.changed) == ("genome.fa", 1, {"ambiguous letters read as N": 18})


def test_letters_that_are_no_nucleotide_are_refused(tmp_path: Path) -> None:
    genome = annotated(tmp_path, "ACGT" * 20 + "E*", gtf_of([("g", "+", [(0, 9)])]))
    with pytest.raises(InputError, match=r"genome\.fa, line 2: 2 letters of contig c are no nucleotide code"):
        next(genome.contigs())
