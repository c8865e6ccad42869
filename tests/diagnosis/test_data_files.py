from pathlib import Path

from simcsp.config import CorpusSource, DataConfig, OrthologueSource, WindowSource
from simcsp.diagnosis.data_files import data_files
from simcsp.diagnosis.finding import Level
from simcsp.sequence.simulate import GenomeSettings


def sources(root: Path) -> DataConfig:
    """Six files, the FASTA in two sources."""
    genome = Path("genome.fa")
    return DataConfig(
        root=root,
        corpus=(CorpusSource(species="x", sequences=genome),),
        windows=(WindowSource(format="genome", species="x", fasta=genome, annotation=Path("genes.gtf")),),
        labelled=(WindowSource(format="gue", species="x", sequences=Path("train.csv")),),
        transfer=(WindowSource(format="sites", species="y", fasta=Path("y.fa"), sites=Path("y.bed")),),
        orthologues=(OrthologueSource(species="x", table=Path("t.tsv"), fasta=genome, others=(Path("y.fa"),)),),
    )


FILES = ["genes.gtf", "genome.fa", "t.tsv", "train.csv", "y.bed", "y.fa"]


def test_every_source_is_asked_for_its_files(tmp_path: Path) -> None:
    assert [str(path) for path in sources(tmp_path).files] == FILES


def test_missing_file_and_folder_are_named_one_by_one(tmp_path: Path) -> None:
    for name in FILES[2:]:
        (tmp_path / name).write_bytes(bytes(250_000))
    (tmp_path / "genes.gtf").mkdir()
    folder, missing, rest = data_files(sources(tmp_path))
    assert (folder.level, missing.level, rest.level) == (Level.PROBLEM, Level.PROBLEM, Level.OK)
    assert folder.text.startswith(f"{tmp_path / 'genes.gtf'}: this is a folder")
    assert missing.text.startswith(f"{tmp_path / 'genome.fa'}: no such file")
    assert f"start from data.root, here {tmp_path}. data/README.md" in missing.text
    assert rest.text == "4 of 6 files can be read, 1.0 MB"


def test_nothing_is_missed_where_no_file_is_asked_for(tmp_path: Path) -> None:
    for data in (DataConfig(), DataConfig(root=tmp_path, simulate=GenomeSettings(genes=5))):
        (found,) = data_files(data)
        assert found.level is Level.OK
