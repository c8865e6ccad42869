"""What goes wrong most often: each gets one sentence that names the file and the way out, and leaves nothing behind."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import prepare
from simcsp import runs
from simcsp.errors import InputError
from simcsp.sequence.simulate import GenomeSettings, write_genomes

GENES = GenomeSettings(genes=12, species=1, contigs=1, exons_per_gene=4)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a small genome, where prepared sets land in the folder as well."""
    monkeypatch.setattr(runs, "ROOT", tmp_path)
    monkeypatch.setattr(prepare, "CACHE", tmp_path / "cache")
    write_genomes(GENES, tmp_path, seed=0)
    return tmp_path


def prepare_with(folder: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    source = "{format: genome, species: x, fasta: ancestor.fa, annotation: ancestor.gtf}"
    corpus = "{species: x, sequences: ancestor.fa, annotation: ancestor.gtf}"
    settings = f"data:\n  name: x\n  root: {folder}\n  window: 40\n  windows: [{source}]\n  corpus: [{corpus}]\n"
    (folder / "config.yaml").write_text(settings + "split: {folds: 2}\n")
    monkeypatch.setattr("sys.argv", ["prepare.py", "--config", str(folder / "config.yaml"), *arguments])
    prepare.main()


def protein(folder: Path) -> None:
    (folder / "ancestor.fa").write_text(">p\nMKVLWAALLVTFLAGCQAKVEQAVETEPEPELRQQTEWQ\n")


def html(folder: Path) -> None:
    (folder / "ancestor.fa").write_text("<!DOCTYPE html><html><body>404 Not Found</body></html>\n")


def empty(folder: Path) -> None:
    (folder / "ancestor.fa").write_text("")


def missing(folder: Path) -> None:
    (folder / "ancestor.gtf").unlink()


def truncated(folder: Path) -> None:
    whole = gzip.compress((folder / "ancestor.fa").read_bytes())
    (folder / "ancestor.fa").write_bytes(whole[: len(whole) // 2])


def other_names(folder: Path) -> None:
    gtf = folder / "ancestor.gtf"
    gtf.write_text(gtf.read_text().replace("chr1\t", "scaffold_7\t"))


def other_assembly(folder: Path) -> None:
    rng = np.random.default_rng(0)
    letters = [line for line in (folder / "ancestor.fa").read_text().splitlines() if not line.startswith(">")]
    shuffled = "".join(rng.permutation(list("".join(letters))))
    (folder / "ancestor.fa").write_text(f">chr1\n{shuffled}\n")


def spaces_for_tabs(folder: Path) -> None:
    gtf = folder / "ancestor.gtf"
    gtf.write_text(gtf.read_text().replace("\t", " "))


def nothing(folder: Path) -> None:
    """The files are fine; the arguments are not."""


@pytest.mark.parametrize(
    ("spoil", "arguments", "message"),
    [
        (protein, (), "ancestor.fa: the sequence is not DNA"),
        (html, (), "ancestor.fa: this is HTML"),
        (empty, (), "ancestor.fa: the file is empty"),
        (missing, (), "ancestor.gtf: no such file"),
        (truncated, (), "ancestor.fa: the gzip file is truncated"),
        (other_names, (), r"contigs \(scaffold_7\) are not in .*ancestor.fa, which has chr1"),
        (other_assembly, (), r"only \d\.\d% of .* introns are GT–AG in .*ancestor.fa"),
        (spaces_for_tabs, (), "ancestor.gtf, line 2: the columns are not those of an annotation: found 1"),
        (nothing, ("--split.folds", "50"), "groups of windows cannot fill 101 parts"),
        (nothing, ("--data.window", "41"), "window must be an even length"),
        (nothing, ("--data.windw", "40"), "Did you mean 'window'"),
        (nothing, ("--data.window", "many"), "data.window"),
    ],
)
def test_wrong_input_is_named_and_leaves_nothing(
    workplace: Path,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Path], None],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    spoil(workplace)
    with pytest.raises(InputError, match=message):
        prepare_with(workplace, monkeypatch, *arguments)
    assert not (workplace / "data" / "prepared" / "x").exists()
    assert not list(workplace.rglob("*.partial"))


def test_the_mended_file_is_taken_at_once(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = (workplace / "ancestor.fa").read_text()
    protein(workplace)
    with pytest.raises(InputError):
        prepare_with(workplace, monkeypatch)
    (workplace / "ancestor.fa").write_text(whole)
    prepare_with(workplace, monkeypatch)
    assert (workplace / "data" / "prepared" / "x" / "done.json").exists()


def test_a_file_changed_after_it_was_read_is_named(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "lock", lambda folder: None)  # what prepared it is a process that has ended
    prepare_with(workplace, monkeypatch)
    prepared = workplace / "data" / "prepared" / "x"
    before = {path: path.read_bytes() for path in prepared.rglob("*") if path.is_file()}
    whole = (workplace / "ancestor.fa").read_text()
    (workplace / "ancestor.fa").write_text(whole.replace("A", "C", 1))
    with pytest.raises(InputError, match=r"prepared/x: holds the output of other settings: inputs\.ancestor\.fa was"):
        prepare_with(workplace, monkeypatch)
    (workplace / "ancestor.fa").write_text(whole)
    prepare_with(workplace, monkeypatch)
    assert {path: path.read_bytes() for path in prepared.rglob("*") if path.is_file()} == before


def test_a_sequence_shorter_than_the_window_is_named_by_line(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (workplace / "positives.txt").write_text("> seq 1\n" + "A" * 29 + "GT" + "A" * 29 + "\n> seq 2\nACGTACGT\n")
    (workplace / "negatives.txt").write_text("C" * 29 + "GT" + "C" * 29 + "\n")
    source = "{format: text, species: x, site: donor, positives: positives.txt, negatives: negatives.txt}"
    with pytest.raises(InputError, match=r"positives.txt, line 3: a sequence of 8 nt is shorter than the window of 40"):
        prepare_with(workplace, monkeypatch, "--data.windows", f"[{source}]")
