from pathlib import Path

import pytest

from simcsp.errors import InputError
from simcsp.sequence.annotation import Annotation, Transcript, introns_of, read_annotation

# https://genome.ucsc.edu/FAQ/FAQformat.html#format1; columns are separated by blanks there.
BED12 = """\
track name=pairedReads description="Clone Paired Reads" useScore=1
chr22 1000 5000 cloneA 960 + 1000 5000 0 2 567,488, 0,3512
chr22 2000 6000 cloneB 900 - 2000 6000 0 2 433,399, 0,3601
"""
# Table refGene of UCSC's hg19: https://hgdownload.soe.ucsc.edu/goldenPath/hg19/database/refGene.txt.gz.
REFGENE = (
    "585\tNR_046018\tchr1\t+\t11873\t14409\t14409\t14409\t3\t11873,12612,13220,\t12227,12721,14409,\t0\tDDX11L1\t"
    "unk\tunk\t-1,-1,-1,\n"
    "585\tNR_024540\tchr1\t-\t14361\t29370\t29370\t29370\t11\t"
    "14361,14969,15795,16606,16857,17232,17605,17914,18267,24737,29320,\t"
    "14829,15038,15947,16765,17055,17368,17742,18061,18366,24891,29370,\t0\tWASH7P\tunk\tunk\t"
    "-1,-1,-1,-1,-1,-1,-1,-1,-1,-1,-1,\n"
)


def read(tmp_path: Path, *lines: str) -> Annotation:
    path = tmp_path / "table"
    path.write_text("".join(lines))
    return read_annotation(path)


def columns(line: str, first: int, last: int | None) -> str:
    return "\t".join(line.rstrip("\n").split("\t")[first:last]) + "\n"


def test_the_example_of_bed12_is_read_with_blanks_and_with_tabs(tmp_path: Path) -> None:
    expected = [
        Transcript("cloneA", "cloneA", "chr22", "+", ((1000, 1567), (4512, 5000))),
        Transcript("cloneB", "cloneB", "chr22", "-", ((2000, 2433), (5601, 6000))),
    ]
    track, *lines = BED12.splitlines(keepends=True)
    for text in (BED12, track + "".join(lines).replace(" ", "\t"), "".join(lines)):
        transcripts, tally, lengths, _ = read(tmp_path, text)
        assert transcripts == expected
        assert (tally.read, tally.kept, lengths) == (2, 2, {})


@pytest.mark.parametrize(
    ("first", "last", "has_gene"), [(0, None, True), (1, None, True), (0, 11, False), (1, 11, False)]
)
def test_genepred_is_read_plain_and_extended_with_and_without_bin(
    tmp_path: Path, first: int, last: int | None, has_gene: bool
) -> None:
    lines = [columns(line, first, last) for line in REFGENE.splitlines()]
    forward, reverse = read(tmp_path, "#bin\tname\tchrom\n", *lines).transcripts
    exons = ((11873, 12227), (12612, 12721), (13220, 14409))
    assert forward == Transcript("NR_046018", "DDX11L1" if has_gene else "NR_046018", "chr1", "+", exons)
    assert reverse[:4] == ("NR_024540", "WASH7P" if has_gene else "NR_024540", "chr1", "-")
    assert (len(reverse.exons), reverse.exons[9:]) == (11, ((24737, 24891), (29320, 29370)))


def test_an_intron_has_empty_exons_at_its_ends_even_at_the_end_of_the_contig(tmp_path: Path) -> None:
    transcripts, tally, *_ = read(tmp_path, "c\t0\t100\tg\t0\t+\n", "c\t50\t200\tg\t960\t-\n")
    assert transcripts == [
        Transcript("g", "g", "c", "+", ((0, 0), (100, 100))),
        Transcript("g", "g", "c", "-", ((50, 50), (200, 200))),
    ]
    assert [transcript.span for transcript in transcripts] == [(0, 100), (50, 200)]
    assert [intron[:4] for intron in introns_of(transcripts, "here")[0]] == [("c", 0, 100, "+"), ("c", 50, 200, "-")]
    assert tally.read == 2


@pytest.mark.parametrize("name", [".", ""])
def test_lines_without_a_name_are_not_all_one_gene(tmp_path: Path, name: str) -> None:
    transcripts = read(tmp_path, f"c\t0\t100\t{name}\t0\t+\n", f"c\t50\t200\t{name}\t0\t+\n").transcripts
    assert [transcript.gene for transcript in transcripts] == ["c:0-100", "c:50-200"]


def test_a_genepred_without_gene_names_it_after_the_transcript_and_counts(tmp_path: Path) -> None:
    transcripts, tally, *_ = read(tmp_path, REFGENE.replace("DDX11L1", ""))
    assert [transcript.gene for transcript in transcripts] == ["NR_046018", "WASH7P"]
    assert tally.changed == {"name2 empty, gene named after the transcript": 1}


