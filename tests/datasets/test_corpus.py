from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from simcsp.config import ChunkConfig, CorpusSource, DataConfig
from simcsp.datasets import corpus as corpus_module
from simcsp.datasets.corpus import SOFT, Corpus, read_pieces, write_corpus
from simcsp.errors import InputError
from simcsp.sequence.alphabet import decode
from simcsp.tally import Tally

if TYPE_CHECKING:
    from tests.conftest import MiniGenome

WINDOW = 20
EVERYTHING = ChunkConfig(max_n=1.0, min_entropy=0.0)


def dna(length: int, seed: int = 0) -> str:
    return "".join(np.random.default_rng([seed, length]).choice(list("ACGT"), length))


def other_strand(letters: str) -> str:
    return letters.translate(str.maketrans("ACGT", "TGCA"))[::-1]


def prepare(folder: Path, *sources: CorpusSource, chunks: ChunkConfig = EVERYTHING) -> list[Tally]:
    """Write the corpus of sources in ``folder`` to ``folder/corpus``."""
    (folder / "corpus").mkdir()
    data = DataConfig(root=folder, window=WINDOW, corpus=sources, chunks=chunks)
    return write_corpus(data, folder / "corpus", folder / "cache")


def genome_source(folder: Path, contigs: dict[str, str]) -> CorpusSource:
    (folder / "genome.fa").write_text("".join(f">{name}\n{letters}\n" for name, letters in contigs.items()))
    return CorpusSource(species="yeast", sequences=Path("genome.fa"))


def text_source(folder: Path, sequences: list[str]) -> CorpusSource:
    (folder / "sequences.txt").write_text("".join(f"{letters}\n" for letters in sequences))
    return CorpusSource(format="text", species="yeast", sequences=Path("sequences.txt"))


