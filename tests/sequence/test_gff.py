from collections.abc import Sequence
from pathlib import Path

import pytest

from simcsp.errors import InputError
from simcsp.sequence.annotation import Annotation, Transcript, read_annotation


def row(
    first: object, last: object, attributes: str, *, feature: str = "exon", strand: str = "+", contig: str = "c"
) -> str:
    return f"{contig}\tsource\t{feature}\t{first}\t{last}\t.\t{strand}\t.\t{attributes}\n"


def gtf(transcript: str, gene: str = "g", *tags: str) -> str:
    return f'gene_id "{gene}"; transcript_id "{transcript}";' + "".join(f' tag "{tag}";' for tag in tags)


def read_all(tmp_path: Path, *rows: str, tags: Sequence[str] = ()) -> Annotation:
    return read_annotation(annotation_file(tmp_path, *rows), tags)


def read(tmp_path: Path, *rows: str) -> list[Transcript]:
    return read_all(tmp_path, *rows).transcripts


def annotation_file(tmp_path: Path, *rows: str) -> Path:
    path = tmp_path / "annotation"
    path.write_text("".join(rows))
    return path


def exons_of(transcripts: list[Transcript]) -> dict[str, tuple[tuple[int, int], ...]]:
    return {transcript.name: transcript.exons for transcript in transcripts}


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
    transcripts, tally, *_ = read_annotation(path)
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


def test_transcripts_that_cannot_be_are_left_out_and_counted(tmp_path: Path) -> None:
    path = annotation_file(
        tmp_path,
        row(1, 100, gtf("good")),
        row(1, 100, gtf("no strand"), strand="."),
        row(1, 100, gtf("two strands")),
        row(201, 300, gtf("two strands"), strand="-"),
        row(401, 500, gtf("two strands")),
        row(1, 100, gtf("two contigs")),
        row(201, 300, gtf("two contigs"), contig="d"),
        row(1, 100, gtf("overlapping")),
        row(100, 300, gtf("overlapping")),
    )
    transcripts, tally, *_ = read_annotation(path)
    assert list(exons_of(transcripts)) == ["good"]
    assert tally.dropped == {"no strand": 1, "exons on several contigs or strands": 2, "overlapping exons": 1}
    assert (tally.read, tally.kept) == (5, 1)


def test_a_value_may_hold_semicolons_keys_and_equals_signs(tmp_path: Path) -> None:
    attributes = 'note "x; transcript_id y; gene_id=z"; transcript_id "t;1"; exon_number 1; gene_id "g = 1;";'
    assert read(tmp_path, row(1, 100, gtf("first")), row(1, 100, attributes))[1][:2] == ("t;1", "g = 1;")


def test_a_gtf_gene_without_identifier_is_named_after_its_transcript_and_counted(tmp_path: Path) -> None:
    rows = [row(1, 100, gtf("a", "")), row(201, 300, gtf("a", "")), row(1, 100, gtf("b", "")), row(1, 9, gtf("c"))]
    transcripts, tally, *_ = read_all(tmp_path, *rows)
    assert [(transcript.name, transcript.gene) for transcript in transcripts] == [("a", "a"), ("b", "b"), ("c", "g")]
    assert tally.changed == {"gene_id empty, named after the transcript": 2}


def test_the_gene_is_the_topmost_feature_of_gff3_but_no_operon(tmp_path: Path) -> None:
    transcripts = read(
        tmp_path,
        row(1, 90, "ID=operon", feature="operon"),
        row(1, 90, "ID=gene;Parent=operon", feature="gene"),
        row(1, 90, "ID=primary;Parent=gene", feature="primary_transcript"),
        row(1, 90, "ID=mirna;Parent=primary", feature="miRNA"),
        row(1, 90, "Parent=mirna"),
        row(1, 90, "ID=x;Parent=y", feature="mRNA"),
        row(1, 90, "ID=y;Parent=x", feature="mRNA"),
        row(1, 90, "Parent=x"),
    )
    assert [(transcript.name, transcript.gene) for transcript in transcripts] == [("mirna", "gene"), ("x", "y")]


