import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.model_selection import GroupKFold

from simcsp.datasets.branch_points import (
    REGION,
    UNKNOWN,
    BranchPoints,
    Region,
    chromosome_folds,
    cut_regions,
    read_regions,
    region_of,
)
from simcsp.errors import InputError
from simcsp.sequence.alphabet import decode, encode
from simcsp.sequence.fasta import Genome
from simcsp.tally import Tally

ROW = "chr1\t{start}\t{end}\tname|branchpoint_region(18-44nt)|A\t{labels}\t{strand}\n"


def row(start: int, labels: list[int], strand: str) -> str:
    return ROW.format(start=start, end=start + len(labels), labels=",".join(map(str, labels)), strand=strand)


def one_at(place: int, length: int = REGION) -> list[int]:
    return [int(at == place) for at in range(length)]


def genome_of(letters: str, folder: Path) -> Genome:
    path = folder / "genome.fa"
    path.write_text(f">chr1\n{letters}\n")
    return Genome(path, folder / "cache")


def cut(genome: Genome, bed: str, folder: Path, length: int = 41) -> tuple[BranchPoints, Tally]:
    (folder / "points.bed").write_text(bed)
    tally = Tally("introns", "points.bed")
    regions = read_regions(folder / "points.bed", tally)
    return cut_regions(regions, {"chr1": "chr1"}, genome, folder / "points.bed", length, 0.05, tally), tally


def test_labels_by_hand_on_both_strands(tmp_path: Path) -> None:
    """The window has 7 nt before the region and 7 behind it, in the direction of transcription."""
    letters = list("C" * 100)
    letters[30], letters[32] = "A", "G"  # + : branch point at 30, something of low confidence at 32
    letters[70], letters[60] = "T", "G"  # - : an A at 70, of the other strand
    plus = one_at(30 - 20)
    plus[32 - 20] = UNKNOWN
    genome = genome_of("".join(letters), tmp_path)
    table, _ = cut(genome, row(20, plus, "+") + row(50, one_at(70 - 50), "-"), tmp_path)
    assert decode(table.tokens[0]) == "".join(letters[13:54])
    assert decode(table.tokens[1]) == "".join(letters[43:84])[::-1].translate(str.maketrans("ACGT", "TGCA"))
    assert table.label[0].tolist() == plus
    assert table.label[1].tolist() == one_at(REGION - 1 - 20)
    assert [decode(tokens[region_of(41)][label == 1]) for tokens, label in zip(*table[:2], strict=True)] == ["A", "A"]
    assert table.origin.tolist() == ["chr1:20-47:+", "chr1:50-77:-"]


def test_a_short_region_ends_where_a_whole_one_does(tmp_path: Path) -> None:
    """Next to the acceptor, 18 nt from the exon; nothing is asked of what is missing far from it."""
    genome = genome_of("C" * 30 + "A" + "C" * 60, tmp_path)
    bed = row(24, one_at(6, 10), "+") + row(24, one_at(6, 10), "-")
    table, _ = cut(genome, bed, tmp_path)
    assert table.label[0].tolist() == [UNKNOWN] * 17 + one_at(6, 10)
    assert table.label[1].tolist() == [UNKNOWN] * 17 + one_at(3, 10)
    assert decode(table.tokens[0])[region_of(41)][17 + 6] == "A"
    assert decode(table.tokens[1])[region_of(41)][17 + 3] == "T"


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), length=st.integers(40, 60))
def test_a_genome_and_its_reverse_complement_have_the_same_windows(
    tmp_path: Path, data: st.DataObject, length: int
) -> None:
    letters = data.draw(st.text("ACGT", min_size=120, max_size=120))
    start = data.draw(st.integers(0, 93))
    labels = data.draw(st.lists(st.sampled_from([0, 1, UNKNOWN]), min_size=REGION, max_size=REGION))
    strand = data.draw(st.sampled_from("+-"))
    there = Region("chr1", start, start + REGION, strand, tuple(labels), 1)
    other = {"+": "-", "-": "+"}[strand]
    back = Region("chr1", 120 - start - REGION, 120 - start, other, tuple(labels[::-1]), 1)
    turned = letters[::-1].translate(str.maketrans("ACGT", "TGCA"))
    found = []
    for text, region in ((letters, there), (turned, back)):
        tally = Tally("introns", "points.bed")
        try:
            table = cut_regions([region], {"chr1": "chr1"}, genome_of(text, tmp_path), Path("x"), length, 0.05, tally)
            found.append((table.tokens.tolist(), table.label.tolist()))
        except InputError:
            found.append(([], []))  # the window reaches beyond the contig
    assert found[0] == found[1]


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    genome = genome_of("A" * 60 + "N" * 60, tmp_path)
    bed = "".join(row(start, one_at(3), "+") for start in (2, 20, 70)) + row(20, [0] * REGION, "+")
    table, tally = cut(genome, bed + row(20, one_at(3), "-").replace("chr1", "chr9"), tmp_path)
    assert len(table.label) == 1
    assert tally.read == 5
    assert tally.dropped == {
        "window of 41 nt reaches beyond the contig": 1,
        "more than 5% N in the window": 1,
        "no branch point of high confidence": 1,
        "contig not in the FASTA": 1,
    }