def regions_in(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(folder / "corpus" / "regions.parquet").to_pylist()
    return rows


def stored(folder: Path) -> list[str]:
    """Letters of each region as they are in the file of tokens."""
    letters = decode(np.fromfile(folder / "corpus" / "tokens.bin", dtype=np.uint8) & ~np.uint8(SOFT))
    lengths = [region["end"] - region["start"] for region in regions_in(folder)]
    assert sum(lengths) == len(letters)
    return [
        letters[region["offset"] : region["offset"] + length]
        for region, length in zip(regions_in(folder), lengths, strict=True)
    ]


def test_a_genome_is_stored_contig_after_contig(tmp_path: Path) -> None:
    one, two = dna(50), dna(WINDOW)
    (tally,) = prepare(tmp_path, genome_source(tmp_path, {"one": one.lower(), "two": two}))
    assert stored(tmp_path) == [one, two]
    assert regions_in(tmp_path) == [
        {"species": "yeast", "contig": "one", "start": 0, "end": 50, "strand": ".", "offset": 0},
        {"species": "yeast", "contig": "two", "start": 0, "end": WINDOW, "strand": ".", "offset": 50},
    ]
    assert (tally.read, tally.kept) == (70, 70)
    assert Corpus(tmp_path / "corpus", WINDOW).size == 70


@pytest.mark.parametrize(("run", "splits"), [(10, False), (11, True)])
def test_only_runs_of_more_than_ten_n_end_a_region(tmp_path: Path, run: int, splits: bool) -> None:
    left, right = dna(30), dna(40)
    prepare(tmp_path, genome_source(tmp_path, {"c": "N" * 11 + left + "N" * run + right + "N" * 11}))
    found = [(region["start"], region["end"]) for region in regions_in(tmp_path)]
    if splits:
        assert stored(tmp_path) == [left, right]
        assert found == [(11, 41), (41 + run, 81 + run)]
    else:
        assert stored(tmp_path) == [left + "N" * run + right]
        assert found == [(11, 81 + run)]


def test_regions_shorter_than_a_window_are_dropped_and_counted(tmp_path: Path) -> None:
    long = dna(WINDOW)
    gap = "N" * 11
    (tally,) = prepare(
        tmp_path,
        genome_source(tmp_path, {"a": dna(WINDOW - 1) + gap + long + gap + "A", "b": gap * 9, "d": dna(WINDOW)}),
    )
    assert stored(tmp_path)[0] == long
    assert [region["contig"] for region in regions_in(tmp_path)] == ["a", "d"]
    assert (tally.read, tally.kept) == (19 + 11 + 20 + 11 + 1 + 99 + 20, 40)
    assert tally.dropped == {"in stretches shorter than a window of 20 nt": 20, "in runs of more than 10 N": 121}


def test_genes_are_stored_as_they_are_transcribed(mini_genome: "MiniGenome", tmp_path: Path) -> None:
    source = CorpusSource(species="mini", sequences=mini_genome.fasta, annotation=mini_genome.gtf)
    tallies = prepare(tmp_path, source)
    assert stored(tmp_path) == [mini_genome.sequence[10:55], other_strand(mini_genome.sequence[65:110])]
    assert [(region["start"], region["end"], region["strand"]) for region in regions_in(tmp_path)] == [
        (10, 55, "+"),
        (65, 110, "-"),
    ]
    assert [tally.what for tally in tallies] == ["nucleotides of genes", "transcripts", "introns", "contigs"]


def test_gaps_in_a_gene_of_the_reverse_strand_keep_the_coordinates_of_the_contig(tmp_path: Path) -> None:
    first, second = dna(40), "C" * 10 + "CT" + dna(30) + "AC" + "C" * 10
    (tmp_path / "genome.fa").write_text(f">c\n{first}{'N' * 50}{second}\n")
    rows = [(1, 10), (91, 100), (135, 144)]
    (tmp_path / "genes.gtf").write_text(
        "".join(f'c\th\texon\t{start}\t{end}\t.\t-\t.\tgene_id "g"; transcript_id "t";\n' for start, end in rows)
    )
    prepare(tmp_path, CorpusSource(species="x", sequences=Path("genome.fa"), annotation=Path("genes.gtf")))
    assert stored(tmp_path) == [other_strand(first), other_strand(second)]
    assert [(region["start"], region["end"]) for region in regions_in(tmp_path)] == [(0, 40), (90, 144)]


def test_sources_follow_each_other_and_lines_of_text_are_read_on_their_own_strand(tmp_path: Path) -> None:
    contig, line = dna(30), dna(25)
    tallies = prepare(
        tmp_path, genome_source(tmp_path, {"c": contig}), text_source(tmp_path, [dna(5), "RY" + line[2:]])
    )
    assert stored(tmp_path) == [contig, "NN" + line[2:]]
    found = [(region["contig"], region["strand"]) for region in regions_in(tmp_path)]
    assert found == [("c", "."), ("sequences.txt line 2", "+")]
    assert tallies[1].changed == {"ambiguous letters read as N": 2}
    assert tallies[1].dropped == {"in stretches shorter than a window of 20 nt": 5}


def test_text_that_is_no_dna_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"sequences\.txt, line 2: 3 letters are no nucleotide code"):
        prepare(tmp_path, text_source(tmp_path, [dna(30), dna(30) + "EFI"]))


def test_sources_without_a_region_as_long_as_a_window_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no region as long as a window"):
        prepare(tmp_path, text_source(tmp_path, [dna(WINDOW - 1)] * 3))


@settings(max_examples=20, deadline=None)
@given(
    lengths=st.lists(st.integers(WINDOW, 60), min_size=1, max_size=5),
    window=st.integers(2, 25),
    seed=st.integers(0, 999),
)
def test_every_window_lies_inside_one_region(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], window: int, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("corpus")
    contigs = {f"c{number}": dna(length, number) for number, length in enumerate(lengths)}
    lines = [dna(length, 10 + number) for number, length in enumerate(lengths)]
    prepare(folder, genome_source(folder, contigs), text_source(folder, lines))
    if max(lengths) < window:
        with pytest.raises(InputError, match="no region of the corpus is as long"):
            Corpus(folder / "corpus", window)
        return
    both_strands = [*contigs.values(), *(other_strand(letters) for letters in contigs.values())]
    corpus = Corpus(folder / "corpus", window)
    windows = corpus.draw(50, np.random.default_rng(seed)).tokens
    assert windows.shape == (50, window)
    for row in windows:
        assert any(decode(row) in letters for letters in (*both_strands, *lines))
    np.testing.assert_array_equal(windows, corpus.draw(50, np.random.default_rng(seed)).tokens)


