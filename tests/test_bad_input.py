"""What goes wrong with files: each gets one sentence that names the file, and leaves nothing behind.

The second table holds what looks wrong and is not: it is read, with the same result as the clean file, and said.
"""

import errno
import gzip
import json
import os
import re
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import prepare
from simcsp import runs
from simcsp.console import run_script
from simcsp.datasets.windows import WindowTable, load_windows
from simcsp.sequence.alphabet import N

if TYPE_CHECKING:
    from tests.conftest import PublishedFormats

Spoil = Callable[[Path], None]


class Workplace:
    """A folder with a file of every format, where prepared sets land as well."""

    def __init__(self, folder: Path, sources: dict[str, str]) -> None:
        self.folder, self.sources = folder, sources
        self.prepared = folder / "data" / "prepared" / "x"

    def prepare(self, monkeypatch: pytest.MonkeyPatch, kind: str, *arguments: str) -> int:
        """Exit status of ``src/prepare.py`` on one source."""
        settings = (
            f"data:\n  name: x\n  root: {self.folder}\n  window: 40\n  windows: [{self.sources[kind]}]\n"
            "  corpus: [{species: x, sequences: genome.fa}]\nsplit: {folds: 2, shared: 20}\n"
        )
        (self.folder / "config.yaml").write_text(settings)
        monkeypatch.setattr("sys.argv", ["prepare.py", "--config", str(self.folder / "config.yaml"), *arguments])
        with pytest.raises(SystemExit) as end:
            run_script(prepare.main)
        return int(end.value.code or 0)

    def windows(self) -> WindowTable:
        return load_windows(self.prepared / "windows")

    def said(self) -> dict[str, int]:
        """Everything that was changed or dropped, over all sources."""
        counts: dict[str, int] = {}
        for source in json.loads((self.prepared / "manifest.json").read_text())["sources"]:
            for reason, count in {**source["changed"], **source["dropped"]}.items():
                counts[reason] = counts.get(reason, 0) + count
        return counts


