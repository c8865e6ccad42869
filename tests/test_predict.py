"""The script from the command line to files: whole, resumed, refused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.prediction.conftest import saved_model  # noqa: F401 - fixtures

import predict
from simcsp import runs
from simcsp.errors import InputError
from simcsp.prediction import genome as genome_mode
from simcsp.prediction.classifier import Ensemble
from simcsp.prediction.growing import GrowingFiles
from simcsp.prediction.tracks import TRACKS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.prediction.conftest import SavedModel

GENOME_FILES = {"sites.bed", "called.gff3", "splice_scores.tsv", *TRACKS}
RANDOM = "".join(np.random.default_rng(4).choice(list("ACGT"), 3000))


@pytest.fixture
def call(saved_model: SavedModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Path]:  # noqa: F811
    """``call("genome", output, *arguments)`` runs the script in this process on a genome of two contigs."""
    monkeypatch.setattr(predict, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(genome_mode, "PIECE", 400)
    fasta = tmp_path / "genome.fa"
    fasta.write_text(f">b\n{RANDOM}\n>a\n{RANDOM[:1500].lower()}\n>tiny\nGT\n")

    def run(what: str, output: str, *arguments: str) -> Path:
        given = [] if what == "windows" else ["--fasta", str(fasta)]
        target = tmp_path / output
        monkeypatch.setattr(
            sys, "argv",
            ["predict.py", what, "--model", str(saved_model.folder), *given, "--output", str(target), *arguments],
        )  # fmt: skip
        monkeypatch.setattr(runs, "lock", lambda folder: folder.mkdir(parents=True, exist_ok=True))
        predict.main()
        return target

    return run


def contents(folder: Path) -> dict[str, str]:
    return {name: (folder / name).read_text() for name in GENOME_FILES}


def test_a_genome_becomes_sorted_files(call: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    folder = call("genome", "scores", "--threshold", "0.5")
    assert {path.name for path in folder.iterdir()} == {*GENOME_FILES, runs.RECORD, runs.DONE}
    rows = [line.split("\t") for line in (folder / "sites.bed").read_text().splitlines()]
    assert rows == sorted(rows, key=lambda row: (row[0].encode(), int(row[1])))
    assert {len(row) for row in rows} == {6}
    said = capsys.readouterr().out
    assert f"candidates read, {len(rows):,} kept" in said
    assert "1: shorter than a window of 12 nt" in said
    assert "1,500: lower-case letters read as upper case" in said
    tracks = [line for name in TRACKS for line in (folder / name).read_text().splitlines()]
    assert len(tracks) == len(rows)
    called = [line for line in (folder / "called.gff3").read_text().splitlines() if not line.startswith("#")]
    assert 0 < len(called) == sum(float(line.split("\t")[3]) >= 0.5 for line in tracks) < len(rows)


def test_a_killed_prediction_ends_in_the_same_files(
    call: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = contents(call("genome", "whole"))
    append = GrowingFiles.append

    def killed(self: GrowingFiles, texts: dict[str, str], pieces: int = 1) -> None:
        if self.done == 5:
            with self.path["sites.bed"].open("a") as stream:
                stream.write("b\t1")
            raise KeyboardInterrupt
        append(self, texts, pieces)

    monkeypatch.setattr(GrowingFiles, "append", killed)
    with pytest.raises(KeyboardInterrupt):
        call("genome", "killed")
    monkeypatch.setattr(GrowingFiles, "append", append)
    with pytest.raises(InputError, match=r"other settings: settings\.least was 0\.0, now 0\.1"):
        call("genome", "killed", "--least", "0.1")
    assert contents(call("genome", "killed")) == whole
    capsys.readouterr()
    call("genome", "killed")
    assert "is complete" in capsys.readouterr().out


def test_given_sites_have_the_probabilities_of_the_genome(call: Callable[..., Path], tmp_path: Path) -> None:
    genome = call("genome", "genome")
    sites = call("sites", "sites", "--bed", str(genome / "sites.bed"))
    assert (sites / "sites.bed").read_text() == (genome / "sites.bed").read_text()


def test_variants_and_windows(call: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = RANDOM.index("GT", 100)
    vcf = tmp_path / "calls.vcf"
    vcf.write_text(
        "##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        f"b\t{at + 1}\t.\tG\tA\t.\t.\t.\nb\t{at + 1}\t.\tG\t<DEL>\t.\t.\t.\n"
    )
    folder = call("variants", "variants", "--vcf", str(vcf), "--least-change", "0")
    assert "2 records in = 1 out + 1 refused" in capsys.readouterr().out
    record = (folder / "variants.vcf").read_text().splitlines()[-1]
    assert record.split("\t")[7].startswith("SimCSP=A|.|")
    assert "\tdonor\t+\t" in (folder / "changed_sites.tsv").read_text()
    windows = tmp_path / "windows.txt"
    windows.write_text(RANDOM[at - 5 : at + 7] + "\n")
    rows = (call("windows", "windows", "--windows", str(windows)) / "windows.csv").read_text().splitlines()
    assert rows[1].startswith("1,line 1,GT,0.")


def test_bigwig_holds_what_bedgraph_holds(call: Callable[..., Path]) -> None:
    bigwig = pytest.importorskip("pyBigWig")
    folder = call("genome", "scores", "--bigwig")
    for name in TRACKS:
        rows = [line.split("\t") for line in (folder / name).read_text().splitlines()]
        with bigwig.open(str(folder / name.replace(".bedgraph", ".bw"))) as track:
            assert track.chroms() == {"a": 1500, "b": 3000, "tiny": 2}
            found = [(c, *interval) for c in ("a", "b") for interval in track.intervals(c) or ()]
        assert [(c, int(s), int(e)) for c, s, e, _ in rows] == [place[:3] for place in found]
        assert [float(row[3]) for row in rows] == pytest.approx([place[3] for place in found], rel=1e-6)


def test_tabix_opens_the_bed(call: Callable[..., Path]) -> None:
    pysam = pytest.importorskip("pysam")
    folder = call("genome", "scores")
    packed = pysam.tabix_index(str(folder / "sites.bed"), preset="bed", keep_original=True)
    rows = [line for line in (folder / "sites.bed").read_text().splitlines() if line.startswith("b\t")]
    inside = [line for line in rows if int(line.split("\t")[1]) < 1000 and int(line.split("\t")[2]) > 500]
    with pysam.TabixFile(packed) as index:
        assert list(index.fetch("b", 500, 1000)) == inside


@pytest.mark.parametrize(
    ("arguments", "option"),
    [(("--threshold", "1"), "--threshold"), (("--threshold", "0.5", "--least", "1"), "--least")],
)
def test_where_no_site_is_called_the_way_out_is_said(
    arguments: tuple[str, ...], option: str, call: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    call("genome", "none", *arguments)
    said = capsys.readouterr().out
    assert "predict: 0 sites called" in said
    assert f"choose a lower {option} " in said
    call("genome", "some", "--threshold", "0.5")
    assert "choose a lower" not in capsys.readouterr().out


def test_doubts_about_the_probabilities_are_said(
    call: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Ensemble, "doubts", ["they tell nothing"])
    call("genome", "scores")
    assert "warning: they tell nothing\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--site-fraction", "0"), "--site-fraction must lie between 0 and 1"),
        (("--threshold", "2"), "--threshold is a probability"),
        (("--least", "-1"), "--least is a probability"),
        (("--assembly", "hg38"), "should be hg38"),
    ],
)
def test_options_that_make_no_sense_leave_nothing_behind(
    arguments: tuple[str, ...], message: str, call: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(InputError) as error:
        call("genome", "scores", *arguments)
    assert message in str(error.value)
    assert not (tmp_path / "scores" / runs.RECORD).exists()


def test_contigs_shorter_than_a_window_are_refused_together(call: Callable[..., Path], tmp_path: Path) -> None:
    short = tmp_path / "short.fa"
    short.write_text(">a\nACGT\n")
    with pytest.raises(InputError, match="no contig is as long as a window of 12 nt"):
        call("genome", "scores", "--fasta", str(short))


def test_help_says_what_is_scored_and_what_the_fraction_is_of() -> None:
    (every,) = (action for action in predict._parser()._actions if action.dest == "what")
    assert isinstance(every.choices, dict)
    said = " ".join(every.choices["genome"].format_help().split())
    assert "every GT and every AG is scored as a possible splice site" in said
    assert "stop if the contigs of the FASTA are not as long as in this assembly" in said
    assert "fraction of all GT and AG of this genome that are real splice sites" in said


def test_help_fits_on_a_screen() -> None:
    assert len(predict._parser().format_help().splitlines()) <= 24
