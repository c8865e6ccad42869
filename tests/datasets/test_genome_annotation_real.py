import gzip
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from simcsp.datasets.genome_annotation import AnnotatedGenome
from simcsp.errors import InputError
from simcsp.sequence.sites import intron_ends

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Holds the unpacked chromosome for the tests of this module."""
    folder = tmp_path_factory.mktemp("cache")
    yield folder
    shutil.rmtree(folder)


def rewritten(source: Path, target: Path, change: Callable[[str], str]) -> Path:
    with gzip.open(source, "rt") as old, target.open("w") as new:
        new.writelines(map(change, old))
    return target


def test_human_chr1_called_1_in_the_gtf_is_refused(real_data: Path, cache: Path) -> None:
    folder = real_data / "vertebrates-chr1"
    with pytest.raises(InputError, match=r"\(1\) are not in .*which has chr1\. They spell names differently"):
        AnnotatedGenome(folder / "hg38.chr1.partial.fa.gz", folder / "ensembl.chr1.CDS.GRCh38.gtf.gz", cache)


def test_human_chr1_has_the_tabulated_introns_and_they_are_gt_ag(real_data: Path, cache: Path, tmp_path: Path) -> None:
    """98.6 % GT–AG and 0.9 % GC–AG of those that lie in real sequence."""
    folder = real_data / "vertebrates-chr1"
    gtf = rewritten(folder / "ensembl.chr1.CDS.GRCh38.gtf.gz", tmp_path / "chr1.gtf", lambda line: f"chr{line}")
    genome = AnnotatedGenome(folder / "hg38.chr1.partial.fa.gz", gtf, cache)
    assert genome.genome.lengths == {"chr1": 248_956_422}
    with gzip.open(real_data / "annotation" / "introns.hg38.tsv.gz", "rt") as table:
        rows = [line.split("\t") for line in table if "ensembl_chr1_CDS" in line]
    tabulated = {(row[0], int(row[1]), int(row[2]), row[3]) for row in rows if int(row[2]) - int(row[1]) >= 20}
    assert {intron[:4] for intron in genome.introns} == tabulated
    assert len(genome.introns) == 2025
    (contig,) = genome.contigs()
    ends = Counter(intron_ends(contig.tokens, contig.introns))
    readable = sum(count for pair, count in ends.items() if "N" not in pair)
    assert (readable, ends["GT-AG"], ends["GC-AG"]) == (2003, 1975, 19)


@pytest.mark.parametrize(("name", "rate"), [("celegans", 98.3), ("dmelanogaster", 98.6)])
def test_worm_and_fly_have_the_published_share_of_gt_ag(
    real_data: Path, tmp_path: Path, name: str, rate: float
) -> None:
    stem = real_data / "invertebrates" / f"{name}.1pct"
    genome = AnnotatedGenome(Path(f"{stem}.fa.gz"), Path(f"{stem}.gff3.gz"), tmp_path)
    assert round(100 * genome.check_assembly(0.5), 1) == rate


def test_human_chr22_of_another_assembly_is_refused(real_data: Path, tmp_path: Path) -> None:
    """MANE transcripts of GRCh38 against bases 20,000,000 to 21,000,000 of hg19."""
    chunk: list[str] = []
    with gzip.open(real_data / "human-pieces" / "human.fa.gz", "rt") as pieces:
        for line in pieces:
            if line.startswith(">"):
                if chunk:
                    break
                assert "assembly=hg19 chrom=chr22 start0=20000000 len=1000000" in line
            else:
                chunk.append(line.strip())
    fasta = tmp_path / "hg19.fa"
    fasta.write_text(">chr22\n" + "".join(chunk) + "\n")
    mane = real_data / "annotation" / "chr22.MANE.refseq.GRCh38.gff.gz"
    with pytest.raises(InputError, match=r"beyond chr22 \(1,000,000 nt\).*different assemblies"):
        AnnotatedGenome(fasta, mane, tmp_path / "cache")

    def moved(line: str) -> str:
        columns = line.split("\t")
        if line.startswith("#"):
            return line
        columns[3:5] = [str(int(position) - 20_000_000) for position in columns[3:5]]
        return "\t".join(columns) if int(columns[3]) > 0 and int(columns[4]) <= 1_000_000 else "#\n"

    shifted = rewritten(mane, tmp_path / "shifted.gff", moved)
    with pytest.raises(InputError, match=r"only \d+\.\d% of \d+ introns are GT–AG"):
        AnnotatedGenome(fasta, shifted, tmp_path / "cache").check_assembly(0.5)
