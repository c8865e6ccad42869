"""Published checkpoints by name, from a server on this machine."""

import hashlib
import io
import json
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.download.conftest import Site, running_site
from tests.model.published_layout import plain_model, write_old_folder

from simcsp import storage
from simcsp.config import EncoderConfig
from simcsp.download.catalogue import SETS, PublicSet, RemoteFile
from simcsp.errors import InputError
from simcsp.model import splicebert
from simcsp.model.encoder import load_checkpoint, load_encoder
from simcsp.model.splicebert import PUBLISHED, initial_folder, published_checkpoint, published_name

NAME = "splicebert.510nt"
SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


@pytest.fixture
def no_network() -> None:
    """Instead of the one that refuses every connection: these tests talk to this machine."""


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    with running_site() as server:
        yield server


@pytest.fixture
def archive(tmp_path: Path) -> bytes:
    """The published archive, of a small model."""
    folder = write_old_folder(tmp_path / "packed" / "SpliceBERT.510nt", plain_model(**SMALL))
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(folder, arcname="models/SpliceBERT.510nt")
    return packed.getvalue()


@pytest.fixture
def served(site: Site, archive: bytes, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A server with the archive in the place of Zenodo's."""
    published = SETS["splicebert-models"]
    checksum = f"md5:{hashlib.md5(archive, usedforsecurity=False).hexdigest()}"
    target = published.files[0].target
    file = RemoteFile(
        url=site.url("/models.tar.gz?download=1"),
        target=target,
        size=len(archive),
        checksum=checksum,
    )
    about = {name: getattr(published, name) for name in ("title", "use", "licence", "licence_url", "citation")}
    monkeypatch.setitem(SETS, "splicebert-models", PublicSet(files=(file,), unpacked=10**9, **about))
    small = plain_model(**SMALL).num_parameters()
    monkeypatch.setitem(splicebert.PUBLISHED, NAME, PUBLISHED[NAME]._replace(parameters=small))
    site.serve("/models.tar.gz", archive)
    splicebert._claim.cache_clear()
    splicebert._say_lengths.cache_clear()
    return site


@pytest.mark.parametrize(
    ("init", "name"),
    [
        ("510nt", "splicebert.510nt"),
        ("1024nt", "splicebert.1024nt"),
        ("splicebert-human.510nt", "splicebert-human.510nt"),
        ("SpliceBERT-human.510nt", "splicebert-human.510nt"),
        ("SpliceBERT.1024nt", "splicebert.1024nt"),
        ("human.510nt", "splicebert-human.510nt"),
        ("runs/a/pretrain/baseline", None),
        ("./510nt", None),
        ("scratch", None),
    ],
)
def test_checkpoints_are_known_by_name(init: str, name: str | None) -> None:
    assert published_name(init) == name
    if name is None:
        assert initial_folder(init) == Path(init)


def test_a_name_is_fetched_and_converted_once(
    served: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(splicebert, "_RAW", tmp_path / "raw")
    model = load_encoder(EncoderConfig(init="510nt"), 512, seed=0)
    assert model.config.num_hidden_layers == 2
    printed = capsys.readouterr().out
    assert "licence  CC-BY-4.0 (https://creativecommons.org/licenses/by/4.0/)" in printed
    assert "checksum verified" in printed
    assert "converted to" in printed
    served.files.clear()
    load_encoder(EncoderConfig(init="SpliceBERT.510nt"), 512, seed=0)
    assert capsys.readouterr().out == ""
    assert len(served.asked) == 1
    folder = tmp_path / "raw" / "splicebert" / NAME
    assert storage.damaged_files(folder) == []
    origin = json.loads((folder / "source.json").read_text())
    assert (origin["name"], origin["licence"], origin["trained on nt"]) == (NAME, "CC-BY-4.0", [510, 510])


def test_a_broken_download_goes_on_where_it_broke_off(
    served: Site, archive: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    served.files["/models.tar.gz"].drops = [len(archive) // 2, None]
    published_checkpoint(NAME, tmp_path / "raw")
    assert served.ranges("/models.tar.gz?download=1") == [None, f"bytes={len(archive) // 2}-"]


def test_an_archive_that_is_not_the_published_one_is_refused(served: Site, archive: bytes, tmp_path: Path) -> None:
    served.files["/models.tar.gz"].content = archive[:-1] + bytes([archive[-1] ^ 1])
    with pytest.raises(InputError, match=r"wrong md5 of the download"):
        published_checkpoint(NAME, tmp_path / "raw")
    assert not (tmp_path / "raw" / "splicebert").exists()


def test_a_checkpoint_that_the_archive_lacks_or_of_another_size_is_refused(
    served: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "raw"
    with pytest.raises(InputError, match=r"the archive holds no checkpoint SpliceBERT-human\.510nt"):
        published_checkpoint("splicebert-human.510nt", root)
    monkeypatch.setitem(splicebert.PUBLISHED, NAME, PUBLISHED[NAME]._replace(parameters=19_447_306))
    with pytest.raises(InputError, match=r"has [\d,]+ parameters, published are 19,447,306"):
        published_checkpoint(NAME, root)
    assert not (root / "splicebert" / NAME).exists()


def test_a_length_that_a_checkpoint_was_not_trained_on_is_said_once(
    served: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = published_checkpoint(NAME, tmp_path / "raw")
    capsys.readouterr()
    load_checkpoint(folder, dropout=0.1, tokens=512)
    assert capsys.readouterr().out == ""
    for _ in range(2):
        load_checkpoint(folder, dropout=0.1, tokens=402)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("warning: splicebert.510nt was trained on windows of 510 nt only, these have 400 nt;")


@pytest.mark.parametrize(("length", "warned"), [(63, True), (64, False), (510, False), (1024, False)])
def test_the_checkpoint_for_many_lengths_is_content_with_them(
    length: int, warned: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    splicebert._say_lengths.cache_clear()
    splicebert._say_lengths("splicebert.1024nt", length)
    assert ("64 to 1024 nt" in capsys.readouterr().out) == warned


def test_an_unknown_folder_names_the_known_checkpoints(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"init": str(tmp_path / "splicebrt")}
    with pytest.raises(InputError, match=r"no checkpoint here .+ known by name: splicebert\.510nt, splicebert\.1024nt"):
        load_encoder(EncoderConfig(**settings), 22, seed=0)
