"""What a prepared set says of itself."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import prepare
from simcsp import runs
from simcsp.datasets.windows import load_windows
from simcsp.errors import InputError
from simcsp.sequence.alphabet import reverse_complement

if TYPE_CHECKING:
    from tests.conftest import PublishedFormats

CHR_I = 230_218  # nt of chromosome I of yeast, sacCer3
EXPOSED = 7

Prepare = Callable[..., Path]


@pytest.fixture
def prepared(published_formats: "PublishedFormats", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Windows as text, with a corpus that is as long as a yeast chromosome and holds seven of the windows."""
    shutil.copytree(published_formats.folder, tmp_path, dirs_exist_ok=True)
    letters = "".join(np.random.default_rng(3).choice(list("ACGT"), CHR_I))
    windows = (tmp_path / "positives.txt").read_text().split("\n")[1 : 2 * EXPOSED : 2]
    (tmp_path / "yeast.fa").write_text(">I\n" + ("".join(windows) + letters)[:CHR_I] + "\n")
    (tmp_path / "config.yaml").write_text(
        f"data:\n  name: x\n  root: {tmp_path}\n  window: 100\n  windows: [{published_formats.sources['text']}]\n"
        "  corpus: [{species: yeast, sequences: yeast.fa, assembly: R64-1-1}]\nsplit: {folds: 2}\n"
    )
    monkeypatch.setattr(runs, "ROOT", tmp_path)
    monkeypatch.setattr(prepare, "CACHE", tmp_path / "cache")
    monkeypatch.setattr("sys.argv", ["prepare.py", "--config", str(tmp_path / "config.yaml")])
    prepare.main()
    return tmp_path / "data" / "prepared" / "x"


def content(path: Path) -> Any:
    return json.loads(path.read_text())


def test_assembly_contig_lengths_and_hashes_are_kept(prepared: Path, tmp_path: Path) -> None:
    assert content(prepared / "manifest.json")["assemblies"] == {
        "yeast.fa": {"assembly": "sacCer3", "contigs": {"I": CHR_I}}
    }
    assert content(prepared / "record.json")["inputs"] == {
        name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        for name in ("yeast.fa", "positives.txt", "negatives.txt")
    }


def test_windows_that_the_corpus_holds_are_counted_and_their_species_named(prepared: Path) -> None:
    exposure = content(prepared / "manifest.json")["exposure"]
    assert (exposure["windows"], exposure["by species of the corpus"]) == (EXPOSED, {"yeast": EXPOSED})
    assert sum(exposure["per part"]) == EXPOSED


def test_every_source_accounts_for_its_records(prepared: Path) -> None:
    sources = content(prepared / "manifest.json")["sources"]
    assert [source["what"] for source in sources] == ["nucleotides", "windows", "windows", "windows"]
    for source in sources:
        assert source["read"] == source["kept"] + sum(source["dropped"].values())
    assert content(prepared / "manifest.json")["windows"] == sources[-1]["kept"] == 140


def test_windows_for_pretraining_with_labels_are_folders_of_their_own_and_change_no_fold(
    published_formats: "PublishedFormats", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(published_formats.folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(runs, "ROOT", tmp_path)
    monkeypatch.setattr(prepare, "CACHE", tmp_path / "cache")
    text, sites = (published_formats.sources[name] for name in ("text", "sites"))
    found = {}
    for name, more in (("without", ""), ("with", f"  labelled: [{sites}, {text}]\n")):
        (tmp_path / f"{name}.yaml").write_text(
            f"data:\n  name: {name}\n  root: {tmp_path}\n  window: 100\n  windows: [{text}]\n{more}"
            "  corpus: [{species: x, sequences: genome.fa}]\nsplit: {folds: 2}\n"
        )
        monkeypatch.setattr("sys.argv", ["prepare.py", "--config", str(tmp_path / f"{name}.yaml")])
        prepare.main()
        folder = tmp_path / "data" / "prepared" / name
        found[name] = load_windows(folder / "windows")
    for one, other in zip(*found.values(), strict=True):
        assert np.array_equal(one, other)
    labelled = load_windows(folder / "labelled")
    assert content(folder / "manifest.json")["labelled"] == len(labelled.label) > 0
    tally = content(folder / "manifest.json")["sources"][-1]
    assert tally["source"] == "labelled, for pre-training"
    assert sum(tally["dropped"].values()) >= 140  # all that the folds hold
    assert not {w.tobytes() for w in labelled.tokens} & {w.tobytes() for w in found["with"].tokens}


@pytest.fixture
def species_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prepare:
    """``prepare(transfer, labelled)``: windows of a simulated ancestor, and of the given species, into a set ``x``."""
    monkeypatch.setattr(runs, "ROOT", tmp_path)
    monkeypatch.setattr(prepare, "CACHE", tmp_path / "cache")

    def source(name: str) -> str:
        return f"{{format: genome, species: {name}, fasta: {name}.fa, annotation: {name}.gtf}}"

    def call(transfer: str, *labelled: str, name: str = "x") -> Path:
        (tmp_path / "config.yaml").write_text(
            f"data:\n  name: {name}\n  root: {tmp_path}/genomes\n  window: 40\n"
            "  simulate: {genes: 40, species: 3, contigs: 1, exons_per_gene: 4}\n"
            "  corpus: [{species: x, sequences: ancestor.fa}]\n"
            f"  windows: [{source('ancestor')}]\n  transfer: [{source(transfer)}]\n"
            f"  labelled: [{', '.join(map(source, labelled))}]\nsplit: {{folds: 2, pretraining: 4, shared: 50}}\n"
        )
        monkeypatch.setattr("sys.argv", ["prepare.py", "--config", str(tmp_path / "config.yaml")])
        prepare.main()
        return tmp_path / "data" / "prepared" / name

    return call


def test_windows_of_other_species_share_nothing_with_any_whose_labels_are_learned(species_apart: Prepare) -> None:
    folder = species_apart("cousin-1", "cousin-1", "cousin-2")
    sets = {name: load_windows(folder / name).tokens for name in ("windows", "labelled", "transfer")}
    transfer = {
        window.tobytes() for strand in (sets["transfer"], reverse_complement(sets["transfer"])) for window in strand
    }
    for name in ("windows", "labelled"):
        assert len(sets[name])
        assert not transfer & {window.tobytes() for window in sets[name]}
    manifest = content(folder / "manifest.json")
    assert manifest["transfer"] == len(sets["transfer"]) > 400  # genes of the same names, but another species
    dropped = {tally["source"]: tally["dropped"] for tally in manifest["sources"]}
    assert dropped["of other species"]
    assert dropped["labelled, for pre-training, apart from other species"]


def test_no_windows_of_other_species_left_is_an_error_and_nothing_is_written(
    species_apart: Prepare, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="of other species: nothing is left that shares no group or sequence with"):
        species_apart("ancestor")
    assert not (tmp_path / "data" / "prepared" / "x").exists()


def test_a_labelled_source_more_changes_no_window_of_other_species(species_apart: Prepare) -> None:
    one, other = (
        load_windows(species_apart("cousin-1", *labelled, name=f"with-{len(labelled)}") / "transfer")
        for labelled in ((), ("cousin-2",))
    )
    for column, same in zip(one, other, strict=True):
        assert np.array_equal(column, same)


def test_no_two_sources_draw_the_same_random_numbers() -> None:
    purposes = ("windows", "labelled", "transfer")
    drawn = [prepare._generator(0, purpose, number).integers(2**63) for purpose in purposes for number in range(9)]
    assert len(set(drawn)) == len(drawn)