def test_every_place_is_drawn_equally_often_and_strandless_regions_on_both_strands(tmp_path: Path) -> None:
    contig, line = dna(WINDOW + 6), dna(WINDOW + 2)
    prepare(tmp_path, text_source(tmp_path, [line]), genome_source(tmp_path, {"c": contig}))
    draws = 30_000
    expected = {line[start : start + WINDOW]: draws / 10 for start in range(3)}
    for start in range(7):
        piece = contig[start : start + WINDOW]
        expected |= {piece: draws / 20, other_strand(piece): draws / 20}
    drawn = Corpus(tmp_path / "corpus", WINDOW).draw(draws, np.random.default_rng(0)).tokens
    found = Counter(decode(window) for window in drawn)
    assert set(found) == set(expected)
    names = list(expected)
    assert chisquare([found[name] for name in names], [expected[name] for name in names]).pvalue > 0.01


def test_draws_go_on_from_the_state_of_the_generator(tmp_path: Path) -> None:
    prepare(tmp_path, text_source(tmp_path, [dna(500)]))
    corpus = Corpus(tmp_path / "corpus", WINDOW)
    rng = np.random.default_rng(8)
    corpus.draw(5, rng)
    state = rng.bit_generator.state
    second, third = corpus.draw(5, rng).tokens, corpus.draw(5, rng).tokens
    rng.bit_generator.state = state
    np.testing.assert_array_equal(corpus.draw(5, rng).tokens, second)
    assert not np.array_equal(second, third)


def test_a_folder_without_a_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no prepared corpus here"):
        Corpus(tmp_path, WINDOW)
    prepare(tmp_path, text_source(tmp_path, [dna(50)]))
    (tmp_path / "corpus" / "tokens.bin").unlink()
    with pytest.raises(InputError, match="no prepared corpus here"):
        Corpus(tmp_path / "corpus", WINDOW)


@pytest.mark.parametrize("damaged", [b"", b"\x06" * 49, b"\x06" * 51])
def test_tokens_of_another_length_than_the_regions_are_refused(tmp_path: Path, damaged: bytes) -> None:
    prepare(tmp_path, text_source(tmp_path, [dna(50)]))
    (tmp_path / "corpus" / "tokens.bin").write_bytes(damaged)
    with pytest.raises(InputError, match="do not fit together"):
        Corpus(tmp_path / "corpus", WINDOW)


def test_a_damaged_table_of_regions_is_refused(tmp_path: Path) -> None:
    prepare(tmp_path, text_source(tmp_path, [dna(50)]))
    path = tmp_path / "corpus" / "regions.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="damaged table of regions"):
        Corpus(tmp_path / "corpus", WINDOW)


def test_lower_case_is_marked_and_turns_with_its_strand(tmp_path: Path) -> None:
    letters = "".join(letter.lower() if letter in "AC" else letter for letter in dna(300))
    prepare(tmp_path, genome_source(tmp_path, {"c": letters}))
    drawn = Corpus(tmp_path / "corpus", WINDOW).draw(200, np.random.default_rng(0))
    both = {letters, letters.translate(str.maketrans("ACGTacgt", "TGCAtgca"))[::-1]}
    rows = {
        "".join(x.lower() if mark else x for x, mark in zip(decode(tokens), soft, strict=True))
        for tokens, soft in zip(drawn.tokens, drawn.soft, strict=True)
    }
    assert len(rows) > 100
    for row in rows:
        assert any(row in strand for strand in both)


def test_balanced_draws_give_every_species_the_same_share(tmp_path: Path) -> None:
    large, small = dna(2000), dna(100, 1)
    (tmp_path / "small.fa").write_text(f">s\n{small}\n")
    other = CorpusSource(species="mouse", sequences=Path("small.fa"))
    prepare(tmp_path, genome_source(tmp_path, {"c": large}), other, genome_source(tmp_path, {"c": large}))
    for balance, share in (("nucleotides", (100 - 19) / (4100 - 3 * 19)), ("species", 0.5)):
        corpus = Corpus(tmp_path / "corpus", WINDOW, balance=balance)  # type: ignore[arg-type]
        windows = corpus.draw(4000, np.random.default_rng(0)).tokens
        both = small + " " + other_strand(small)
        found = sum(decode(row) in both for row in windows) / 4000
        assert found == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 4000))


