import gzip
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from simcsp.errors import InputError
from simcsp.sequence.annotation import Intron, Transcript, introns_of, read_annotation

if TYPE_CHECKING:
    from tests.conftest import MiniGenome

MINI_TRANSCRIPTS = [
    Transcript("forward.1", "forward", "mini", "+", ((10, 20), (45, 55))),
    Transcript("reverse.1", "reverse", "mini", "-", ((65, 75), (100, 110))),
]


def row(
    first: object, last: object, attributes: str, *, feature: str = "exon", strand: str = "+", contig: str = "c"
) -> str:
    return f"{contig}\tsource\t{feature}\t{first}\t{last}\t.\t{strand}\t.\t{attributes}\n"


def gtf(transcript: str, gene: str = "g") -> str:
    return f'gene_id "{gene}"; transcript_id "{transcript}";'


def read(tmp_path: Path, *rows: str) -> list[Transcript]:
    return read_annotation(annotation_file(tmp_path, *rows))[0]


def annotation_file(tmp_path: Path, *rows: str) -> Path:
    path = tmp_path / "annotation"
    path.write_text("".join(rows))
    return path


def exons_of(transcripts: list[Transcript]) -> dict[str, tuple[tuple[int, int], ...]]:
    return {transcript.name: transcript.exons for transcript in transcripts}


def test_gtf_and_gff3_give_the_designed_genes_in_half_open_coordinates(mini_genome: "MiniGenome") -> None:
    for path in (mini_genome.gtf, mini_genome.gff3):
        transcripts, tally = read_annotation(path)
        assert transcripts == MINI_TRANSCRIPTS
        assert (tally.read, tally.kept, tally.source) == (2, 2, path.name)
        introns, intron_tally = introns_of(transcripts, path.name)
        assert introns == [Intron(*intron) for intron in mini_genome.introns]
        assert (intron_tally.read, intron_tally.kept) == (2, 2)


def test_the_designed_introns_begin_with_gt_and_end_with_ag(mini_genome: "MiniGenome") -> None:
    ends = []
    for _, start, end, strand, _ in mini_genome.introns:
        intron = mini_genome.sequence[start:end]
        if strand == "-":
            intron = intron.translate(str.maketrans("ACGT", "TGCA"))[::-1]
        ends.append((intron[:2], intron[-2:]))
    assert ends == [("GT", "AG")] * 2


@pytest.mark.parametrize("change", ["gzip", "crlf", "bom", "rows reversed", "comments and blank lines"])
@pytest.mark.parametrize("form", ["gtf", "gff3"])
def test_the_form_of_the_file_does_not_matter(mini_genome: "MiniGenome", form: str, change: str) -> None:
    path: Path = getattr(mini_genome, form)
    content = path.read_bytes()
    lines = content.splitlines(keepends=True)
    path.write_bytes(
        {
            "gzip": gzip.compress(content),
            "crlf": content.replace(b"\n", b"\r\n"),
            "bom": b"\xef\xbb\xbf" + content,
            "rows reversed": b"".join(lines[::-1]),
            "comments and blank lines": b"#!genome-build\n\n" + b"# note\n\n".join(lines),
        }[change]
    )
    assert sorted(read_annotation(path)[0]) == MINI_TRANSCRIPTS


def test_the_span_of_a_transcript_is_its_pre_mrna() -> None:
    assert [transcript.span for transcript in MINI_TRANSCRIPTS] == [(10, 55), (65, 110)]


def test_an_intron_shared_by_transcripts_counts_once_with_the_gene_of_the_first() -> None:
    transcripts = [
        Transcript("a", "first", "c", "+", ((0, 10), (50, 60), (100, 110))),
        Transcript("b", "second", "c", "+", ((5, 10), (50, 60))),
        Transcript("c", "third", "c", "-", ((5, 10), (50, 60))),
        Transcript("d", "fourth", "d", "+", ((5, 10), (50, 60))),
    ]
    introns, tally = introns_of(transcripts, "here")
    assert introns == [
        Intron("c", 10, 50, "+", "first"),
        Intron("c", 60, 100, "+", "first"),
        Intron("c", 10, 50, "-", "third"),
        Intron("d", 10, 50, "+", "fourth"),
    ]
    assert (tally.read, tally.dropped) == (5, {"also in another transcript": 1})


