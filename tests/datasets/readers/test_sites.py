import gzip
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

Row = tuple[str, int, int, str, str]  # contig, start, end, name, strand


def bed_of(rows: list[Row]) -> str:
    return "".join(f"{contig}\t{start}\t{end}\t{name}\tname2\t{strand}\n" for contig, start, end, name, strand in rows)


def read(
    fasta: Path, bed: str | list[Row], *, ignore: bool = False, assembly: str | None = None, **data: Any
) -> tuple[WindowTable, list[Tally]]:
    path = fasta.with_name("sites.bed")
    path.write_text(bed if isinstance(bed, str) else bed_of(bed))
    source = WindowSource(
        format="sites", species="mini", fasta=fasta, sites=path, ignore_missing_contigs=ignore, assembly=assembly
    )
    settings = DataConfig(**{"window": 20} | data)
    return READERS["sites"](source, settings, fasta.parent / "cache", np.random.default_rng(0))


def fasta_of(folder: Path, letters: str | dict[str, str]) -> Path:
    path = folder / "genome.fa"
    contigs = {"c": letters} if isinstance(letters, str) else letters
    path.write_text("".join(f">{name}\n{text}\n" for name, text in contigs.items()))
    return path


# The two sites and two decoys of each gene of the designed genome, by their dinucleotides.
MINI_ROWS: list[Row] = [
    ("mini", 20, 22, "donor", "+"),
    ("mini", 43, 45, "acceptor", "+"),
    ("mini", 75, 77, "acceptor", "-"),
    ("mini", 98, 100, "donor", "-"),
    ("mini", 12, 14, "non-donor", "+"),
    ("mini", 30, 32, "non-acceptor", "+"),
    ("mini", 69, 71, "non-donor", "-"),
    ("mini", 89, 91, "non-acceptor", "-"),
]
# The same by the intron's base next to the exon, worked out by hand from the introns [20, 45) and [75, 100).
MINI_BASES: list[Row] = [
    ("mini", 20, 21, "donor", "+"),
    ("mini", 44, 45, "acceptor", "+"),
    ("mini", 75, 76, "acceptor", "-"),
    ("mini", 99, 100, "donor", "-"),
    ("mini", 12, 13, "non-donor", "+"),
    ("mini", 31, 32, "non-acceptor", "+"),
    ("mini", 70, 71, "non-donor", "-"),
    ("mini", 89, 90, "non-acceptor", "-"),
]


@pytest.mark.parametrize("rows", [MINI_ROWS, MINI_BASES, MINI_ROWS[:3] + MINI_BASES[3:]])
def test_sites_of_both_strands_are_found_by_dinucleotide_or_base(mini_genome: "MiniGenome", rows: list[Row]) -> None:
    table, tallies = read(mini_genome.fasta, rows)
    columns = zip(table.origin, table.tokens, table.label, table.site_type, strict=True)
    assert {str(origin): (decode(window), int(label), int(kind)) for origin, window, label, kind in columns} == {
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
    assert [(tally.what, tally.read, tally.kept) for tally in tallies] == [("contigs", 1, 1), ("sites", 8, 8)]
    assert tallies[1].source == "mini (100.0% GT or AG)"


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("chr1|91629|x|GT(donor)", (0, 1)),
        ("x|AG(acceptor)", (1, 1)),
        ("x|GT(non-donor)", (0, 0)),
        ("x|y|AG(non-acceptor)", (1, 0)),
        ("x|donor(SSE > 0.8)", (0, 1)),
        ("donor(SSE<0.2)", (0, 0)),
        ("x|acceptor(SSE > 0.8)", (1, 1)),
        ("x|acceptor(SSE < 0.2)", (1, 0)),
    ],
)
def test_the_published_names_say_what_a_site_is(mini_genome: "MiniGenome", name: str, row: tuple[int, int]) -> None:
    position = (20, 43)[row[0]]
    table, _ = read(mini_genome.fasta, [("mini", position, position + 2, name, "+")])
    assert [*zip(table.site_type, table.label, strict=True)] == [row]


def test_headers_blank_lines_and_windows_line_ends_are_passed_over(mini_genome: "MiniGenome") -> None:
    bed = "track name=x\r\nbrowser position mini\r\n# comment\r\n\r\n" + bed_of(MINI_ROWS[:2]).replace("\n", "\r\n")
    assert read(mini_genome.fasta, bed)[0].origin.tolist() == ["mini:20-22:+", "mini:43-45:+"]


