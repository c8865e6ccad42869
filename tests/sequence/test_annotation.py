import gzip
from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcsp.errors import InputError
from simcsp.sequence.annotation import Intron, Transcript, introns_of, read_annotation

if TYPE_CHECKING:
    from tests.conftest import MiniGenome

MINI_TRANSCRIPTS = [
    Transcript("forward.1", "forward", "mini", "+", ((10, 20), (45, 55))),
    Transcript("reverse.1", "reverse", "mini", "-", ((65, 75), (100, 110))),
]
# RefSeq NR_046018.2 of DDX11L1 on hg19, in each format.
DDX11L1 = {
    "GTF": """\
chr1\tRefSeq\texon\t11874\t12227\t.\t+\t.\tgene_id "DDX11L1"; transcript_id "NR_046018";
chr1\tRefSeq\texon\t12613\t12721\t.\t+\t.\tgene_id "DDX11L1"; transcript_id "NR_046018";
chr1\tRefSeq\texon\t13221\t14409\t.\t+\t.\tgene_id "DDX11L1"; transcript_id "NR_046018";
""",
    "GFF3": """\
##gff-version 3
chr1\tRefSeq\tgene\t11874\t14409\t.\t+\t.\tID=DDX11L1
chr1\tRefSeq\ttranscript\t11874\t14409\t.\t+\t.\tID=NR_046018;Parent=DDX11L1
chr1\tRefSeq\texon\t11874\t12227\t.\t+\t.\tParent=NR_046018
chr1\tRefSeq\texon\t12613\t12721\t.\t+\t.\tParent=NR_046018
chr1\tRefSeq\texon\t13221\t14409\t.\t+\t.\tParent=NR_046018
""",
    "BED12": "chr1\t11873\t14409\tDDX11L1\t0\t+\t14409\t14409\t0\t3\t354,109,1189,\t0,739,1347,\n",
    "genePred": "DDX11L1\tchr1\t+\t11873\t14409\t14409\t14409\t3\t11873,12612,13220,\t12227,12721,14409,\n",
    "refGene.txt of UCSC": "585\tNR_046018\tchr1\t+\t11873\t14409\t14409\t14409\t3\t11873,12612,13220,\t"
    "12227,12721,14409,\t0\tDDX11L1\tunk\tunk\t-1,-1,-1,\n",
    "BED6": "chr1\t12227\t12612\tDDX11L1\t0\t+\nchr1\t12721\t13220\tDDX11L1\t0\t+\n",
}


@pytest.mark.parametrize("form", DDX11L1)
def test_every_format_gives_the_same_introns(tmp_path: Path, form: str) -> None:
    path = tmp_path / "names.do.not.matter.gtf"
    path.write_text(DDX11L1[form])
    introns, tally = introns_of(read_annotation(path).transcripts, form)
    assert introns == [Intron("chr1", 12227, 12612, "+", "DDX11L1"), Intron("chr1", 12721, 13220, "+", "DDX11L1")]
    assert not tally.dropped


def test_gtf_and_gff3_give_the_designed_genes_in_half_open_coordinates(mini_genome: "MiniGenome") -> None:
    for path in (mini_genome.gtf, mini_genome.gff3):
        transcripts, tally, lengths, _ = read_annotation(path)
        assert transcripts == MINI_TRANSCRIPTS
        assert (tally.read, tally.kept, tally.source) == (2, 2, path.name)
        assert lengths == {}
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


@pytest.mark.parametrize(
    "change", ["gzip", "crlf", "bom", "rows reversed", "comments and blank lines", "lines for a browser"]
)
@pytest.mark.parametrize("form", DDX11L1)
def test_the_form_of_the_file_does_not_matter(tmp_path: Path, form: str, change: str) -> None:
    path = tmp_path / "annotation"
    content = DDX11L1[form].encode()
    path.write_bytes(content)
    expected = read_annotation(path).transcripts
    lines = content.splitlines(keepends=True)
    path.write_bytes(
        {
            "gzip": gzip.compress(content),
            "crlf": content.replace(b"\n", b"\r\n"),
            "bom": b"\xef\xbb\xbf" + content,
            "rows reversed": b"".join(lines[::-1]),
            "comments and blank lines": b"#!genome-build\n\n \n" + b"# note\n\n".join(lines),
            "lines for a browser": b'browser position chr1:1-9\ntrack name=x description="a b"\n' + content,
        }[change]
    )
    assert sorted(read_annotation(path).transcripts) == sorted(expected)


names = st.text(st.sampled_from("ab01.:_-|=,;%&()é '/+"), max_size=8)