def test_order_of_exon_and_coding_rows_does_not_matter(tmp_path: Path) -> None:
    coding, exons = row(51, 90, gtf("t"), feature="CDS"), [row(1, 100, gtf("t")), row(201, 300, gtf("t"))]
    for rows in ([coding, *exons], [exons[0], coding, exons[1]], [*exons, coding]):
        assert exons_of(read(tmp_path, *rows)) == {"t": ((0, 100), (200, 300))}


GTF_TAGGED = [
    row(1, 900, 'gene_id "g"; tag "gene only";', feature="gene"),
    row(1, 100, gtf("own row", "g", "basic", "MANE_Select"), feature="transcript"),
    row(1, 100, gtf("own row")),
    row(1, 100, gtf("exon rows", "g", "basic", "MANE_Select")),
    row(201, 300, gtf("exon rows", "g", "basic", "MANE_Select")),
    row(1, 100, gtf("basic only", "g", "basic", "xMANE_Select")),
    row(1, 100, gtf("in a note") + ' note "; tag MANE_Select;";'),
]
GFF3_TAGGED = [
    row(1, 900, "ID=g;tag=gene only", feature="gene"),
    row(1, 100, "ID=own row;Parent=g;tag=basic,MANE Select", feature="mRNA"),
    row(1, 100, "Parent=own row"),
    row(1, 100, "Parent=exon rows;tag=basic,MANE Select"),
    row(201, 300, "Parent=exon rows;tag=basic,MANE Select"),
    row(1, 100, "Parent=basic only;tag=basic,xMANE_Select"),
    row(1, 100, "Parent=in a note;Note=tag%3DMANE_Select"),
]


@pytest.mark.parametrize("step", [1, -1])
@pytest.mark.parametrize("rows", [GTF_TAGGED, GFF3_TAGGED])
@pytest.mark.parametrize("tag", ["MANE_Select", "MANE Select"])
def test_only_transcripts_with_the_tag_stay(tmp_path: Path, rows: list[str], tag: str, step: int) -> None:
    transcripts, tally, *_ = read_all(tmp_path, *rows[::step], tags=(tag,))
    assert exons_of(transcripts) == {"own row": ((0, 100),), "exon rows": ((0, 100), (200, 300))}
    assert (tally.read, tally.kept, tally.dropped) == (4, 2, {f"without tag {tag}": 2})


@pytest.mark.parametrize("rows", [GTF_TAGGED, GFF3_TAGGED])
def test_one_of_several_tags_is_enough(tmp_path: Path, rows: list[str]) -> None:
    transcripts, tally, *_ = read_all(tmp_path, *rows, tags=("MANE_Select", "xMANE_Select"))
    assert list(exons_of(transcripts)) == ["own row", "exon rows", "basic only"]
    assert tally.dropped == {"without tag MANE_Select or xMANE_Select": 1}


@pytest.mark.parametrize("rows", [GTF_TAGGED, GFF3_TAGGED])
@pytest.mark.parametrize("tag", ["mane_select", "MANE", "gene only"])
def test_a_tag_that_no_transcript_has_is_refused_with_those_there_are(
    tmp_path: Path, rows: list[str], tag: str
) -> None:
    with pytest.raises(InputError) as caught:
        read_all(tmp_path, *rows, tags=("MANE_Select", tag))
    assert f"no transcript has the tag {tag.replace(' ', '_')}. " in str(caught.value)
    assert "most frequent of its tags are basic (3), MANE_Select (2), xMANE_Select (1)." in str(caught.value)


def test_a_tag_of_a_file_without_tags_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no transcript has the tag basic\. None has any tag\."):
        read_all(tmp_path, row(1, 100, gtf("t")), tags=("basic",))


def test_lengths_of_contigs_are_those_the_file_states(tmp_path: Path) -> None:
    source = "ID=NC_1:1..900;Dbxref=taxon:9606;Name=1;gbkey=Src;genome=chromosome"
    lengths = read_all(
        tmp_path,
        "##gff-version 3\n##sequence-region   pragma 1 5000\n##sequence-region part 11 5000\n",
        row(1, 900, source, feature="region", contig="NC_1"),
        row(1, 300, source.replace("..900", "..300"), feature="region", contig="NC_1"),
        row(101, 950, source, feature="region", contig="NC_1"),
        row(1, 990, "ID=id-1;gbkey=Region", feature="region", contig="NC_1"),
        row(1, 990, "ID=other;gbkey=Src", feature="gene", contig="NC_1"),
        row(1, 100, "Parent=t"),
    ).contig_lengths
    assert lengths == {"pragma": 5000, "NC_1": 900}
    assert read_all(tmp_path, row(1, 100, gtf("t"))).contig_lengths == {}