MOTIFS = {("donor", "+"): "GT", ("donor", "-"): "AC", ("acceptor", "+"): "AG", ("acceptor", "-"): "CT"}
SITES = st.lists(
    st.tuples(st.integers(0, 39), st.sampled_from([*MOTIFS]), st.booleans()),
    min_size=1,
    max_size=15,
    unique_by=lambda site: site[0],
)


def designed(folder: Path, sites: list[tuple[int, tuple[str, str], bool]]) -> tuple[Path, list[Row], list[Row]]:
    """A genome of G, whose sites are seven apart, and its sites as dinucleotides and as bases."""
    letters = list("G" * 300)
    pairs, bases = [], []
    for place, (kind, strand), real in sites:
        start = 7 * place + 5
        letters[start : start + 2] = MOTIFS[kind, strand]
        name = kind if real else f"non-{kind}"
        base = start if (kind, strand) in (("donor", "+"), ("acceptor", "-")) else start + 1
        pairs.append(("c", start, start + 2, name, strand))
        bases.append(("c", base, base + 1, name, strand))
    return fasta_of(folder, "".join(letters)), pairs, bases


def assert_same(left: WindowTable, right: WindowTable) -> None:
    for one, other in zip(left, right, strict=True):
        np.testing.assert_array_equal(one, other)


@settings(deadline=None, max_examples=40)
@given(SITES, st.randoms(use_true_random=False))
def test_neither_the_kind_of_interval_nor_the_order_of_lines_matters(
    tmp_path_factory: pytest.TempPathFactory, sites: list[tuple[int, tuple[str, str], bool]], random: Any
) -> None:
    inside = [site for site in sites if 1 <= site[0] <= 39]  # others reach beyond the contig
    fasta, pairs, bases = designed(tmp_path_factory.mktemp("sites"), inside or [(1, ("donor", "+"), True)])
    table, tallies = read(fasta, pairs)
    assert len(table.label) == len(pairs)
    mixed = [random.choice(both) for both in zip(pairs, bases, strict=True)]
    for other in (bases, random.sample(pairs, len(pairs)), random.sample(mixed, len(mixed))):
        again, counted = read(fasta, other)
        assert_same(table, again)
        assert counted == tallies


@settings(deadline=None, max_examples=40)
@given(SITES, st.sampled_from([20, 24, 40]))
def test_groups_are_the_connected_components_of_overlapping_windows(
    tmp_path_factory: pytest.TempPathFactory, sites: list[tuple[int, tuple[str, str], bool]], window: int
) -> None:
    inside = [site for site in sites if 3 <= site[0] <= 36] or [(5, ("donor", "+"), True)]
    fasta, pairs, _ = designed(tmp_path_factory.mktemp("groups"), inside)
    table, _ = read(fasta, pairs, window=window)
    starts = [int(origin.split(":")[1].split("-")[0]) for origin in table.origin.tolist()]
    components = {frozenset([start]) for start in starts}
    for left in starts:
        for right in starts:
            if abs(left - right) < window:
                joined = {component for component in components if {left, right} & component}
                components = components - joined | {frozenset().union(*joined)}
    expected = {start: f"c:{min(component)}-{max(component) + 2}" for component in components for start in component}
    assert table.group.tolist() == [expected[start] for start in starts]


def test_groups_do_not_reach_from_contig_to_contig(tmp_path: Path) -> None:
    letters = "C" * 30 + "GT" + "C" * 30
    rows: list[Row] = [("b", 30, 32, "donor", "+"), ("a", 30, 32, "donor", "+")]
    table, tallies = read(fasta_of(tmp_path, {"a": letters, "unread": "C" * 300 + "E", "b": letters}), rows)
    assert table.group.tolist() == ["a:30-32", "b:30-32"]
    assert tallies[0].read == 2


def test_sites_listed_twice_count_once_and_label_1_prevails(mini_genome: "MiniGenome") -> None:
    rows: list[Row] = [
        ("mini", 20, 22, "non-donor", "+"),
        ("mini", 20, 22, "x|donor(SSE > 0.8)", "+"),
        ("mini", 43, 45, "acceptor", "+"),
        ("mini", 44, 45, "acceptor", "+"),
    ]
    table, tallies = read(mini_genome.fasta, rows)
    assert [*zip(table.origin.tolist(), table.label.tolist(), strict=True)] == [
        ("mini:20-22:+", 1),
        ("mini:43-45:+", 1),
    ]
    assert (tallies[1].read, tallies[1].kept) == (4, 2)
    assert tallies[1].dropped == {"label 0 where another row says label 1": 1, "same site as another row": 1}


