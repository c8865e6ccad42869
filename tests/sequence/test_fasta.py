import gzip
import struct
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcsp.errors import InputError
from simcsp.sequence.fasta import Genome, check_is_dna, nucleotides
from simcsp.tally import Tally

TWO_CONTIGS = b">one first of two\nACGTN\nacgtR\nGG\n>two\nTTTTT\n"
LETTERS = {"one": b"ACGTNacgtRGG", "two": b"TTTTT"}


def bgzf(content: bytes, block: int = 16) -> bytes:
    """Blocked gzip as the SAM specification (section 4.1) describes it, with its empty last block."""
    pieces = [content[start : start + block] for start in range(0, len(content), block)]
    return b"".join(_bgzf_block(piece) for piece in [*pieces, b""])


def _bgzf_block(piece: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    packed = packer.compress(piece) + packer.flush()
    size = 18 + len(packed) + 8
    header = struct.pack("<4BI2BH2BHH", 31, 139, 8, 4, 0, 0, 255, 6, 66, 67, 2, size - 1)
    return header + packed + struct.pack("<II", zlib.crc32(piece), len(piece))


def several_members(content: bytes) -> bytes:
    middle = len(content) // 2
    return gzip.compress(content[:middle]) + gzip.compress(content[middle:])


def as_is(content: bytes) -> bytes:
    return content


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*")) if folder.exists() else []


@pytest.mark.parametrize("name", ["genome.fa", "genome.fa.gz", "genome.fa.bgz"])
@pytest.mark.parametrize("packed", [as_is, gzip.compress, several_members, bgzf])
def test_content_and_not_the_name_says_how_a_file_is_packed(
    tmp_path: Path, name: str, packed: Callable[[bytes], bytes]
) -> None:
    path = written(tmp_path / name, packed(TWO_CONTIGS))
    genome = Genome(path, tmp_path / "cache")
    assert genome.lengths == {"one": 12, "two": 5}
    assert {contig: genome.fetch(contig, 0, length) for contig, length in genome.lengths.items()} == LETTERS
    genome.close()


def test_bgzf_made_here_is_the_empty_block_of_the_specification() -> None:
    assert bgzf(b"").hex() == "1f8b08040000000000ff0600424302001b0003000000000000000000"


def test_carriage_returns_are_no_letters(tmp_path: Path) -> None:
    path = written(tmp_path / "genome.fa", TWO_CONTIGS.replace(b"\n", b"\r\n"))
    genome = Genome(path, tmp_path / "cache")
    assert {contig: genome.fetch(contig, 0, length) for contig, length in genome.lengths.items()} == LETTERS


@pytest.mark.parametrize("packed", [as_is, gzip.compress])
@pytest.mark.parametrize(
    "written_as",
    [b"\xef\xbb\xbf" + TWO_CONTIGS, TWO_CONTIGS.replace(b"\n", b"\r"), TWO_CONTIGS + b"\n"],
    ids=["byte order mark", "CR alone", "a blank line at the end"],
)
def test_other_forms_of_a_file_have_the_same_letters(
    tmp_path: Path, written_as: bytes, packed: Callable[[bytes], bytes]
) -> None:
    genome = Genome(written(tmp_path / "genome.fa", packed(written_as)), tmp_path / "cache")
    assert {contig: genome.fetch(contig, 0, length) for contig, length in genome.lengths.items()} == LETTERS
    genome.close()


def test_letters_that_are_read_as_another_are_counted() -> None:
    tally = Tally("contigs", "x")
    assert nucleotides(b"ACGUuNnRyT", tally, path=Path("x")).tolist() == [6, 7, 8, 9, 9, 5, 5, 5, 5, 9]
    assert tally.changed == {
        "ambiguous letters read as N": 2, "lower-case letters read as upper case": 3, "letters U read as T": 2
    }  # fmt: skip
    clean = Tally("contigs", "x")
    nucleotides(b"ACGTN", clean, path=Path("x"))
    assert not clean.changed


def test_the_first_letter_that_is_no_code_is_shown() -> None:
    with pytest.raises(InputError, match=r"x, line 7: 2 letters of contig c are no nucleotide code, .* '\*'"):
        nucleotides(b"AC*T-", Tally("contigs", "x"), path=Path("x"), line=7, contig="c")
    with pytest.raises(InputError, match=r"byte 0xc3"):
        nucleotides("ACé".encode(), Tally("contigs", "x"), path=Path("x"))


@settings(max_examples=20, deadline=None)
@given(letters=st.lists(st.text("ACGTN", min_size=1, max_size=40), min_size=1, max_size=3), width=st.integers(1, 45))
def test_every_slice_equals_that_of_the_string(letters: list[str], width: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        records = [
            f">{number}\n" + "".join(f"{text[start : start + width]}\n" for start in range(0, len(text), width))
            for number, text in enumerate(letters)
        ]
        genome = Genome(written(folder / "genome.fa", "".join(records).encode()), folder / "cache")
        for number, text in enumerate(letters):
            for start in range(len(text) + 1):
                for end in range(start, len(text) + 1):
                    assert genome.fetch(str(number), start, end).decode() == text[start:end]
        genome.close()


def test_nothing_is_written_beside_the_fasta(tmp_path: Path) -> None:
    folder = tmp_path / "given"
    folder.mkdir()
    for name, content in (("plain.fa", TWO_CONTIGS), ("packed.fa.gz", gzip.compress(TWO_CONTIGS))):
        written(folder / name, content)
    folder.chmod(0o555)
    for name in ("plain.fa", "packed.fa.gz"):
        Genome(folder / name, tmp_path / "cache").close()
    assert names_in(folder) == ["packed.fa.gz", "plain.fa"]
    folder.chmod(0o755)


def test_a_second_reading_takes_unpacked_copy_and_index_from_the_cache(tmp_path: Path) -> None:
    path, cache = written(tmp_path / "genome.fa.gz", gzip.compress(TWO_CONTIGS)), tmp_path / "cache"
    Genome(path, cache).close()
    before = {entry: entry.stat() for entry in cache.iterdir()}
    assert len(before) == 2
    Genome(path, cache).close()
    assert {entry: entry.stat().st_mtime_ns for entry in cache.iterdir()} == {
        entry: stat.st_mtime_ns for entry, stat in before.items()
    }


@pytest.mark.parametrize("packed", [as_is, gzip.compress])
def test_a_changed_file_is_read_anew(tmp_path: Path, packed: Callable[[bytes], bytes]) -> None:
    path, cache = tmp_path / "genome.fa.gz", tmp_path / "cache"
    Genome(written(path, packed(TWO_CONTIGS)), cache).close()
    genome = Genome(written(path, packed(b">three\nGATTACA\n")), cache)
    assert genome.lengths == {"three": 7}
    assert genome.fetch("three", 2, 5) == b"TTA"


def test_files_of_one_name_in_two_folders_are_kept_apart(tmp_path: Path) -> None:
    genomes = []
    for folder, letters in (("a", b"ACGTA"), ("b", b"TTTTT")):
        (tmp_path / folder).mkdir()
        path = written(tmp_path / folder / "genome.fa.gz", gzip.compress(b">x\n" + letters + b"\n", mtime=0))
        genomes.append(Genome(path, tmp_path / "cache"))
    assert [genome.fetch("x", 0, 5) for genome in genomes] == [b"ACGTA", b"TTTTT"]


def noise(length: int) -> bytes:
    """DNA that packs badly, so that a part of the packed file is a part of the letters."""
    return np.random.default_rng(1).choice(np.frombuffer(b"ACGT", dtype=np.uint8), length).tobytes()


LONG = b">long\n" + b"\n".join(noise(1000) for _ in range(200)) + b"\n"
BROKEN = {
    "empty": (b"", "the file is empty"),
    "blank": (b"\n \n", "the file is empty"),
    "empty, packed": (gzip.compress(b""), "the file is empty"),
    "html": (b"\n<!DOCTYPE html><html>404</html>", "this is HTML, not FASTA"),
    "no header": (b"ACGT\n>one\nACGT\n", r"line 1: a FASTA file begins with '>'"),
    "protein": (b">p53\nMEEPQSDPSVEPPLSQETFSDLWKLLPENNVLSPLPSQAMDDLMLSPDDIEQWFTEDPGP\n", "not DNA"),
    "header only": (b">one\n", "the first record has no sequence"),
    "first record empty": (b">one\n>two\nACGT\n", "line 1: record one has no sequence"),
    "last record empty": (b">one\nACGT\n>two\n", "line 3: record two has no sequence"),
    "same name twice": (b">one\nACGT\n>one b\nACGT\n", "line 3: record one is there a second time, first on line 1"),
    "no name": (b">one\nACGT\n>\nACGT\n", "line 3: a record without a name"),
    "lines of unequal length": (b">one\nACGT\nAC\nACGT\n", "line 3: a line of record one is not as long"),
    "the same, packed": (gzip.compress(b">one\nACGT\nAC\nACGT\n"), "line 3: a line of record one is not"),
    "a line longer than the first": (b">one\nAC\nACGT\nAC\n", "line 3: a line of record one is not as long"),
    "a blank line": (b">one\nACGT\n\nACGT\n", "line 3: a line of record one is not as long"),
    "blank lines at the end": (b">one\nACGT\nAC\n\n\n", "line 3: a line of record one is not as long"),
    "latin-1": (b">one\n" + b"ACGT" * 20 + b"\xe9\n", "line 2: not UTF-8"),
    "cut at the start": (gzip.compress(TWO_CONTIGS)[:-9], "truncated or damaged"),
    "cut far behind": (gzip.compress(LONG)[:-9], "truncated or damaged"),
    "damaged": (gzip.compress(LONG)[:-9] + b"\0" * 9, "truncated or damaged"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_file_is_refused_by_name_and_leaves_nothing_in_the_cache(tmp_path: Path, what: str) -> None:
    content, problem = BROKEN[what]
    path, cache = written(tmp_path / "broken.fa.gz", content), tmp_path / "cache"
    with pytest.raises(InputError, match=problem) as caught:
        Genome(path, cache)
    assert str(path) in str(caught.value)
    assert names_in(cache) == []


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.fa: no such file"):
        Genome(tmp_path / "none.fa", tmp_path / "cache")
    with pytest.raises(InputError, match="this is a folder"):
        Genome(tmp_path, tmp_path / "cache")


@pytest.mark.parametrize(("unknown", "fits"), [(5, True), (6, False)])
def test_five_letters_in_a_hundred_may_be_no_nucleotide(tmp_path: Path, unknown: int, fits: bool) -> None:
    path = written(tmp_path / "genome.fa", b">x\n" + b"A" * (100 - unknown) + b"*" * unknown + b"\n")
    if fits:
        check_is_dna(path)
    else:
        with pytest.raises(InputError, match="not DNA"):
            check_is_dna(path)