@pytest.mark.parametrize(("gap", "is_intron"), [(0, False), (1, False), (19, False), (20, True)])
def test_a_gap_of_less_than_twenty_is_no_intron(gap: int, is_intron: bool) -> None:
    introns, tally = introns_of([Transcript("a", "g", "c", "+", ((0, 10), (10 + gap, 40 + gap)))], "here")
    assert [(intron.start, intron.end) for intron in introns] == ([(10, 10 + gap)] if is_intron else [])
    assert tally.dropped == ({} if is_intron else {"shorter than 20 nt": 1})


def test_coding_rows_stand_in_for_exons_only_where_a_transcript_has_no_exon_row(tmp_path: Path) -> None:
    path = annotation_file(
        tmp_path,
        row(1, 100, gtf("both")),
        row(201, 300, gtf("both")),
        row(51, 100, gtf("both"), feature="CDS"),
        row(201, 250, gtf("coding"), feature="CDS"),
        row(51, 100, gtf("coding"), feature="CDS"),
        row(51, 53, gtf("coding"), feature="start_codon"),
    )
    transcripts, tally = read_annotation(path)
    assert exons_of(transcripts) == {"both": ((0, 100), (200, 300)), "coding": ((50, 100), (200, 250))}
    assert tally.changed == {"exons taken from CDS rows": 1}


def test_other_features_and_repeated_rows_add_no_exon(tmp_path: Path) -> None:
    transcripts = read(
        tmp_path,
        row(1, 900, gtf("t"), feature="transcript"),
        row(1, 100, gtf("t")),
        row(1, 100, gtf("t")),
        row(101, 200, gtf("t"), feature="intron"),
        row(201, 300, gtf("t")),
    )
    assert exons_of(transcripts) == {"t": ((0, 100), (200, 300))}


def test_exons_that_touch_do_not_overlap(tmp_path: Path) -> None:
    transcripts = read(tmp_path, row(1, 100, gtf("t")), row(101, 200, gtf("t")))
    assert exons_of(transcripts) == {"t": ((0, 100), (100, 200))}


def test_an_exon_with_several_parents_belongs_to_each(tmp_path: Path) -> None:
    transcripts = read(
        tmp_path,
        row(1, 300, "ID=a;Parent=gene", feature="mRNA"),
        row(1, 300, "ID=b;Parent=gene,other", feature="mRNA"),
        row(1, 100, "ID=e1;Parent=a,b"),
        row(201, 300, "Parent=b"),
    )
    assert exons_of(transcripts) == {"a": ((0, 100),), "b": ((0, 100), (200, 300))}
    assert [transcript.gene for transcript in transcripts] == ["gene", "gene"]


def test_an_encoded_comma_is_part_of_a_name(tmp_path: Path) -> None:
    transcripts = read(
        tmp_path,
        row(1, 300, "ID=rna%2C1%3B%20x;Parent=gene%3D1", feature="mRNA"),
        row(1, 100, "Parent=rna%2C1%3B%20x,second"),
    )
    assert [(transcript.name, transcript.gene) for transcript in transcripts] == [
        ("rna,1; x", "gene=1"),
        ("second", "second"),
    ]


def test_sequence_at_the_end_of_gff3_is_not_read_as_rows(tmp_path: Path) -> None:
    for tail in ("##FASTA\n>c\nACGT ACGT\n", ">c\nACGT\n"):
        assert exons_of(read(tmp_path, row(1, 100, "Parent=t"), tail)) == {"t": ((0, 100),)}


def test_exons_of_refseq_gff3_find_gene_through_the_transcript(tmp_path: Path) -> None:
    transcripts = read(
        tmp_path,
        row(1, 300, "ID=gene-TP53;Name=TP53;gbkey=Gene;gene=TP53", feature="gene"),
        row(1, 300, "ID=rna-NM_1.2;Parent=gene-TP53;Name=NM_1.2;transcript_id=NM_1.2", feature="mRNA"),
        row(1, 100, "ID=exon-NM_1.2-1;Parent=rna-NM_1.2;gene=TP53;product=a b;transcript_id=NM_1.2"),
        row(201, 300, "ID=exon-NM_1.2-2;Parent=rna-NM_1.2;gene=TP53;transcript_id=NM_1.2"),
        row(201, 250, "ID=cds-NP_1.2;Parent=rna-NM_1.2;gene=TP53", feature="CDS"),
    )
    assert transcripts == [Transcript("rna-NM_1.2", "gene-TP53", "c", "+", ((0, 100), (200, 300)))]


