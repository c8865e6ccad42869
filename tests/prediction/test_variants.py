"""A VCF goes round with its records, scores and refusals accounted for."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import numpy as np
import pytest

from simcsp.errors import InputError
from simcsp.prediction.genes import Genes
from simcsp.prediction.reference_check import contigs_of, survey
from simcsp.prediction.variants import CHANGED, VARIANTS, VariantOptions, score_variants
from simcsp.sequence.alphabet import encode
from simcsp.sequence.transcripts import Transcript
from simcsp.sequence.vcf import read_header

if TYPE_CHECKING:
    from pathlib import Path

    from tests.prediction.conftest import WriteGenome

    from simcsp.prediction.scorer import Scorer
    from simcsp.sequence.fasta import Genome

# The donor GT is at 20 (0-based); its exon's last base is the 20th (1-based).
LETTERS = "C" * 20 + "GT" + "C" * 20
HEAD = "##fileformat=VCFv4.3\n##contig=<ID=c,length=42>\n"
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tsample\n"
GENE = Transcript("t", "GENE;1", "c", "+", ((0, 20), (30, 42)))


def row(position: int, ref: str, alt: str, info: str = "DP=7", contig: str = "c") -> str:
    return f"{contig}\t{position}\trs1\t{ref}\t{alt}\t50\tPASS\t{info}\tGT\t0/1\n"


def score(genome: Genome, scorer: Scorer, folder: Path, rows: str, genes: Genes | None = None) -> list[list[str]]:
    vcf = folder / "calls.vcf"
    vcf.write_text(HEAD + COLUMNS + rows)
    header = read_header(vcf)
    contigs = contigs_of(vcf, header, genome)
    output = folder / "scores"
    output.mkdir()
    score_variants(genome, vcf, header, contigs, genes or Genes([GENE]), scorer, VariantOptions(), output)
    lines = (output / VARIANTS).read_text().splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")]


def donor(letters: str, scorer: Scorer) -> float:
    at = letters.index("GT") + 1 - scorer.window // 2
    return float(scorer(encode(letters[at : at + scorer.window].encode()).tokens[None])[0])


@pytest.mark.parametrize(
    ("position", "ref", "alt", "site"),
    [
        (21, "G", "A", None),  # the donor goes
        (18, "C", "A", 0),  # its window changes
        (20, "C", "CT", 0),  # a base between exon and intron; the exon ends in it, and stands at the 20th
        (16, "CCC", "C", 0),  # two bases of the exon go: every later place is two less on that haplotype
        (12, "C", "CAAAA", 0),  # four come at the far end of the window, which shifts
    ],
)
def test_donor_loss_and_gain_by_hand(
    position: int, ref: str, alt: str, site: int | None, write_genome: WriteGenome, scorer: Scorer, tmp_path: Path
) -> None:
    ((*_, info, _, _),) = score(write_genome(c=LETTERS), scorer, tmp_path, row(position, ref, alt))
    assert info.startswith("DP=7;SimCSP=")
    values = info.split("SimCSP=")[1].split("|")
    mutated = LETTERS[: position - 1] + alt + LETTERS[position - 1 + len(ref) :]
    before, after = donor(LETTERS, scorer), 0.0 if site is None else donor(mutated, scorer)
    gain, loss = max(0.0, after - before), max(0.0, before - after)
    assert values[:4] == [alt, "GENE_1", "0.0000", "0.0000"]
    assert values[4:6] == [f"{gain:.4f}", f"{loss:.4f}"]
    place = 20 - position
    assert values[6:] == ["0", "0", str(place if gain else 0), str(place if loss else 0), "+"]


def test_each_allele_and_each_strand_has_an_entry(write_genome: WriteGenome, scorer: Scorer, tmp_path: Path) -> None:
    rows = row(18, "C", "A,<DEL>,CTT", info=".") + row(41, "C", "T")
    found = score(write_genome(c=LETTERS), scorer, tmp_path, rows, Genes())
    entries = found[0][7].removeprefix("SimCSP=").split(",")
    assert [entry.split("|")[0] for entry in entries] == ["A", "A", "<DEL>", "<DEL>", "CTT", "CTT"]
    assert [entry.split("|")[-1] for entry in entries] == ["+", "-"] * 3
    assert entries[2].split("|")[2:10] == ["."] * 8
    assert {len(entry.split("|")) for entry in entries} == {11}
    assert found[1][7] == "DP=7;SimCSP=T|.|0.0000|0.0000|0.0000|0.0000|0|0|0|0|+,T|.|" + "|".join(
        ["0.0000"] * 4 + ["0"] * 4 + ["-"]
    )


BAD = {
    row(5, "C", "<DEL>"): "symbolic allele",
    row(5, "C", "C[c:9["): "symbolic allele",
    row(5, "C", "*"): "allele * (deleted by another record)",
    row(5, "C", "."): "no alternative allele",
    row(5, "C", "N"): "allele with N or another letter that is not A, C, G, T",
    row(5, "C", "c"): "alternative allele equals the reference",
    row(42, "CC", "C"): "position outside the contig",
    row(0, "C", "A"): "position outside the contig",
    row(5, "C", "A", contig="other"): "contig not in the FASTA",
}


def test_records_in_are_records_out_and_refused(
    write_genome: WriteGenome, scorer: Scorer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = row(5, "c", "a") + "".join(BAD) + row(3, "C", "T") + row(25, "C", "G") * 2
    found = score(write_genome(c=LETTERS), scorer, tmp_path, rows)
    assert [(columns[1], columns[3], columns[4]) for columns in found] == [
        ("5", "c", "a"), ("3", "C", "T"), ("25", "C", "G"), ("25", "C", "G"),
    ]  # fmt: skip
    refused = [line.split("\t") for line in (tmp_path / "scores/refused.tsv").read_text().splitlines()[1:]]
    assert [reason for *_, reason in refused] == list(BAD.values())
    assert [line for line, *_ in refused] == [str(line) for line in range(5, 5 + len(BAD))]
    said = capsys.readouterr().out
    assert f"{len(BAD) + 4} records in = 4 out + {len(BAD)} refused" in said
    assert "records are not sorted from line 12 on" in said


def test_a_few_other_bases_are_refused_many_stop(write_genome: WriteGenome, scorer: Scorer, tmp_path: Path) -> None:
    genome = write_genome(c=LETTERS)
    good = row(5, "C", "A")
    assert len(score(genome, scorer, tmp_path, good * 99 + row(6, "G", "A"))) == 99
    assert "REF is not the base of the FASTA" in (tmp_path / "scores/refused.tsv").read_text()
    vcf = tmp_path / "calls.vcf"
    vcf.write_text(HEAD + COLUMNS + good * 97 + row(6, "G", "A") * 2)
    with pytest.raises(InputError, match=r"line 101: REF is not the base of .* in 2 of 99 records"):
        survey(vcf, genome, {"c": "c"})


def test_a_place_where_the_fasta_has_n_tells_no_assembly(
    write_genome: WriteGenome, scorer: Scorer, tmp_path: Path
) -> None:
    """As in genomes that are masked with N, or known in pieces."""
    genome = write_genome(c=f"{LETTERS[:38]}NNNN")
    rows = row(5, "C", "A") + row(39, "G", "A") * 3 + row(38, "CG", "A")
    scored = score(genome, scorer, tmp_path, rows)
    assert len(scored) == 1
    refused = (tmp_path / "scores/refused.tsv").read_text()
    assert refused.count("the FASTA has N in the place of REF") == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "this is no VCF"),
        ("##fileformat=VCFv4.3\nc\t1\n", "the names of the columns"),
        (HEAD + COLUMNS + "c\t5\t.\tC\n", "line 4: expected at least 8"),
        (HEAD + COLUMNS + "c\tx\t.\tC\tA\t.\t.\t.\n", "line 4: POS must be a whole number"),
        (HEAD + COLUMNS, "no record found"),
        (HEAD + COLUMNS + row(5, "C", "A", contig="z"), "none of its contigs (z)"),
        (HEAD.replace("42", "43") + COLUMNS + row(5, "C", "A"), "contig c has 43 nt"),
        (HEAD + '##INFO=<ID=SimCSP,Number=.,Type=String,Description="x">\n' + COLUMNS + row(5, "C", "A"), "already"),
    ],
)
def test_bad_files_are_named(
    text: str, message: str, write_genome: WriteGenome, scorer: Scorer, tmp_path: Path
) -> None:
    genome, vcf = write_genome(c=LETTERS), tmp_path / "bad.vcf"
    vcf.write_text(text)
    with pytest.raises(InputError) as error:
        header = read_header(vcf)
        contigs = contigs_of(vcf, header, genome)
        score_variants(genome, vcf, header, contigs, Genes(), scorer, VariantOptions(), tmp_path)
    assert message in str(error.value)


def test_names_of_contigs_are_translated_and_gzip_is_read(
    write_genome: WriteGenome, scorer: Scorer, tmp_path: Path
) -> None:
    genome, vcf = write_genome(chr1=LETTERS), tmp_path / "calls.vcf.gz"
    vcf.write_bytes(gzip.compress((HEAD.replace("ID=c", "ID=1") + COLUMNS + row(21, "G", "A", contig="1")).encode()))
    header = read_header(vcf)
    contigs = contigs_of(vcf, header, genome)
    score_variants(genome, vcf, header, contigs, Genes(), scorer, VariantOptions(least_change=0.0), tmp_path)
    (record,) = [line for line in (tmp_path / VARIANTS).read_text().splitlines() if not line.startswith("#")]
    assert record.startswith("1\t21\t")
    head, *changed = [line.split("\t") for line in (tmp_path / CHANGED).read_text().splitlines()]
    assert [dict(zip(head, one, strict=True))["change"] for one in changed] == ["lost"]


def test_another_reader_understands_the_field(write_genome: WriteGenome, scorer: Scorer, tmp_path: Path) -> None:
    pysam = pytest.importorskip("pysam")
    score(write_genome(c=LETTERS), scorer, tmp_path, row(18, "C", "A,CTT") + row(21, "G", "A"))
    with pysam.VariantFile(str(tmp_path / "scores" / VARIANTS)) as vcf:
        records = list(vcf)
        assert vcf.header.info["SimCSP"].number == "."
    assert [record.pos for record in records] == [18, 21]
    assert [len(record.info["SimCSP"]) for record in records] == [2, 1]
    assert records[1].info["SimCSP"][0].split("|")[0] == "A"
    assert records[0].info["DP"] == "7"
    assert np.isfinite(float(records[1].info["SimCSP"][0].split("|")[5]))
