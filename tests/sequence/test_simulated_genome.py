from pathlib import Path

import numpy as np
import pyfaidx
import pytest

from simcsp.sequence.alphabet import encode
from simcsp.sequence.simulated_genome import Genome, Locus, write_species


def handmade() -> Genome:
    """Three loci along their genes: flanks of t, exons of A and C, introns of G; two on the reverse strand."""
    sequence = b"tt AA GGG AA ttt" + b"t AAA GG C ttt" + b"tttt A G C tt"
    loci = (
        Locus("first", "one", "+", 0, 12, np.array([[2, 4], [7, 9]])),
        Locus("second", "one", "-", 12, 22, np.array([[13, 16], [18, 19]])),
        Locus("third", "two", "-", 22, 31, np.array([[26, 27], [28, 29]])),
    )
    tokens = encode(sequence.replace(b" ", b"")).tokens
    return Genome(tokens, np.zeros(tokens.size, dtype=np.uint8), loci)


def test_loci_of_the_reverse_strand_are_turned_round(tmp_path: Path) -> None:
    written = write_species("tiny", handmade(), tmp_path)
    assert written.fasta.read_text() == ">one\nTTAAGGGAATTTAAAGCCTTTA\n>two\nAAGCTAAAA\n"


def test_gtf_counts_from_one_and_lists_exons_in_the_direction_of_transcription(tmp_path: Path) -> None:
    written = write_species("tiny", handmade(), tmp_path)
    header, *rows = written.gtf.read_text().splitlines()
    assert header.startswith("#!")
    columns = [row.split("\t") for row in rows]
    assert [(c[0], c[2], c[3], c[4], c[6]) for c in columns] == [
        ("one", "gene", "3", "9", "+"),
        ("one", "transcript", "3", "9", "+"),
        ("one", "exon", "3", "4", "+"),
        ("one", "exon", "8", "9", "+"),
        ("one", "gene", "16", "21", "-"),
        ("one", "transcript", "16", "21", "-"),
        ("one", "exon", "19", "21", "-"),
        ("one", "exon", "16", "16", "-"),
        ("two", "gene", "3", "5", "-"),
        ("two", "transcript", "3", "5", "-"),
        ("two", "exon", "5", "5", "-"),
        ("two", "exon", "3", "3", "-"),
    ]
    assert columns[0][8] == 'gene_id "first";'
    assert columns[3][8] == 'gene_id "first"; transcript_id "first.1"; exon_number "2";'
    assert {len(c) for c in columns} == {9}


@pytest.mark.parametrize("length", [59, 60, 61, 120, 1000])
def test_fasta_is_wrapped_at_sixty(tmp_path: Path, length: int) -> None:
    tokens = encode((b"ACGGT" * length)[:length]).tokens
    locus = Locus("gene", "contig", "+", 0, length, np.array([[0, 10], [20, 30]]))
    written = write_species("long", Genome(tokens, np.zeros(length, dtype=np.uint8), (locus,)), tmp_path)
    lines = written.fasta.read_text().splitlines()[1:]
    assert {len(line) for line in lines[:-1]} <= {60}
    assert 1 <= len(lines[-1]) <= 60
    with pyfaidx.Fasta(str(written.fasta), as_raw=True) as contigs:
        assert contigs["contig"][:] == ("ACGGT" * length)[:length]


def test_writing_again_replaces_and_leaves_nothing_behind(tmp_path: Path) -> None:
    genome = handmade()
    write_species("tiny", genome, tmp_path)
    write_species("tiny", genome._replace(loci=genome.loci[:1]), tmp_path)
    assert (tmp_path / "tiny.fa").read_text() == ">one\nTTAAGGGAATTT\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny.fa", "tiny.gtf"]