@st.composite
def genes(draw: st.DrawFn) -> list[Transcript]:
    found = []
    for name in draw(st.lists(names.map("t{}".format), min_size=1, max_size=5, unique=True)):
        # Steps from one end of an exon to the next; exons may touch.
        start, *steps = draw(st.lists(st.tuples(st.integers(0, 500), st.integers(1, 500)), min_size=1, max_size=6))
        exons = [start if start[0] < start[1] else (start[0], start[0] + start[1])]
        for gap, length in steps:
            exons.append((exons[-1][1] + gap, exons[-1][1] + gap + length))
        contig, strand = draw(st.sampled_from(("chr1", "2", "X_random"))), draw(st.sampled_from("+-"))
        found.append(Transcript(name, f"g{draw(names)}", contig, strand, tuple(exons)))
    return found


def as_gtf(transcripts: Iterable[Transcript]) -> list[str]:
    return [
        f'{t.contig}\t.\texon\t{start + 1}\t{end}\t.\t{t.strand}\t.\tgene_id "{t.gene}"; transcript_id "{t.name}";\n'
        for t in transcripts
        for start, end in t.exons
    ]


def as_gff3(transcripts: Iterable[Transcript]) -> list[str]:
    lines = []
    for t in transcripts:
        name, place = quote(t.name, safe=""), f"\t.\t{t.strand}\t.\t"
        lines.append(f"{t.contig}\t.\tmRNA\t{t.span[0] + 1}\t{t.span[1]}{place}ID={name};Parent={quote(t.gene, '')}\n")
        lines += [f"{t.contig}\t.\texon\t{start + 1}\t{end}{place}Parent={name}\n" for start, end in t.exons]
    return lines


def as_bed12(transcripts: Iterable[Transcript]) -> list[str]:
    lines = []
    for t in transcripts:
        sizes = ",".join(str(end - start) for start, end in t.exons)
        starts = ",".join(str(start - t.span[0]) for start, _ in t.exons)
        place = f"{t.contig}\t{t.span[0]}\t{t.span[1]}\t{t.name}\t0\t{t.strand}\t{t.span[0]}\t{t.span[1]}\t0"
        lines.append(f"{place}\t{len(t.exons)}\t{sizes}\t{starts}\n")
    return lines


def as_genepred(transcripts: Iterable[Transcript]) -> list[str]:
    lines = []
    for t in transcripts:
        starts, ends = ("".join(f"{bound}," for bound in bounds) for bounds in zip(*t.exons, strict=True))
        place = f"{t.name}\t{t.contig}\t{t.strand}\t{t.span[0]}\t{t.span[1]}\t{t.span[0]}\t{t.span[0]}"
        lines.append(f"{place}\t{len(t.exons)}\t{starts}\t{ends}\t0\t{t.gene}\tunk\tunk\t{'-1,' * len(t.exons)}\n")
    return lines


@settings(deadline=None, max_examples=50)
@pytest.mark.parametrize("written", [as_gtf, as_gff3, as_bed12, as_genepred])
@given(transcripts=genes(), data=st.data())
def test_transcripts_written_in_any_order_are_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    written: Callable[[list[Transcript]], list[str]],
    transcripts: list[Transcript],
    data: st.DataObject,
) -> None:
    path = tmp_path_factory.getbasetemp() / f"{written.__name__}.txt"
    path.write_text("".join(data.draw(st.permutations(written(transcripts)))), encoding="utf-8")
    if written is as_bed12:
        transcripts = [transcript._replace(gene=transcript.name) for transcript in transcripts]
    assert sorted(read_annotation(path).transcripts) == sorted(transcripts)


def test_gtf_and_gff3_are_told_apart_by_the_first_row_with_attributes(tmp_path: Path) -> None:
    path = tmp_path / "annotation"
    exon = "c\ts\texon\t1\t100\t.\t+\t.\t"
    for text in (
        f"{exon}gene_id g; transcript_id t\n",
        f'{exon}transcript_id "t"; gene_id "g=1";\n',
        f'{exon.replace("exon", "gene")}g1\n{exon}transcript_id "t"; gene_id "g1";\n',  # as AUGUSTUS writes it
        f'{exon.replace("exon", "region")}Name=a "b" c\n{exon}Parent=t\n',
        f"{exon.replace('exon', 'region')}.\n{exon}Parent=t\n",
    ):
        path.write_text(text)
        assert [transcript.name for transcript in read_annotation(path).transcripts] == ["t"]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("c\t1\t100\tname\t0\n", 5),
        ("c\t1\t100\n", 3),
        ("c\ts\texon\t1\t100\t.\t+\t.\n", 8),
        ('c s exon 1 100 . + . gene_id "g"; transcript_id "t";\n', 1),
        (">c\nACGT\n", 1),
        ("<!DOCTYPE html>\n", 1),
    ],
)
def test_a_file_of_another_kind_is_refused_with_the_formats_there_are(tmp_path: Path, line: str, found: int) -> None:
    path = tmp_path / "annotation.gtf"
    path.write_text(f"# note\n{line}")
    with pytest.raises(InputError) as caught:
        read_annotation(path)
    problem = f"the columns are not those of an annotation: found {found}, separated by tabs. They should be 9 (GTF"
    assert str(caught.value).startswith(f"{path}, line 2: {problem}")