def test_windows_that_cannot_be_used_are_counted(tmp_path: Path) -> None:
    letters = "GT" + "C" * 20 + "GC" + "C" * 20 + "GT" + "C" * 10 + "NN" + "C" * 20 + "GT" + "C" * 20 + "NN" + "C" * 20
    starts = [0, 22, 44, 78, 100]
    rows: list[Row] = [("c", start, start + 2, "donor", "+") for start in starts]
    table, tallies = read(fasta_of(tmp_path, letters), rows, max_unread=0.0, window=26)
    assert table.origin.tolist() == ["c:78-80:+"]
    assert tallies[1].dropped == {
        "window of 26 nt reaches beyond the contig": 1,
        "no GT (donor) or AG (acceptor)": 1,
        "more than 0% N": 2,
    }
    assert tallies[1].source == "mini (75.0% GT or AG)"  # N is neither


def test_a_base_at_the_very_beginning_or_end_of_a_contig_is_no_error(tmp_path: Path) -> None:
    rows: list[Row] = [
        ("c", 0, 1, "acceptor", "+"),
        ("c", 40, 42, "donor", "+"),
        ("c", 81, 82, "donor", "+"),
        ("c", 30, 32, "acceptor", "+"),
    ]
    letters = "C" * 30 + "AG" + "C" * 8 + "GT" + "C" * 39 + "G"
    table, tallies = read(fasta_of(tmp_path, letters), rows)
    assert table.origin.tolist() == ["c:30-32:+", "c:40-42:+"]
    assert tallies[1].dropped == {"window of 20 nt reaches beyond the contig": 2}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("mini\t20\t22\tdonor\t+", "expected 6 tab-separated columns, found 5"),
        ("mini\t20\t22\ta|GT(branch)\t0\t+", "unknown label 'GT(branch)'"),
        ("mini\t20\t23\tdonor\t0\t+", "an interval of 3 nt, where 1 or 2 are a site"),
        ("mini\t21\t21\tdonor\t0\t+", "an interval of 0 nt, where 1 or 2 are a site. BED counts from 0"),
        ("mini\t119\t121\tdonor\t0\t+", "site ends at 121, beyond mini (120 nt)"),
    ],
)
def test_malformed_rows_are_refused_with_their_line(mini_genome: "MiniGenome", line: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read(mini_genome.fasta, f"# sites\n{bed_of(MINI_ROWS[:1])}{line}\n")
    assert f"sites.bed, line 3: {message}" in str(caught.value)


def test_a_file_without_sites_is_refused(mini_genome: "MiniGenome") -> None:
    with pytest.raises(InputError, match=r"sites\.bed: no site found"):
        read(mini_genome.fasta, "# nothing\n")


def moved(rows: list[Row], start: int, end: int) -> list[Row]:
    return [(contig, first + start, last + end, name, strand) for contig, first, last, name, strand in rows]


# The exons' bases next to the introns of MINI_BASES.
MINI_EXONS: list[Row] = [
    (contig, base, base + 1, name, strand)
    for base, (contig, _, _, name, strand) in zip((19, 45, 74, 100, 11, 32, 71, 88), MINI_BASES, strict=True)
]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (moved(MINI_ROWS, 1, 1), "place for 0.0% of the sites, .* one base before it for 100.0%. .*look 1-based"),
        (moved(MINI_BASES, 1, 1), "one base before it for 100.0%. .*look 1-based"),
        (moved(MINI_ROWS, 1, 0), "place for 50.0% of the sites, .* one base before it for 50.0%. .*look 1-based"),
        (moved(MINI_ROWS, -1, -1), "one base behind it for 100.0%. The coordinates look one too low"),
        (MINI_EXONS, "before it for 50.0% and one base behind it for 50.0%. The bases look like the exons'"),
    ],
    ids=["1-based", "1-based-bases", "1-based-closed", "too-low", "exons"],
)
def test_coordinates_one_off_are_recognised(mini_genome: "MiniGenome", rows: list[Row], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(mini_genome.fasta, rows)


def test_sites_that_are_not_gt_or_ag_are_of_another_assembly(mini_genome: "MiniGenome") -> None:
    rows = [*moved(MINI_ROWS[:3], 3, 3), *MINI_ROWS[3:4]]
    with pytest.raises(InputError, match=r"only 25\.0% of 4 sites are GT .* of different assemblies; give a matching"):
        read(mini_genome.fasta, rows)
    table, tallies = read(mini_genome.fasta, rows, min_gt_ag=0.25)
    assert table.origin.tolist() == ["mini:98-100:-"]
    assert tallies[1].dropped == {"no GT (donor) or AG (acceptor)": 3}
    with pytest.raises(InputError, match=r"no site is left to learn from\. Dropped 3: no GT"):
        read(mini_genome.fasta, rows[:3], min_gt_ag=0.0)


def test_sites_in_n_say_nothing_of_the_assembly(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="all 1 sites are N"):
        read(fasta_of(tmp_path, "C" * 30 + "NN" + "C" * 30), [("c", 30, 32, "donor", "+")])


DM6_CHR4 = 1_348_131  # nt, that of dm3 has 1,351,857


def test_sites_of_another_assembly_are_told_which_would_fit(tmp_path: Path) -> None:
    fasta = fasta_of(tmp_path, {"chr4": "C" * 40 + "GT" + "C" * (DM6_CHR4 - 42)})
    fit = "this FASTA is dm6; the coordinates would fit into dm3"
    with pytest.raises(InputError, match=rf"line 1: site ends at 1,350,002, beyond chr4 \(1,348,131 nt\) .*{fit}"):
        read(fasta, [("4", 1_350_000, 1_350_002, "donor", "+")])
    with pytest.raises(InputError, match=rf"only 0\.0% of 1 sites .*{fit}"):
        read(fasta, [("chr4", 50, 52, "donor", "+")])
    with pytest.raises(InputError, match=r"NC_004353\.3 has 1,351,857 nt in dm3, but chr4 of the FASTA has 1,348,131"):
        read(fasta, [("NC_004353.3", 40, 42, "donor", "+")])
    with pytest.raises(InputError, match="this FASTA is dm6, not dm3"):
        read(fasta, [("4", 40, 42, "donor", "+")], assembly="dm3")
    table, tallies = read(fasta, [("NC_004353.4", 40, 42, "donor", "+")], assembly="BDGP6")
    assert table.origin.tolist() == ["chr4:40-42:+"]
    assert tallies[0].changed == {"contig names translated (NC_004353.4 → chr4)": 1}


def test_contigs_that_the_fasta_lacks_stop_unless_they_are_to_be_ignored(mini_genome: "MiniGenome") -> None:
    rows = [("patch", 5, 7, "donor", "+"), *MINI_ROWS[:2]]
    with pytest.raises(InputError, match=r"1 of 2 contigs \(patch\) are not in .*set ignore_missing_contigs: true"):
        read(mini_genome.fasta, rows)
    table, tallies = read(mini_genome.fasta, rows, ignore=True)
    assert len(table.label) == 2
    assert (tallies[1].read, tallies[1].dropped) == (3, {"contig not in the FASTA": 1})
    with pytest.raises(InputError, match="have no contig in common"):
        read(mini_genome.fasta, rows[:1], ignore=True)


@pytest.mark.real_data
def test_human_splice_sites_of_chr1_are_where_their_file_says(real_data: Path, tmp_path: Path) -> None:
    """Column 5 of the file holds the dinucleotide of each site, read in the whole of hg38."""
    bed = real_data / "annotation" / "human_splice_sites.hg38.bed.gz"
    source = WindowSource(
        format="sites",
        species="human",
        fasta=real_data / "vertebrates-chr1" / "hg38.chr1.partial.fa.gz",
        sites=bed,
        assembly="hg38",
        ignore_missing_contigs=True,
    )
    table, (_, tally) = READERS["sites"](source, DataConfig(window=400), tmp_path, np.random.default_rng(0))
    assert np.bincount(table.site_type).tolist() == [2621, 2546]
    assert (tally.read, tally.kept) == (23_193, 5_167)
    assert tally.dropped == {
        "contig not in the FASTA": 23_193 - 9_437,
        "more than 5% N": 4_214,
        "no GT (donor) or AG (acceptor)": 56,
    }
    assert tally.source == "human (98.9% GT or AG)"
    canonical = set()
    with gzip.open(bed, "rt") as lines:
        for contig, start, _, kind, dinucleotide, strand in map(str.split, lines):
            if (kind, dinucleotide) in (("donor", "GT"), ("acceptor", "AG")):
                position = int(start) - ((kind, strand) in (("donor", "-"), ("acceptor", "+")))
                canonical.add(f"{contig}:{position}-{position + 2}:{strand}")
    assert set(table.origin.tolist()) <= canonical


@pytest.mark.real_data
def test_human_sites_of_hg19_are_refused_on_hg38(real_data: Path, tmp_path: Path) -> None:
    """By a place beyond the end of chr1, and without the sites there by their letters."""
    with gzip.open(real_data / "annotation" / "introns.hg19.tsv.gz", "rt") as lines:
        introns = [line.split("\t")[:4] for line in lines if line.startswith("chr1\t")]
    rows: list[Row] = [
        (contig, int(start), int(start) + 1, "donor" if strand == "+" else "acceptor", strand)
        for contig, start, _, strand in introns
    ]
    fasta, bed = real_data / "vertebrates-chr1" / "hg38.chr1.partial.fa.gz", tmp_path / "sites.bed"
    source = WindowSource(format="sites", species="human", fasta=fasta, sites=bed)
    for kept, message in (
        (rows, r"beyond chr1 \(248,956,422 nt\)"),
        ([row for row in rows if row[2] < 248_900_000], r"only \d+\.\d% of [\d,]+ sites are GT"),
    ):
        bed.write_text(bed_of(kept))
        with pytest.raises(InputError, match=rf"{message} .* this FASTA is hg38; the coordinates would fit into hg19"):
            READERS["sites"](source, DataConfig(), tmp_path, np.random.default_rng(0))


# --- what a splice-site finder found ---------------------------------------------------------------------------------

# Of each gene of the designed genome the donor is sure and the acceptor is not.
FOUND = "".join(
    f"mini\t{start}\t{end}\t{name}\t{score}\t{strand}\n"
    for (_, start, end, name, strand), score in zip(MINI_ROWS[:4], ("0.95", "0.4", "0.2", "1"), strict=True)
)


def found(fasta: Path, bed: str = FOUND, **source: Any) -> tuple[WindowTable, list[Tally]]:
    path = fasta.with_name("found.bed")
    path.write_text(bed)
    one = WindowSource(format="sites", species="mini", fasta=fasta, sites=path, **{"min_score": 0.9} | source)
    return READERS["sites"](one, DataConfig(window=20), fasta.parent / "cache", np.random.default_rng(0))


def test_sites_of_a_high_score_are_splice_sites_and_decoys_are_other_gt(mini_genome: "MiniGenome") -> None:
    table, tallies = found(mini_genome.fasta, decoys=DecoyConfig(ratio=5))
    seen = {str(origin): int(label) for origin, label in zip(table.origin, table.label, strict=True)}
    # The only other GT of the forward strand is at 12, that of the reverse at 69; all else is decoys for acceptors.
    donors = {"mini:20-22:+": 1, "mini:98-100:-": 1, "mini:12-14:+": 0, "mini:69-71:-": 0}
    assert donors.items() <= seen.items()
    assert set(table.site_type.tolist()) == {0}
    assert tallies[1].dropped["score below the least"] == 2


def test_sites_of_a_low_score_are_no_decoys(mini_genome: "MiniGenome") -> None:
    bed = FOUND + "mini\t12\t14\tdonor\t0.1\t+\n"
    table, _ = found(mini_genome.fasta, bed, decoys=DecoyConfig(ratio=5))
    assert "mini:12-14:+" not in table.origin.tolist()


def test_decoys_of_a_finder_keep_their_distance_and_number(mini_genome: "MiniGenome") -> None:
    table, _ = found(mini_genome.fasta, decoys=DecoyConfig(ratio=5, farthest=8))
    assert sorted(table.origin[table.label == 0].tolist()) == ["mini:12-14:+"]
    table, _ = found(mini_genome.fasta, decoys=DecoyConfig(ratio=5, nearest=9))
    assert sorted(table.origin[table.label == 0].tolist()) == ["mini:69-71:-"]


def test_a_score_that_is_no_number_and_a_threshold_nothing_reaches_are_said(mini_genome: "MiniGenome") -> None:
    with pytest.raises(InputError, match=r"line 1: the score must be a number, found 'GT'\. Leave min_score out"):
        found(mini_genome.fasta, FOUND.replace("0.95", "GT"))
    with pytest.raises(InputError, match="Dropped 4: score below the least"):
        found(mini_genome.fasta, min_score=2.0)