@pytest.mark.parametrize("pragma", ["c", "c 1", "c 1 x", "c 1 1e5", "c 1 2 3"])
def test_a_malformed_pragma_is_refused(tmp_path: Path, pragma: str) -> None:
    with pytest.raises(InputError, match="annotation, line 2: expected '##sequence-region NAME START END'"):
        read_all(tmp_path, "##gff-version 3\n", f"##sequence-region {pragma}\n", row(1, 100, "Parent=t"))


MALFORMED = {
    "too few columns": ("c\ts\texon\t1\t100\t.\t+\t.\n", "expected 9 tab-separated columns, found 8"),
    "blanks for tabs": ("c s exon 1 100 . + . Parent=t\n", "expected 9 tab-separated columns, found 1"),
    "start beyond end": (row(101, 100, "Parent=t"), "start 101 and end 100 are no 1-based interval"),
    "start 0": (row(0, 100, "Parent=t"), "start 0 and end 100 are no 1-based interval"),
    "negative": (row(-5, 100, "Parent=t"), "start must be a whole number, found '-5'"),
    "letters": (row("one", 100, "Parent=t"), "start must be a whole number, found 'one'"),
    "fractions": (row(1, "100.5", "Parent=t"), "end must be a whole number, found '100.5'"),
    "exponent": (row(1, "1e5", "Parent=t"), "end must be a whole number, found '1e5'"),
    "sign": (row("+5", 100, "Parent=t"), "start must be a whole number, found '+5'"),
    "blank": (row(" 5", 100, "Parent=t"), "start must be a whole number, found ' 5'"),
    "underscore": (row(1, "1_000", "Parent=t"), "end must be a whole number, found '1_000'"),
    "another feature": (row(9, 1, "ID=g", feature="gene"), "start 9 and end 1 are no 1-based interval"),
    "strand": (row(1, 100, "Parent=t", strand="*"), "expected strand +, -, . or ?, found '*'"),
    "no parent": (row(1, 100, "ID=exon1"), "exon row without Parent or transcript_id"),
    "empty parent": (row(1, 100, "Parent=;ID=exon1"), "exon row without Parent or transcript_id"),
    "coding without parent": (row(1, 9, "ID=x", feature="CDS"), "CDS row without Parent or transcript_id"),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_row_is_refused_with_file_and_line(tmp_path: Path, what: str) -> None:
    malformed, problem = MALFORMED[what]
    path = annotation_file(tmp_path, "##gff-version 3\n", row(1, 100, "Parent=good"), "\n", malformed)
    with pytest.raises(InputError) as caught:
        read_annotation(path)
    assert str(caught.value).startswith(f"{path}, line 4: {problem}")


@pytest.mark.parametrize("feature", ["exon", "CDS"])
@pytest.mark.parametrize(
    ("attributes", "missing"),
    [
        ('gene_id "g"; transcript_id "";', "transcript_id"),
        ('gene_id "g"; note "transcript_id t";', "transcript_id"),
        ('transcript_id "u"; gene_name "g";', "gene_id"),
    ],
)
def test_a_gtf_row_without_its_names_is_refused(tmp_path: Path, feature: str, attributes: str, missing: str) -> None:
    with pytest.raises(InputError, match=f"line 2: {feature} row without {missing}"):
        read(tmp_path, row(1, 100, gtf("t")), row(1, 100, attributes, feature=feature))


def test_a_tagged_gtf_transcript_row_without_its_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="line 2: transcript row without transcript_id"):
        nameless = row(1, 100, 'gene_id "g"; tag "basic";', feature="transcript")
        read_all(tmp_path, row(1, 100, gtf("t", "g", "basic")), nameless, tags=("basic",))
