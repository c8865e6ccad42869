"""Tables of the assays, by hand."""

import csv
import gzip
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from simcsp.datasets.variant_exons import cut_variants, read_vcf_variants
from simcsp.datasets.variants import Variant, read_variants
from simcsp.errors import InputError
from simcsp.sequence.alphabet import decode
from simcsp.sequence.annotation import Transcript
from simcsp.sequence.fasta import Genome
from simcsp.tally import Tally

#           0         10        20        30        40
LETTERS = "TTTTTTTTTTTTTTTTTTAGCCACCCCCCCGTTTTTTTTTTTTTTTTTTT"  # exon 20 – 30 of the forward strand
REVERSE = "ACGT"[::-1]
VEXSEQ = "ID,seqnames,start,end,strand,hg19_variant_position,reference,variant,HepG2_delta_psi\n"


def other_strand(letters: str) -> str:
    return letters.translate(str.maketrans("ACGT", "TGCA"))[::-1]


@pytest.fixture
def genome(tmp_path: Path) -> Genome:
    (tmp_path / "genome.fa").write_text(f">chr1\n{LETTERS}\n>chr2\n{other_strand(LETTERS)}\n")
    return Genome(tmp_path / "genome.fa", tmp_path / "cache")


def variant(position: int = 22, ref: str = "A", alt: str = "G", contig: str = "chr1", strand: str = "+") -> Variant:
    exon = (20, 30) if strand == "+" else (len(LETTERS) - 30, len(LETTERS) - 20)
    return Variant("v", contig, position, ref, alt, exon, strand, 1, 1)


def written(tmp_path: Path, text: str) -> Path:
    (tmp_path / "variants").write_text(text)
    return tmp_path / "variants"


def test_exons_of_mfass_start_at_0_and_those_of_vexseq_at_1(tmp_path: Path) -> None:
    row = "chr1\t23\tENSE1_007|x|{}|30|+|0.9|-0.7|True\tA\tG\n"
    mfass = read_variants(written(tmp_path, row.format(20)), "mfass", Tally("variants", ""))
    vexseq = read_variants(written(tmp_path, row.format(21)), "vexseq", Tally("variants", ""))
    assert mfass == vexseq == [Variant("ENSE1_007", "chr1", 22, "A", "G", (20, 30), "+", 1, 1)]


def test_the_csv_of_vexseq_is_labelled_by_its_delta_psi(tmp_path: Path) -> None:
    rows = "a,chr1,21,30,+,23,A,G,-24.5\nb,chr1,21,30,-,23,A,C,-24.0\n"
    first, second = read_variants(written(tmp_path, VEXSEQ + rows), "vexseq-csv", Tally("variants", ""))
    assert first == Variant("a", "chr1", 22, "A", "G", (20, 30), "+", 1, 2)
    assert (second.label, second.strand, second.line) == (0, "-", 3)


def test_a_table_may_go_without_labels_and_names(tmp_path: Path) -> None:
    text = "contig\tposition\tref\talt\texon_start\texon_end\tstrand\nchr1\t23\ta\tg\t20\t30\t+\n"
    assert read_variants(written(tmp_path, text), "table", Tally("variants", "")) == [
        Variant("chr1:23a>g", "chr1", 22, "A", "G", (20, 30), "+", None, 2)
    ]