def test_shorter_windows_than_the_longest_can_be_drawn(tmp_path: Path) -> None:
    letters = dna(60)
    prepare(tmp_path, text_source(tmp_path, [letters]))
    windows = Corpus(tmp_path / "corpus", 50).draw(300, np.random.default_rng(0), 10).tokens
    assert {decode(row) for row in windows} == {letters[start : start + 10] for start in range(51)}


def test_held_out_contigs_are_left_out_by_any_of_their_names(tmp_path: Path) -> None:
    source = genome_source(tmp_path, {"chr20": dna(40), "chr21": dna(41), "chr22": dna(42)})
    (tally,) = prepare(tmp_path, replace(source, hold_out=("21", "chr22")))
    assert [region["contig"] for region in regions_in(tmp_path)] == ["chr20"]
    assert (tally.read, tally.dropped) == (123, {"held out: chr21, chr22": 83})


def test_a_contig_to_hold_out_that_is_not_there_is_named(tmp_path: Path) -> None:
    source = genome_source(tmp_path, {"chr1": dna(40)})
    with pytest.raises(InputError, match=r"genome\.fa: contig chr21 is to be held out and is not there"):
        prepare(tmp_path, replace(source, hold_out=("chr21",)))


def test_genes_of_held_out_contigs_are_left_out_and_counted(mini_genome: "MiniGenome", tmp_path: Path) -> None:
    rows, fasta = mini_genome.gtf.read_text(), mini_genome.fasta.read_text()
    mini_genome.gtf.write_text(rows + rows.replace("mini\t", "more\t").replace(".1", ".2"))
    mini_genome.fasta.write_text(fasta + fasta.replace(">mini", ">more"))
    source = CorpusSource(species="mini", sequences=mini_genome.fasta, annotation=mini_genome.gtf, hold_out=("mini",))
    tally = prepare(tmp_path, source)[0]
    assert tally.dropped["held out: mini"] == 90  # two genes of 45 nt
    assert tally.read == 180
    assert len(stored(tmp_path)) == 2


def test_a_contig_longer_than_a_piece_is_one_region(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_module, "_PIECE", 64)
    letters = dna(1000)
    prepare(tmp_path, genome_source(tmp_path, {"c": letters}), chunks=ChunkConfig(length=64))
    assert stored(tmp_path) == [letters]


def test_repeats_of_few_kinds_and_chunks_of_many_n_are_left_out(tmp_path: Path) -> None:
    one, two, three = (dna(256, seed) for seed in range(3))
    spotted = "".join("N" if place % 8 == 0 else letter for place, letter in enumerate(two))
    sequence = one + "CA" * 64 + two + spotted + three
    (tally,) = prepare(tmp_path, genome_source(tmp_path, {"c": sequence}), chunks=ChunkConfig(length=128))
    assert stored(tmp_path) == [one, two, three]
    assert tally.dropped == {"of low complexity": 128, "in chunks of more than 5% N": 256}


@pytest.mark.parametrize(("length", "overlap"), [(100, 0), (30, 19), (25, 5), (7, 3)])
def test_pieces_of_a_corpus_overlap_as_asked_and_hold_every_place_once(
    tmp_path: Path, length: int, overlap: int
) -> None:
    lines = [dna(60), dna(21), dna(25)]
    prepare(tmp_path, text_source(tmp_path, [line.lower() for line in lines]))
    found = [decode(tokens) for _, tokens in read_pieces(tmp_path / "corpus", length, overlap)]
    assert max(map(len, found)) <= length
    stretch = overlap + 1
    places = Counter(piece[start : start + stretch] for piece in found for start in range(len(piece) - overlap))
    assert places == Counter(line[start : start + stretch] for line in lines for start in range(len(line) - overlap))
