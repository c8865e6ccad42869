import gzip
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from simcsp.datasets.genome_annotation import AnnotatedGenome
from simcsp.errors import InputError
from simcsp.sequence.sites import intron_ends

pytestmark = pytest.mark.real_data

HG19_CHR22 = 51_304_566  # nt


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Holds the unpacked chromosome for the tests of this module."""
    folder = tmp_path_factory.mktemp("cache")
    yield folder
    shutil.rmtree(folder)


def test_human_chr1_called_1_in_the_gtf_has_the_tabulated_introns_and_they_are_gt_ag(
    real_data: Path, cache: Path
) -> None:
    """98.6 % GT–AG and 0.9 % GC–AG of those that lie in real sequence."""
    folder = real_data / "vertebrates-chr1"
    gtf = folder / "ensembl.chr1.CDS.GRCh38.gtf.gz"
    genome = AnnotatedGenome(folder / "hg38.chr1.partial.fa.gz", gtf, cache, assembly="GRCh38")
    assert genome.genome.lengths == {"chr1": 248_956_422}
    assert genome.tallies[-1].changed == {"contig names translated (1 → chr1)": 1}
    with gzip.open(real_data / "annotation" / "introns.hg38.tsv.gz", "rt") as table:
        rows = [line.split("\t") for line in table if "ensembl_chr1_CDS" in line]
    tabulated = {(row[0], int(row[1]), int(row[2]), row[3]) for row in rows if int(row[2]) - int(row[1]) >= 20}
    assert {intron[:4] for intron in genome.introns} == tabulated
    assert len(genome.introns) == 2025
    (contig,) = genome.contigs()
    ends = Counter(intron_ends(contig.tokens, contig.introns))
    readable = sum(count for pair, count in ends.items() if "N" not in pair)
    assert (readable, ends["GT-AG"], ends["GC-AG"]) == (2003, 1975, 19)
    assert genome.check_assembly(0.5) == 1975 / 2003


def test_human_chr1_is_not_taken_for_hg19(real_data: Path, cache: Path) -> None:
    folder = real_data / "vertebrates-chr1"
    with pytest.raises(InputError, match="this FASTA is hg38, not hg19: chr1 has 248,956,422 nt"):
        AnnotatedGenome(
            folder / "hg38.chr1.partial.fa.gz", folder / "ensembl.chr1.CDS.GRCh38.gtf.gz", cache, assembly="hg19"
        )


@pytest.mark.parametrize(("name", "rate"), [("celegans", 98.3), ("dmelanogaster", 98.6)])
def test_worm_and_fly_have_the_published_share_of_gt_ag(
    real_data: Path, tmp_path: Path, name: str, rate: float
) -> None:
    stem = real_data / "invertebrates" / f"{name}.1pct"
    genome = AnnotatedGenome(Path(f"{stem}.fa.gz"), Path(f"{stem}.gff3.gz"), tmp_path)
    assert round(100 * genome.check_assembly(0.5), 1) == rate


@pytest.fixture(scope="module")
def hg19_chr22(real_data: Path, cache: Path) -> Path:
    """Bases 20,000,000 to 21,000,000 of hg19 at their place in chr22, N elsewhere."""
    piece = b""
    with gzip.open(real_data / "human-pieces" / "human.fa.gz") as pieces:
        for record in pieces.read().split(b">")[1:]:
            header, letters = record.split(b"\n", 1)
            if header.startswith(b"hisat2_chr22_20M"):
                assert b"assembly=hg19 chrom=chr22 start0=20000000 len=1000000" in header
                piece = letters.replace(b"\n", b"")
    assert len(piece) == 1_000_000
    path = cache / "hg19.fa"
    path.write_bytes(b">chr22\n" + b"N" * 20_000_000 + piece + b"N" * (HG19_CHR22 - 21_000_000) + b"\n")
    return path


def introns_as_gff3(table: Path, contig: str, accession: str) -> list[str]:
    """Each intron of a contig as a transcript of two exons of ten bases."""
    rows = []
    with gzip.open(table, "rt") as lines:
        for number, (name, start, end, strand, *_) in enumerate(line.split("\t") for line in lines):
            if name == contig:
                for first, last in ((int(start) - 9, int(start)), (int(end) + 1, int(end) + 10)):
                    rows.append(f"{accession}\th\texon\t{first}\t{last}\t.\t{strand}\t.\tParent=t{number}\n")
    return rows


def test_transcripts_of_grch38_are_refused_on_hg19(real_data: Path, cache: Path, hg19_chr22: Path) -> None:
    mane = real_data / "annotation" / "chr22.MANE.refseq.GRCh38.gff.gz"
    genome = AnnotatedGenome(hg19_chr22, mane, cache)
    with pytest.raises(InputError) as caught:
        genome.check_assembly(0.5)
    assert str(caught.value) == (
        f"{mane}: only 0.5% of 185 introns are GT–AG in {hg19_chr22}; 98–99 % are in the right assembly. "
        "The two files are of different assemblies: this FASTA is hg19; the coordinates would fit into hg38 or hs1."
    )


def test_introns_of_hg19_fit_hg19_under_the_accession_of_chr22(
    real_data: Path, cache: Path, tmp_path: Path, hg19_chr22: Path
) -> None:
    gff = tmp_path / "introns.gff3"
    rows = introns_as_gff3(real_data / "annotation" / "introns.hg19.tsv.gz", "chr22", "NC_000022.10")
    gff.write_text("".join(rows))
    genome = AnnotatedGenome(hg19_chr22, gff, cache, assembly="GRCh37")
    assert genome.check_assembly(0.5) > 0.97
    assert genome.tallies[-1].changed == {"contig names translated (NC_000022.10 → chr22)": 1}


def test_introns_of_hg19_are_refused_on_hg38(real_data: Path, cache: Path, tmp_path: Path) -> None:
    """By the version of the accession, by a place beyond the end of chr1, and by the ends of introns."""
    fasta, gff = real_data / "vertebrates-chr1" / "hg38.chr1.partial.fa.gz", tmp_path / "introns.gff3"
    table, fit = real_data / "annotation" / "introns.hg19.tsv.gz", "this FASTA is hg38; the coordinates would fit into"
    gff.write_text("".join(introns_as_gff3(table, "chr1", "NC_000001.10")))
    with pytest.raises(InputError, match=r"has 249,250,621 nt in hg19, but chr1 of the FASTA has 248,956,422"):
        AnnotatedGenome(fasta, gff, cache)
    rows = introns_as_gff3(table, "chr1", "1")
    gff.write_text("".join(rows))
    with pytest.raises(InputError, match=rf"beyond chr1 \(248,956,422 nt\) .*{fit} hg19"):
        AnnotatedGenome(fasta, gff, cache)
    gff.write_text("".join(row for row in rows if int(row.split("\t")[4]) < 200_000_000))
    with pytest.raises(InputError, match=rf"only \d+\.\d% of [\d,]+ introns are GT–AG .*{fit} hg18, hg19 or hs1"):
        AnnotatedGenome(fasta, gff, cache).check_assembly(0.5)