def test_nine_columns_that_are_neither_gtf_nor_gff3_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "nine.bed"
    path.write_text("c\t1\t100\tname\t0\t+\t1\t100\t255,0,0\n" * 2)
    with pytest.raises(InputError, match="line 1: start must be a whole number, found 'name'"):
        read_annotation(path)


@pytest.mark.parametrize("form", ["BED12", "genePred", "refGene.txt of UCSC", "BED6"])
def test_tags_of_a_format_without_tags_are_refused(tmp_path: Path, form: str) -> None:
    path = tmp_path / "annotation"
    path.write_text(DDX11L1[form])
    with pytest.raises(InputError, match=r"line 1: this is .*(BED12|genePred|BED6).*, which has no tags\."):
        read_annotation(path, ["MANE_Select"])


def test_text_that_is_not_utf8_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "annotation"
    path.write_bytes(DDX11L1["GTF"].encode() + b"chr\xe9\t.\n")
    with pytest.raises(InputError, match="line 4: not UTF-8 text"):
        read_annotation(path)


def test_a_file_without_transcripts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "annotation"
    for text in ("", "# nothing\n", "c\ts\tgene\t1\t9\t.\t+\t.\tID=g\n"):
        path.write_text(text)
        with pytest.raises(InputError, match=r"no transcript found\. Give GTF or GFF3 with exon or CDS rows, BED12"):
            read_annotation(path)


def test_a_file_whose_transcripts_were_all_left_out_says_why(tmp_path: Path) -> None:
    path = tmp_path / "annotation"
    for form in ("GTF", "GFF3", "BED12", "genePred"):
        path.write_text(DDX11L1[form].replace("\t+\t", "\t.\t"))
        with pytest.raises(InputError, match=r"no transcript found\. Dropped 1: no strand"):
            read_annotation(path)


@pytest.mark.real_data
def test_all_mane_transcripts_of_chr22_carry_the_tag(real_data: Path) -> None:
    path = real_data / "annotation" / "chr22.MANE.refseq.GRCh38.gff.gz"
    transcripts, tally, *_ = read_annotation(path)
    assert (len(transcripts), tally.dropped) == (423, {})
    assert transcripts == read_annotation(path, ["MANE Select"]).transcripts
    assert transcripts == read_annotation(path, ["MANE_Select"]).transcripts
    with pytest.raises(InputError, match=r"no transcript has the tag basic\..* MANE_Select \(423\)\."):
        read_annotation(path, ["basic"])


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "source", "equal", "total"), [("celegans", "WormBase", 294, 299), ("dmelanogaster", "FlyBase", 244, 251)]
)
def test_introns_are_those_that_the_database_lists_in_rows_of_their_own(
    real_data: Path, name: str, source: str, equal: int, total: int
) -> None:
    """The few that differ reach beyond the piece of the chromosome that the file was cut to."""
    path = real_data / "invertebrates" / f"{name}.1pct.gff3.gz"
    listed = defaultdict(set)
    with gzip.open(path, "rt") as lines:
        for columns in (line.rstrip("\n").split("\t") for line in lines):
            if columns[1:3] == [source, "intron"]:
                (parents,) = (part for part in columns[8].split(";") if part.startswith("Parent="))
                for parent in parents.removeprefix("Parent=").split(","):
                    listed[parent].add((int(columns[3]) - 1, int(columns[4])))
    exons = {transcript.name: transcript.exons for transcript in read_annotation(path).transcripts}
    found = {parent: {(left[1], right[0]) for left, right in pairwise(exons[parent])} for parent in listed}
    assert all(found[parent] <= listed[parent] for parent in listed)
    assert (sum(found[parent] == listed[parent] for parent in listed), len(listed)) == (equal, total)


@pytest.mark.real_data
def test_splice_junctions_without_a_strand_are_refused(real_data: Path, tmp_path: Path) -> None:
    with gzip.open(real_data / "annotation" / "gencode_v26_intron.hg38.bed.gz", "rt") as lines:
        head = [next(lines) for _ in range(3)]
    path = tmp_path / "introns.bed"
    path.write_text("".join(head))
    with pytest.raises(InputError, match="line 1: the columns are not those of an annotation: found 4"):
        read_annotation(path)