@pytest.fixture
def workplace(published_formats: "PublishedFormats", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    folder = tmp_path / "work"
    shutil.copytree(published_formats.folder, folder)
    monkeypatch.setattr(runs, "ROOT", folder)
    monkeypatch.setattr(prepare, "CACHE", folder / "cache")
    return Workplace(folder, published_formats.sources)


def whole(name: str, content: str) -> Spoil:
    """Another file in its place."""
    return edited(name, lambda _: content.encode())


def edited(name: str, edit: Callable[[bytes], bytes]) -> Spoil:
    """The file with its content changed, which it must be."""

    def spoil(folder: Path) -> None:
        before = (folder / name).read_bytes()
        after = edit(before)
        assert after != before
        (folder / name).write_bytes(after)

    return spoil


def line(name: str, number: int, edit: Callable[[str], str]) -> Spoil:
    """The file with one line changed."""

    def change(content: bytes) -> bytes:
        lines = content.decode().split("\n")
        lines[number - 1] = edit(lines[number - 1])
        return "\n".join(lines).encode("latin-1")

    return edited(name, change)


def column(name: str, number: int, index: int, value: str) -> Spoil:
    """The file with one column of one line changed."""

    def change(row: str) -> str:
        columns = row.split("\t")
        columns[index] = value
        return "\t".join(columns)

    return line(name, number, change)


def every(name: str, old: str, new: str) -> Spoil:
    return edited(name, lambda content: content.replace(old.encode(), new.encode()))


def shifted(name: str, by: int) -> Spoil:
    """A BED whose starts and ends are ``by`` too high."""

    def change(content: bytes) -> bytes:
        rows = [row.split("\t") for row in content.decode().splitlines()]
        return "".join(
            "\t".join([c, str(int(s) + by), str(int(e) + by), *rest]) + "\n" for c, s, e, *rest in rows
        ).encode()

    return edited(name, change)


def removed(name: str) -> Spoil:
    return lambda folder: (folder / name).unlink()


def a_folder(name: str) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return spoil


def shuffled(folder: Path) -> None:
    """Another assembly: same name, same length, other letters."""
    header, *lines = (folder / "genome.fa").read_text().splitlines()
    letters = np.random.default_rng(0).permutation(list("".join(lines)))
    (folder / "genome.fa").write_text(f"{header}\n{''.join(letters)}\n")


def packed_and_cut(folder: Path) -> None:
    packed = gzip.compress((folder / "genome.fa").read_bytes())
    (folder / "genome.fa").write_bytes(packed[: len(packed) // 2])


def packed_and_damaged(folder: Path) -> None:
    packed = bytearray(gzip.compress((folder / "genome.fa").read_bytes()))
    packed[len(packed) // 2] ^= 0xFF
    (folder / "genome.fa").write_bytes(bytes(packed))


def only_rows(name: str, wanted: str) -> Spoil:
    return edited(name, lambda content: b"".join(r for r in content.splitlines(True) if wanted.encode() in r))


PROTEIN = ">p\nMKVLWAALLVTFLAGCQAKVEQAVETEPEPELRQQTEWQ\n"
EXON = 'chr1\tx\texon\t{}\t{}\t.\t+\t.\tgene_id "g"; transcript_id "t";\n'
SECOND = ">chr1 again\nACGTACGT\n"

# Format, what is done to its files, and the sentence.
BAD: dict[str, tuple[str, Spoil, str]] = {
    # FASTA
    "protein": ("gtf", whole("genome.fa", PROTEIN), "genome.fa: the sequence is not DNA"),
    "a web page": ("gtf", whole("genome.fa", "<!DOCTYPE html><html>404</html>"), "genome.fa: this is HTML"),
    "empty FASTA": ("gtf", whole("genome.fa", ""), "genome.fa: the file is empty"),
    "truncated gzip": ("gtf", packed_and_cut, "genome.fa: the gzip file is truncated"),
    "damaged gzip": ("gtf", packed_and_damaged, "genome.fa: the gzip file is truncated or damaged"),
    "text before the first record": ("gtf", every("genome.fa", ">chr1", "chr1"), "genome.fa, line 1: a FASTA file"),
    "duplicate contigs": ("gtf", edited("genome.fa", lambda c: c + SECOND.encode()),
                          "genome.fa, line …: record chr1 is there a second time, first on line 1"),
    "record cut off behind its name": ("gtf", edited("genome.fa", lambda c: c + b">chr2\n"),
                                       "genome.fa, line …: record chr2 has no sequence"),
    "record without a name": ("gtf", edited("genome.fa", lambda c: c + b">\nACGT\n"),
                              "genome.fa, line …: a record without a name"),
    "lines of several lengths": ("gtf", line("genome.fa", 5, lambda row: row[:7]),
                                 "genome.fa, line 5: a line of record chr1 is not as long"),
    "a gap sign": ("gtf", line("genome.fa", 5, lambda row: "-" + row[1:]),
                   "genome.fa, line 5: 1 letters of contig chr1 are no nucleotide code, the first of them '-'"),
    "non-ASCII letters": ("gtf", line("genome.fa", 5, lambda row: "é" + row[1:]),
                          "genome.fa, line 5: not UTF-8 text"),
    "spaces between the letters": ("gtf", line("genome.fa", 5, lambda row: row[:10] + " " + row[11:]),
                                   "genome.fa, line 5: 1 letters of contig chr1 … 'byte 0x20'"),
    "a folder": ("gtf", a_folder("genome.fa"), "genome.fa: this is a folder"),
    "wrong assembly, other letters": ("gtf", shuffled, "genes.gtf: only … of … introns are GT–AG in"),
    "shorter than the window": ("gtf", whole("genome.fa", ">chr1\nACGTACGT\n"), "no region as long as a window"),
    # GTF
    "missing file": ("gtf", removed("genes.gtf"),
                     "genes.gtf: no such file. Relative paths … start from data.root, here …. data/README.md"),
    "empty annotation": ("gtf", whole("genes.gtf", ""), "genes.gtf: no transcript found"),
    "spaces for tabs": ("gtf", every("genes.gtf", "\t", " "), "genes.gtf, line 2: the columns are not those"),
    "commas for tabs": ("gtf", every("genes.gtf", "\t", ","), "genes.gtf, line 2: the columns are not those"),
    "a column short": ("gtf", line("genes.gtf", 5, lambda row: row.replace("\t.\t", "\t", 1)),
                       "genes.gtf, line 5: expected 9 tab-separated columns, found 8"),
    "GTF without gene_id": ("gtf", line("genes.gtf", 6, lambda row: row.replace("gene_id", "gene")),
                            "genes.gtf, line 6: exon row without gene_id"),
    "GTF without transcript_id": ("gtf", line("genes.gtf", 6, lambda row: row.replace("transcript_id", "tx")),
                                  "genes.gtf, line 6: exon row without transcript_id"),
    "negative start": ("gtf", column("genes.gtf", 5, 3, "-12"), "genes.gtf, line 5: start must be a whole number"),
    "thousands separators": ("gtf", column("genes.gtf", 5, 4, "1,408"), "genes.gtf, line 5: end must be a whole"),
    "GTF that counts from 0": ("gtf", column("genes.gtf", 5, 3, "0"), "genes.gtf, line 5: start 0 and end … are no"),
    "reversed interval": ("gtf", column("genes.gtf", 5, 4, "12"), "genes.gtf, line 5: start … and end 12 are no"),
    "unknown strand": ("gtf", column("genes.gtf", 5, 6, "x"), "genes.gtf, line 5: expected strand … found 'x'"),
    "no strand at all": ("gtf", edited("genes.gtf", lambda c: re.sub(rb"\t[+-]\t", b"\t.\t", c)),
                         "genes.gtf: no transcript found. Dropped 12: no strand"),
    "another encoding": ("gtf", line("genes.gtf", 5, lambda row: row + ' note "é";'), "genes.gtf, line 5: not UTF-8"),
    "overlapping exons": ("gtf", whole("genes.gtf", EXON.format(11, 90) + EXON.format(80, 200)),
                          "genes.gtf: no transcript found. Dropped 1: overlapping exons"),
    "exons on two contigs": ("gtf", whole("genes.gtf", EXON.format(11, 90) + EXON.format(180, 200).replace("1",
                               "2", 1)),
                             "genes.gtf: no transcript found. Dropped 1: exons on several contigs"),
    "no exon rows": ("gtf", only_rows("genes.gtf", "\tgene\t"), "genes.gtf: no transcript found"),
    "single exons": ("gtf", only_rows("genes.gtf", 'exon_number "1"'), "genes.gtf: no intron is annotated"),
    "names of another source": ("gtf", every("genes.gtf", "chr1\t", "scaffold_7\t"),
                                "genes.gtf: 1 of 1 contigs (scaffold_7) are not in …genome.fa, which has chr1"),
    "exon beyond the contig": ("gtf", column("genes.gtf", 7, 4, "999999"),
                               "genes.gtf: transcript SIMG00001.1 ends at 999,999, beyond chr1 (… nt)"),
    # GFF3
    "GFF3 exon without parent": ("gff3", line("genes.gff3", 6, lambda row: row.replace("Parent", "parent")),
                                 "genes.gff3, line 6: exon row without Parent or transcript_id"),
    "malformed pragma": ("gff3", line("genes.gff3", 2, lambda row: "##sequence-region chr1 1"),
                         "genes.gff3, line 2: expected '##sequence-region NAME START END'"),
    "declared length of another assembly": ("gff3", line("genes.gff3", 2, lambda row: row + "0"),
                                            "genes.gff3: contig chr1 has … nt… of the FASTA has"),
    # Tables of genes
    "too few blocks": ("bed12", column("genes.bed", 3, 9, "5"), "genes.bed, line 3: expected 5 blockSizes, found 6"),
    "zero exons": ("bed12", column("genes.bed", 3, 9, "0"), "genes.bed, line 3: expected 0 blockSizes, found 6"),
    "blocks beyond the transcript": ("bed12", column("genes.bed", 3, 2, "70000"),
                                     "genes.bed, line 3: exons reach from"),
    "BED12 that counts from 1": ("bed12", shifted("genes.bed", 1), "genes.bed: only … of … introns are GT–AG"),
    "reversed exon": ("genepred", line("genes.gp", 2, lambda row: "\t".join(
        [*row.split("\t")[:8], row.split("\t")[9], row.split("\t")[8]])), "genes.gp, line 2: exon … is no"),
    "intron without strand": ("introns", column("introns.bed", 4, 5, "."), "introns.bed, line 4: strand must be"),
    "empty intron": ("introns", column("introns.bed", 4, 2, "0"), "introns.bed, line 4: chromStart … and chromEnd 0"),
    # BED of labelled sites
    "five columns": ("sites", line("sites.bed", 7, lambda row: row.replace("\t0\t", "\t")),
                     "sites.bed, line 7: expected 6 tab-separated columns, found 5"),
    "unknown label": ("sites", column("sites.bed", 7, 3, "x|promoter"), "sites.bed, line 7: unknown label 'promoter'"),
    "site without strand": ("sites", column("sites.bed", 7, 5, "."), "sites.bed, line 7: the strand must be"),
    "negative site": ("sites", column("sites.bed", 7, 1, "-2"), "sites.bed, line 7: start must be a whole number"),
    "site of 50 nt": ("sites", column("sites.bed", 7, 1, "1"), "sites.bed, line 7: an interval of … nt"),
    "site beyond the contig": ("sites", edited("sites.bed", lambda c: c + b"chr1\t99998\t100000\tdonor\t0\t+\n"),
                               "sites.bed, line …: site ends at 100,000, beyond chr1"),
    "1-based BED": ("sites", shifted("sites.bed", 1), "sites.bed: GT or AG is at the stated place for … look 1-based"),
    "no sites": ("sites", whole("sites.bed", "# nothing\n"), "sites.bed: no site found"),
    # Windows as text
    "window too short": ("text", line("positives.txt", 2, lambda row: row[:20]),
                         "positives.txt, line 1: a sequence of 20 nt is shorter than the window of 40"),
    "header without sequence": ("text", line("positives.txt", 4, lambda row: ""),
                                "positives.txt, line 3: a header without a sequence"),
    "letters apart": ("text", line("negatives.txt", 3, " ".join), "negatives.txt, line 3: a space inside the sequence"),
    "protein windows": ("text", line("negatives.txt", 3, lambda row: "MKVL" * 30),
                        "negatives.txt, line 3: … letters are"),
    "no decoys": ("text", whole("negatives.txt", ""), "negatives.txt: the file is empty"),
    "another kind of site": ("text", edited("positives.txt", lambda c: c.replace(b"GT", b"AG").replace(b"TG", b"AA")),
                             "positives.txt: only … of the windows have GT"),
    # Spliceator, GUE, Nucleotide Transformer
    "commas for semicolons": ("spliceator", every("NEG.csv", ";", ","),
                              "NEG.csv, line 1: … by a semicolon, here it is a"),
    "sequence cut short": ("spliceator", line("POS.csv", 3, lambda row: row[:60]),
                           "POS.csv, line 3: neither the second"),
    "no header": ("gue", line("gue.csv", 1, lambda row: "ACGT,0"),
                  "gue.csv, line 1: the header must be sequence,label"),
    "semicolons for commas": ("gue", every("gue.csv", ",", ";"),
                              "gue.csv, line 1: … by a comma, here it is a semicolon"),
    "a third column": ("gue", line("gue.csv", 9, lambda row: row + ",x"), "gue.csv, line 9: … found 3 fields"),
    "unknown class": ("gue", line("gue.csv", 9, lambda row: row[:-1] + "7"), "gue.csv, line 9: the label '7' is none"),
    "empty class": ("gue", only_rows("gue.csv", "l"), "gue.csv: the file has no record"),
    "a class without records": ("gue", every("gue.csv", ",1\n", ",0\n"), "gue.csv: no record has the label 1 (donor)"),
    "classes in another order": ("gue", edited("gue.csv", lambda c: c.replace(b",0\n", b",9\n").replace(
        b",1\n", b",0\n").replace(b",9\n", b",1\n")), "gue.csv: the dinucleotides contradict … Set classes to [donor"),
    "header without label": ("nt", line("nt.fna", 3, lambda row: ">w1"), "nt.fna, line 3: a header of the form"),
    "label in words": ("nt", line("nt.fna", 3, lambda row: ">w1|yes"),
                       "nt.fna, line 3: the label 'yes' is none of 0, 1"),
    # Tables of groups
    "groups with another header": ("groups", line("groups.tsv", 1, str.upper),
                                   "groups.tsv, line 1: the header must be"),
    "groups by name": ("groups", line("groups.tsv", 4, lambda row: row.replace("\t2\t", "\tseq2\t")),
                       "groups.tsv, line 4: expected a file stem, a 0-based record number"),
    "record in two groups": ("groups", line("groups.tsv", 4, lambda row: row.replace("\t2\t", "\t1\t")),
                             "groups.tsv, line 4: record 1 of positives is listed twice"),
    "record in no group": ("groups", edited("groups.tsv", lambda c: c.rsplit(b"\n", 2)[0] + b"\n"),
                           "negatives.txt: record 69 (0-based) of this file has no line in the table of groups"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_wrong_input_ends_in_one_sentence_and_leaves_nothing(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    kind, spoil, sentence = BAD[what]
    spoil(workplace.folder)
    assert workplace.prepare(monkeypatch, kind) == 1
    (error,) = (said for said in capsys.readouterr().err.splitlines() if said.startswith("error: "))
    assert says(error, sentence), error
    assert_nothing_is_left(workplace)


def says(text: str, sentence: str) -> bool:
    """Whether a text holds a sentence, in which … stands for anything."""
    return re.search(".*".join(map(re.escape, sentence.split("…"))), text) is not None


def assert_nothing_is_left(workplace: Workplace) -> None:
    """No prepared set, no half-written file; an index or unpacked copy in the cache is whole or not there."""
    assert not workplace.prepared.exists()
    left = [path.name for path in workplace.folder.rglob("*") if "partial" in path.name or path.name.endswith(".old")]
    assert left == []


ARGUMENTS = {
    "more folds than groups": (("--split.folds", "50"), "groups of windows cannot fill 101 parts"),
    "an odd window": (("--data.window", "41"), "data.window is 41, but must be an even length"),
    "a misspelt setting": (
        ("--data.windw", "40"),
        "--data.windw: there is no such option. Did you mean --data.window?",
    ),
    "a number in words": (("--data.window", "many"), 'data.window: "many" is not a whole number'),
    "a window longer than any contig": (("--data.window", "90000"), "no region as long as a window"),
    "another assembly than asked for": (
        ("--data.corpus", "[{species: x, sequences: genome.fa, assembly: hg38}]"),
        "genome.fa: this FASTA should be hg38, but the lengths of its contigs do not say so",
    ),
    "a contig to hold out that is not there": (
        ("--data.corpus", "[{species: x, sequences: genome.fa, hold_out: [chr21]}]"),
        "genome.fa: contig chr21 is to be held out and is not there",
    ),
    "no source": (("--data.windows", "[]"), "names no source of windows"),
}


@pytest.mark.parametrize("what", ARGUMENTS)
def test_wrong_arguments_end_in_one_sentence_and_leave_nothing(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    arguments, sentence = ARGUMENTS[what]
    assert workplace.prepare(monkeypatch, "gtf", *arguments) == 1
    assert says(capsys.readouterr().err, sentence)
    assert_nothing_is_left(workplace)


@pytest.mark.parametrize("name", ["genome.fa", "genes.gtf"])
def test_a_file_that_may_not_be_read_is_named(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Taken from the system's answer, because for root every file may be read."""
    real_open = Path.open

    def guarded(path: Path, *arguments: Any, **keywords: Any) -> Any:
        if path.name == name:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real_open(path, *arguments, **keywords)

    monkeypatch.setattr(Path, "open", guarded)
    assert workplace.prepare(monkeypatch, "gtf") == 1
    assert f"{name}: the file cannot be read (Permission denied)" in capsys.readouterr().err
    assert_nothing_is_left(workplace)


@pytest.mark.parametrize("packed", [False, True])
def test_a_disk_that_fills_up_leaves_nothing(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], packed: bool
) -> None:
    """The system refuses to write more than 20,000 bytes to a file: of the corpus, or of the unpacked FASTA."""
    if packed:
        path = workplace.folder / "genome.fa"
        path.write_bytes(gzip.compress(path.read_bytes()))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        status = workplace.prepare(monkeypatch, "gtf")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert status == 1
    assert "error: Nothing more can be written (File too large)" in capfd.readouterr().err
    assert_nothing_is_left(workplace)


def test_the_mended_file_is_taken_at_once(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    good = (workplace.folder / "genome.fa").read_text()
    (workplace.folder / "genome.fa").write_text(PROTEIN)
    assert workplace.prepare(monkeypatch, "gtf") == 1
    (workplace.folder / "genome.fa").write_text(good)
    assert workplace.prepare(monkeypatch, "gtf") == 0
    assert (workplace.prepared / "done.json").exists()


def test_a_file_changed_after_it_was_read_is_named_and_its_set_kept(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runs, "lock", lambda folder: None)  # what prepared it is a process that has ended
    assert workplace.prepare(monkeypatch, "gtf") == 0
    before = {path: path.read_bytes() for path in workplace.prepared.rglob("*") if path.is_file()}
    genome = workplace.folder / "genome.fa"
    good = genome.read_text()
    genome.write_text(good.replace("A", "C", 1))
    assert workplace.prepare(monkeypatch, "gtf") == 1
    assert says(capsys.readouterr().err, "prepared/x: holds the output of other settings: inputs.genome.fa was")
    genome.write_text(good)
    assert workplace.prepare(monkeypatch, "gtf") == 0
    assert {path: path.read_bytes() for path in workplace.prepared.rglob("*") if path.is_file()} == before


def in_bytes(name: str, old: bytes, new: bytes) -> Spoil:
    return edited(name, lambda content: content.replace(old, new))


def marked(name: str) -> Spoil:
    return edited(name, lambda content: b"\xef\xbb\xbf" + content)


def with_blanks(name: str) -> Spoil:
    return edited(name, lambda content: content + b"\n")


def letters_of_fasta(change: Callable[[bytes], bytes]) -> Spoil:
    def edit(content: bytes) -> bytes:
        return b"\n".join(row if row.startswith(b">") else change(row) for row in content.split(b"\n"))

    return edited("genome.fa", edit)


LOWER, URACIL, AMBIGUOUS = (
    "lower-case letters read as upper case", "letters U read as T", "ambiguous letters read as N"
)  # fmt: skip

NO_STRAND = b"chr1\t5\t9\tn\t0\t.\t5\t5\t0\t1\t4\t0\n"

# Format, what is done to its files, and what is said of it; the windows are those of the clean files.
TOLERATED: dict[str, tuple[str, Spoil, str | None]] = {
    **{f"CRLF, {name}": (kind, in_bytes(name, b"\n", b"\r\n"), None) for kind, name in (
        ("gtf", "genome.fa"), ("gtf", "genes.gtf"), ("gff3", "genes.gff3"), ("bed12", "genes.bed"),
        ("genepred", "genes.gp"), ("introns", "introns.bed"), ("sites", "sites.bed"), ("text", "positives.txt"),
        ("spliceator", "POS.csv"), ("gue", "gue.csv"), ("nt", "nt.fna"), ("groups", "groups.tsv"))},
    **{f"CR alone, {name}": (kind, in_bytes(name, b"\n", b"\r"), None) for kind, name in (
        ("gtf", "genome.fa"), ("gtf", "genes.gtf"), ("sites", "sites.bed"), ("gue", "gue.csv"))},
    **{f"byte order mark, {name}": (kind, marked(name), None) for kind, name in (
        ("gtf", "genome.fa"), ("gtf", "genes.gtf"), ("gff3", "genes.gff3"), ("bed12", "genes.bed"),
        ("introns", "introns.bed"), ("sites", "sites.bed"), ("text", "positives.txt"), ("spliceator", "POS.csv"),
        ("gue", "gue.csv"), ("nt", "nt.fna"), ("groups", "groups.tsv"))},
    **{f"a blank line at the end, {name}": (kind, with_blanks(name), None) for kind, name in (
        ("gtf", "genome.fa"), ("gtf", "genes.gtf"), ("sites", "sites.bed"), ("text", "positives.txt"),
        ("spliceator", "POS.csv"), ("gue", "gue.csv"), ("nt", "nt.fna"), ("groups", "groups.tsv"))},
    **{f"gzip, {name}": (kind, edited(name, gzip.compress), None) for kind, name in (
        ("gtf", "genome.fa"), ("gtf", "genes.gtf"), ("text", "positives.txt"), ("gue", "gue.csv"))},
    "lower case": ("gtf", letters_of_fasta(bytes.lower), LOWER),
    "lower case, windows": ("gue", in_bytes("gue.csv", b"T", b"t"), LOWER),
    "RNA letters": ("gtf", letters_of_fasta(lambda row: row.replace(b"T", b"U")), URACIL),
    "RNA letters, windows": ("text", in_bytes("positives.txt", b"T", b"U"), URACIL),
    "words behind the name": ("gtf", in_bytes("genome.fa", b">chr1", b">chr1 of the ancestor"), None),
    "names without chr": ("gtf", in_bytes("genes.gtf", b"chr1\t", b"1\t"), "contig names translated (1 → chr1)"),
    "quoted fields": ("gue", in_bytes("gue.csv", b",1\n", b',"1"\n'), None),
    "repeated rows": ("sites", edited("sites.bed", lambda c: c + c.splitlines(True)[3]), "same site as another row"),
    "repeated introns": ("introns", edited("introns.bed", lambda c: c + c.splitlines(True)[3]),
                         "the same intron in another transcript, counted once"),
    "a transcript without strand": ("bed12", edited("genes.bed", lambda c: c + NO_STRAND), "no strand"),
    "comments and track lines": ("bed12", edited("genes.bed", lambda c: b"# made\ntrack name=x\n" + c), None),
}  # fmt: skip


@pytest.mark.parametrize("what", TOLERATED)
def test_what_looks_wrong_and_is_not_gives_the_same_windows_and_is_said(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch, clean: Callable[[str], WindowTable], what: str
) -> None:
    kind, change, said = TOLERATED[what]
    change(workplace.folder)
    assert workplace.prepare(monkeypatch, kind) == 0
    for found, expected in zip(workplace.windows(), clean(kind), strict=True):
        np.testing.assert_array_equal(found, expected)
    if said is not None:
        assert workplace.said()[said] > 0


@pytest.fixture(scope="module")
def clean_tables() -> dict[str, WindowTable]:
    return {}


@pytest.fixture
def clean(
    published_formats: "PublishedFormats",
    clean_tables: dict[str, WindowTable],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[str], WindowTable]:
    """Windows of the files as they are, by format."""

    def windows(kind: str) -> WindowTable:
        if kind not in clean_tables:
            folder = tmp_path / "clean"
            shutil.copytree(published_formats.folder, folder)
            with monkeypatch.context() as patch:
                patch.setattr(runs, "ROOT", folder)
                workplace = Workplace(folder, published_formats.sources)
                assert workplace.prepare(patch, kind) == 0
                clean_tables[kind] = workplace.windows()
        return clean_tables[kind]

    return windows


def test_ambiguous_letters_are_read_as_n_and_counted(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    letters_of_fasta(lambda row: row[:10] + b"R" + row[11:])(workplace.folder)
    assert workplace.prepare(monkeypatch, "gtf", "--data.chunks.max_n", "0.2") == 0
    assert workplace.said()[AMBIGUOUS] > 1000
    assert (workplace.windows().tokens == N).any()