def test_what_is_no_substitution_is_counted(tmp_path: Path) -> None:
    head = "contig\tposition\tref\talt\texon_start\texon_end\tstrand\tlabel\n"
    rows = "".join(f"chr1\t23\t{ref}\t{alt}\t20\t30\t+\t0\n" for ref, alt in ("AC", "AG", "NA", "TT"))
    rows += "chr1\t23\tAC\tA\t20\t30\t+\t1\nchr1\t23\tA\t.\t20\t30\t+\t1\n"
    tally = Tally("variants", "x")
    assert len(read_variants(written(tmp_path, head + rows), "table", tally)) == 2
    assert (tally.read, tally.kept) == (6, 2)
    assert dict(tally.dropped) == {
        "not a substitution of one base by another": 1, "alternative allele equals the reference": 1,
        "allele with N or another letter that is not A, C, G, T": 1, "symbolic allele": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("form", "text", "message"),
    [
        ("mfass", "chr1\t23\tname\tA\tG\n", r"line 1: expected a name of 8 fields"),
        ("vexseq-csv", "ID,seqnames\nx,chr1\n", r"line 1: the header lacks start, end, strand"),
        ("vexseq-csv", VEXSEQ + "a,chr1,21,30,+,23,A,G,low\n", r"line 2: no number: 'low'"),
        ("vexseq-csv", VEXSEQ + "a,chr1,21,30,*,23,A,G,1\n", r"line 2: the strand must be \+ or -"),
        ("vexseq-csv", VEXSEQ + "a,chr1,21,3x,+,23,A,G,1\n", r"line 2: a place must be a whole number, found '3x'"),
        ("vexseq-csv", VEXSEQ + "a,chr1,31,30,+,23,A,G,1\n", r"line 2: an exon from 30 to 30"),
        ("vexseq-csv", VEXSEQ + "a,chr1,31\n", r"line 2: expected 9 columns, found 3"),
        ("vexseq-csv", VEXSEQ, r"no substitution found"),
    ],
)  # fmt: skip
def test_malformed_rows_are_named(tmp_path: Path, form: str, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_variants(written(tmp_path, text), form, Tally("variants", ""))


@pytest.mark.parametrize(
    ("position", "at_site"), [(17, False), (18, True), (19, True), (20, False), (29, False), (30, True), (31, True),
                              (32, False)],
)  # fmt: skip
def test_variants_of_the_dinucleotides_are_told_apart(position: int, at_site: bool) -> None:
    assert variant(position).at_site == at_site


def test_sites_are_found_in_the_window_on_either_strand(genome: Genome, tmp_path: Path) -> None:
    forward = variant()
    reverse = variant(len(LETTERS) - 1 - 22, "T", "C", "chr2", "-")
    names = {"chr1": "chr1", "chr2": "chr2"}
    cut = cut_variants([forward, reverse], names, genome, tmp_path, 40, Tally("variants", ""))
    for window, place, alternative, donor, acceptor in zip(*cut[1:], strict=True):
        letters = decode(window)
        assert (letters[donor : donor + 2], letters[acceptor : acceptor + 2]) == ("GT", "AG")
        assert (letters[place], "NACGT"[alternative - 5]) == ("A", "G")
        assert letters[acceptor + 2 : donor] == "CCACCCCCCC"
    assert decode(cut.windows[0]) == LETTERS[5:45]  # as published: from (20 + 30) // 2 - 40 // 2


def test_an_exon_that_does_not_fit_leaves_the_window_to_the_variant(genome: Genome, tmp_path: Path) -> None:
    cut = cut_variants([variant()], {"chr1": "chr1"}, genome, tmp_path, 12, Tally("variants", ""))
    assert (int(cut.place[0]), int(cut.donor[0]), int(cut.acceptor[0])) == (6, -1, 2)


def test_reference_bases_of_another_assembly_are_refused(genome: Genome, tmp_path: Path) -> None:
    wrong = [variant(ref="C")] * 12
    with pytest.raises(InputError, match=r"the reference base of 12 of 13 variants is not that of .+genome\.fa"):
        cut_variants([*wrong, variant()], {"chr1": "chr1"}, genome, tmp_path, 40, Tally("variants", ""))
    tally = Tally("variants", "")
    tally.read = 150
    kept = cut_variants([wrong[0], *[variant()] * 149], {"chr1": "chr1"}, genome, tmp_path, 40, tally).variants
    assert (len(kept), tally.kept) == (149, 149)


def test_what_cannot_be_cut_is_counted(genome: Genome, tmp_path: Path) -> None:
    tally = Tally("variants", "")
    tally.read = 3
    asked = [variant(), variant(contig="chr9"), variant()._replace(exon=(2, 4), position=3)]
    assert len(cut_variants(asked, {"chr1": "chr1"}, genome, tmp_path, 40, tally).variants) == 1
    assert dict(tally.dropped) == {"contig not in the FASTA": 1, "window reaches beyond the contig": 1}


def test_a_vcf_takes_the_nearest_internal_exon(tmp_path: Path) -> None:
    head = "##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    rows = [
        ("23", "A", "G,C"),
        ("150", "A", "T"),
        ("24", "A", "AT"),
        ("24", "A", "<DEL>"),
        ("41", "C", "T"),
        ("24", "A", "."),
    ]
    text = head + "".join(f"chr1\t{at}\tv{at}\t{ref}\t{alt}\t.\t.\t.\n" for at, ref, alt in rows)
    transcripts = [
        Transcript("t", "g", "chr1", "-", ((0, 5), (20, 30), (45, 60), (140, 160))),
        Transcript("u", "g", "chr1", "-", ((10, 30), (45, 60))),
    ]
    tally = Tally("variants", "")
    found = read_vcf_variants(written(tmp_path, text), transcripts, {"chr1": "chr1"}, 15, tally)
    assert [(one.position, one.alt, one.exon, one.strand) for one in found] == [
        (22, "G", (20, 30), "-"), (22, "C", (20, 30), "-"), (40, "T", (45, 60), "-"),
    ]  # fmt: skip
    assert (tally.read, tally.kept) == (7, 3)
    assert sum(tally.dropped.values()) == 4
    assert np.all([one.label is None for one in found])


@pytest.mark.real_data
def test_exons_of_the_real_vexseq_lie_between_ag_and_gt(real_data: Path) -> None:
    """Seen in the sequences that the same file holds, in which the variant is where both differ."""
    path, tally = real_data / "variants" / "vexseq_CAGI5_train_with_sequences.csv.gz", Tally("variants", "")
    found = read_variants(path, "vexseq-csv", tally)
    assert (tally.read, len(found), sum(one.label or 0 for one in found)) == (957, 906, 52)
    with gzip.open(path, "rt") as stream:
        sequences = {row["ID"]: (row["REF_SEQ"], row["ALT_SEQ"]) for row in csv.DictReader(stream)}
    around: Counter[tuple[str, str]] = Counter()
    for one in found:
        ref, alt = sequences[one.name]
        place = next(at for at, letters in enumerate(zip(ref, alt, strict=False)) if letters[0] != letters[1])
        forward = one.strand == "+"
        begin = place + (one.exon[0] - one.position if forward else one.position - one.exon[1] + 1)
        end = begin + one.exon[1] - one.exon[0]
        around[ref[begin - 2 : begin], ref[end : end + 2]] += 1
    assert set(around) == {("AG", "GT"), ("AG", "GC")}