def test_exons_of_ensembl_gtf_are_joined_by_transcript_id(tmp_path: Path) -> None:
    tail = 'gene_version "12"; {}; exon_number "1"; gene_name "TXN; DC12"; tag "basic"; tag "MANE Select";'
    transcripts = read(
        tmp_path,
        row(1, 300, 'gene_id "ENSG1"; gene_name "x";', feature="gene", strand="-"),
        row(201, 300, 'gene_id "ENSG1"; ' + tail.format('transcript_id "ENST1"'), strand="-"),
        row(1, 100, 'gene_id "ENSG1"; ' + tail.format('transcript_id "ENST1"'), strand="-"),
        row(1, 100, 'gene_id "ENSG1"; ' + tail.format('transcript_id "ENST2"'), strand="-"),
    )
    assert transcripts == [
        Transcript("ENST1", "ENSG1", "c", "-", ((0, 100), (200, 300))),
        Transcript("ENST2", "ENSG1", "c", "-", ((0, 100),)),
    ]


@pytest.mark.parametrize("attributes", ["gene_id g; transcript_id t", 'transcript_id "t"; gene_id "g=1";'])
def test_gtf_is_known_by_the_blank_after_its_first_key(tmp_path: Path, attributes: str) -> None:
    assert [transcript.name for transcript in read(tmp_path, row(1, 100, attributes))] == ["t"]


def test_gff3_is_known_even_if_its_first_value_has_blanks_and_quotes(tmp_path: Path) -> None:
    first = row(1, 9, 'Name=a "b" c', feature="region")
    assert [transcript.name for transcript in read(tmp_path, first, row(1, 100, "Parent=t"))] == ["t"]


def test_transcripts_that_cannot_be_are_left_out_and_counted(tmp_path: Path) -> None:
    path = annotation_file(
        tmp_path,
        row(1, 100, gtf("good")),
        row(1, 100, gtf("no strand"), strand="."),
        row(1, 100, gtf("two strands")),
        row(201, 300, gtf("two strands"), strand="-"),
        row(1, 100, gtf("two contigs")),
        row(201, 300, gtf("two contigs"), contig="d"),
        row(1, 100, gtf("overlapping")),
        row(100, 300, gtf("overlapping")),
    )
    transcripts, tally = read_annotation(path)
    assert list(exons_of(transcripts)) == ["good"]
    assert tally.dropped == {"no strand": 1, "exons on several contigs or strands": 2, "overlapping exons": 1}
    assert (tally.read, tally.kept) == (5, 1)


MALFORMED = {
    "too few columns": ("c\ts\texon\t1\t100\t.\t+\t.\n", "expected 9 tab-separated columns, found 8"),
    "blanks for tabs": ("c s exon 1 100 . + . Parent=t\n", "expected 9 tab-separated columns, found 1"),
    "start beyond end": (row(101, 100, "Parent=t"), "start 101 and end 100 are no 1-based interval"),
    "start 0": (row(0, 100, "Parent=t"), "start 0 and end 100 are no 1-based interval"),
    "letters": (row("one", 100, "Parent=t"), "start and end must be whole numbers"),
    "fractions": (row(1, "100.5", "Parent=t"), "start and end must be whole numbers"),
    "no parent": (row(1, 100, "ID=exon1"), "exon row without transcript_id or Parent"),
    "empty parent": (row(1, 100, "Parent=;ID=exon1"), "exon row without transcript_id or Parent"),
    "coding without parent": (row(1, 9, "ID=x", feature="CDS"), "CDS row without transcript_id or Parent"),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_row_is_refused_with_file_and_line(tmp_path: Path, what: str) -> None:
    malformed, problem = MALFORMED[what]
    path = annotation_file(tmp_path, "##gff-version 3\n", row(1, 100, "Parent=good"), "\n", malformed)
    with pytest.raises(InputError) as caught:
        read_annotation(path)
    assert str(caught.value).startswith(f"{path}, line 4: {problem}")


def test_a_gtf_row_without_transcript_id_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="line 2: exon row without transcript_id"):
        read(tmp_path, row(1, 100, gtf("t")), row(1, 100, 'gene_id "g"; transcript_id "";'))


def test_a_file_without_transcripts_is_refused(tmp_path: Path) -> None:
    for rows in ([], ["# nothing\n"], [row(1, 9, "ID=g", feature="gene")]):
        with pytest.raises(InputError, match=r"no transcript found\. Give a GTF or GFF3"):
            read(tmp_path, *rows)


def test_a_file_whose_transcripts_were_all_left_out_says_why(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no transcript found\. Dropped 2: no strand"):
        read(tmp_path, row(1, 9, gtf("a"), strand="."), row(1, 9, gtf("b"), strand="."))