@pytest.mark.parametrize(
    ("bed", "problem"),
    [
        ("chr1\t1\t2\tx\t1\n", "line 1: expected 6 tab-separated columns, found 5"),
        (row(20, one_at(3, 28), "+"), "line 1: a region has 1 to 27 nt, found 28"),
        (row(20, [0, 2], "+"), "line 1: a label is 1, 0 or -100, found '2'"),
        (row(20, one_at(3), "+").replace("47", "46"), "line 1: 27 labels for 26 nt"),
        (row(20, [0] * REGION, "+"), "no branch point found"),
        (row(90, one_at(3), "+"), "line 1: region ends at 117, beyond chr1"),
        (row(2, one_at(3), "+"), "no region has a window. Dropped 1: window of 41 nt reaches beyond the contig"),
        ("".join(row(30, one_at(3 + at % 9), "+") for at in range(12)), r"only 17% of 12 branch points are A"),
    ],
)
def test_bad_rows_are_named(bed: str, problem: str, tmp_path: Path) -> None:
    genome = genome_of("C" * 33 + "AC" + "C" * 65, tmp_path)
    with pytest.raises(InputError, match=problem):
        cut(genome, bed, tmp_path)


def table_on(contigs: list[str]) -> BranchPoints:
    rows = len(contigs)
    label = np.tile(np.array(one_at(3), dtype=np.int8), (rows, 1))
    return BranchPoints(np.zeros((rows, 41), dtype=np.uint8), label, np.array(contigs), np.array(contigs))


def test_folds_are_the_published_ones() -> None:
    """scikit-learn's GroupKFold by chromosome; a fold tests on a part and validates on the next."""
    table = table_on([f"chr{1 + number % 7}" for number in range(40)])
    parts = [test.tolist() for _, test in GroupKFold(5).split(table.label, groups=table.contig)]
    folds = chromosome_folds(table, 5)
    assert [fold.test.tolist() for fold in folds] == parts
    assert [fold.validation.tolist() for fold in folds] == [*parts[1:], parts[0]]
    for fold in folds:
        on = [set(table.contig[rows]) for rows in fold]
        assert not (on[0] & on[1] or on[0] & on[2] or on[1] & on[2])
        assert sum(map(len, fold)) == 40


@pytest.mark.parametrize(("contigs", "count"), [(4, 5), (4, 2)])
def test_too_few_contigs_or_folds_are_refused(contigs: int, count: int) -> None:
    with pytest.raises(InputError, match=f"{count} folds of {contigs} contigs"):
        chromosome_folds(table_on([f"chr{number % contigs}" for number in range(20)]), count)


def test_a_part_without_branch_points_is_refused() -> None:
    table = table_on(["chr1", "chr2", "chr3"])
    table.label[1] = UNKNOWN
    with pytest.raises(InputError, match="of one label only"):
        chromosome_folds(table, 3)


@pytest.mark.real_data
def test_mercers_branch_points_have_the_letters_that_their_names_hold(real_data: Path, tmp_path: Path) -> None:
    """On hg19 chr22:20,000,000-21,000,000; a name ends in the letters of all points, of low confidence, too."""
    with gzip.open(real_data / "human-pieces" / "human.fa.gz", "rt") as pieces:
        (piece,) = (text for text in pieces.read().split(">") if text.startswith("hisat2_chr22_20M "))
    (tmp_path / "chr22.fa").write_text(f">chr22\n{''.join(piece.splitlines()[1:])}\n")
    rows, letters = [], []
    with gzip.open(real_data / "annotation" / "mercer_branchpoints.hg19.bed.gz", "rt") as table:
        for line in table:
            contig, start, end, name, labels, strand = line.rstrip("\n").split("\t")
            moved = int(start) - 20_000_000, int(end) - 20_000_000
            if contig == "chr22" and moved[0] > 0 and moved[1] < 999_700 and "1" in labels.split(","):
                rows.append("\t".join((contig, *map(str, moved), name, labels, strand)) + "\n")
                letters.append("".join(sorted(name.rpartition("|")[2].split(","))))
    (tmp_path / "points.bed").write_text("".join(rows))
    tally = Tally("introns", "points.bed")
    genome = Genome(tmp_path / "chr22.fa", tmp_path / "cache")
    regions = read_regions(tmp_path / "points.bed", tally)
    cut_here = cut_regions(regions, {"chr22": "chr22"}, genome, tmp_path / "points.bed", 510, 0.05, tally)
    shown = cut_here.tokens[:, region_of(510)]
    found = ["".join(sorted(decode(s[label != 0]))) for s, label in zip(shown, cut_here.label, strict=True)]
    whole = [letters[row] for row, region in enumerate(regions) if region.end - region.start == REGION]
    assert len(found) == len(whole) == 41
    assert found == whole
    assert encode(b"A").tokens[0] == np.bincount(shown[cut_here.label == 1]).argmax()


def test_a_window_must_hold_a_region_and_what_is_around_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a window of 39 nt is too short"):
        cut(genome_of("A" * 100, tmp_path), row(20, one_at(3), "+"), tmp_path, length=39)