def test_a_transcript_without_strand_is_left_out_and_counted(tmp_path: Path) -> None:
    transcripts, tally, *_ = read(tmp_path, BED12.replace(" - ", " . "))
    assert [transcript.name for transcript in transcripts] == ["cloneA"]
    assert (tally.read, tally.dropped) == (2, {"no strand": 1})


BED12_LINE = "c\t100\t200\tt\t0\t+\t100\t200\t0\t2\t30,40\t0,60\n"
GENEPRED_LINE = "t\tc\t+\t100\t200\t100\t100\t2\t100,160,\t130,200,\n"
INTRON_LINE = "c\t100\t200\tg\t0\t+\n"
MALFORMED = {
    "columns": (BED12_LINE, "\t0,60", "\t0,60\tmore", "expected 12 columns, found 13"),
    "start": (BED12_LINE, "c\t100", "c\t1e2", "chromStart must be a whole number, found '1e2'"),
    "end": (BED12_LINE, "\t200\tt", "\t2_00\tt", "chromEnd must be a whole number, found '2_00'"),
    "negative": (BED12_LINE, "c\t100", "c\t-1", "chromStart must be a whole number, found '-1'"),
    "count": (BED12_LINE, "\t2\t", "\t+2\t", "blockCount must be a whole number, found '+2'"),
    "too many": (BED12_LINE, "\t2\t", "\t3\t", "expected 3 blockSizes, found 2"),
    "too few": (BED12_LINE, "0,60", "0", "expected 2 blockStarts, found 1"),
    "none": (BED12_LINE, "2\t30,40\t0,60", "0\t\t", "blockSizes must be a whole number, found ''"),
    "size": (BED12_LINE, "30,40", "30, 40", "blockSizes must be a whole number, found ' 40'"),
    "two commas": (GENEPRED_LINE, "130,200,", "130,200,,", "exonEnds must be a whole number, found ''"),
    "empty block": (BED12_LINE, "30,40", "0,40", "exon 100-100 is no 0-based interval"),
    "overlap": (BED12_LINE, "30,40", "61,40", "exons 100-161 and 160-200 overlap or are not in ascending order"),
    "order": (BED12_LINE, "30,40\t0,60", "40,30\t60,0", "exons 160-200 and 100-130 overlap or are not in ascending"),
    "beyond the end": (BED12_LINE, "30,40", "30,41", "exons reach from 100 to 201, the transcript from 100 to 200"),
    "short of the end": (BED12_LINE, "30,40", "30,39", "exons reach from 100 to 199, the transcript from 100 to 200"),
    "late start": (BED12_LINE, "0,60", "1,60", "exons reach from 101 to 200, the transcript from 100 to 200"),
    "strand": (BED12_LINE, "+", "x", "strand must be +, - or ., found 'x'"),
    "txStart": (GENEPRED_LINE, "+\t100", "+\t0x64", "txStart must be a whole number, found '0x64'"),
    "txEnd": (GENEPRED_LINE, "200\t100\t100", "\t100\t100", "txEnd must be a whole number, found ''"),
    "exonCount": (GENEPRED_LINE, "\t2\t", "\t1\t", "expected 1 exonStarts, found 2"),
    "exonEnds": (GENEPRED_LINE, "130,200,", "130,", "expected 2 exonEnds, found 1"),
    "exons overlap": (GENEPRED_LINE, "130,", "161,", "exons 100-161 and 160-200 overlap"),
    "exon reversed": (GENEPRED_LINE, "130,", "99,", "exon 100-99 is no 0-based interval"),
    "exons leave": (GENEPRED_LINE, "\t100,", "\t99,", "exons reach from 99 to 200, the transcript from 100 to 200"),
    "bin": (f"7\t{GENEPRED_LINE}", "7\t", "x\t", "bin must be a whole number, found 'x'"),
    "no strand": (INTRON_LINE, "+", ".", "strand must be + or -, found '.'"),
    "reversed": (INTRON_LINE, "200", "99", "chromStart 100 and chromEnd 99 are no 0-based interval"),
    "no intron": (INTRON_LINE, "200", "100", "chromStart 100 and chromEnd 100 are no 0-based interval"),
    "sign": (INTRON_LINE, "100", "+100", "chromStart must be a whole number, found '+100'"),
    "lost column": (INTRON_LINE, "\t+", "", "expected 6 columns, found 5"),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_line_is_refused_with_file_and_line(tmp_path: Path, what: str) -> None:
    good, old, new, problem = MALFORMED[what]
    malformed = good.replace(old, new, 1)
    assert malformed != good
    with pytest.raises(InputError) as caught:
        read(tmp_path, "# comment\n", good, malformed)
    assert str(caught.value).startswith(f"{tmp_path / 'table'}, line 3: {problem}")
    assert "By its first line the file is" in str(caught.value)


@pytest.mark.parametrize("good", [BED12_LINE, GENEPRED_LINE, f"7\t{GENEPRED_LINE}", INTRON_LINE])
def test_the_lines_that_were_spoiled_are_good(tmp_path: Path, good: str) -> None:
    (transcript,) = read(tmp_path, good).transcripts
    assert transcript.span == (100, 200)
