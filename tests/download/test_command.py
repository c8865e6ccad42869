import hashlib
import io
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from simcsp.console import run_script
from simcsp.download.catalogue import SETS, PublicSet, RemoteFile
from simcsp.download.command import download, fetch_set
from simcsp.errors import InputError

if TYPE_CHECKING:
    from tests.download.conftest import Site


def public(*files: RemoteFile, **more: Any) -> PublicSet:
    about = {"title": "Two files", "use": "tests", "licence": "CC0", "licence_url": "https://a.b/c", "citation": "Me"}
    return PublicSet(files=files, **{**about, **more})


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def archive_of(names: list[str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 5
            tar.addfile(info, io.BytesIO(b"12345"))
    return packed.getvalue()


def test_the_list_has_a_line_for_every_set(capsys: pytest.CaptureFixture[str]) -> None:
    download(["--list"])
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["name", "size", "licence", "what", "for"]
    assert [line.split()[0] for line in lines] == list(SETS)
    line = next(line for line in lines if line.startswith("splicebert-models"))
    assert line.split(maxsplit=4) == ["splicebert-models", "218", "MB", "CC-BY-4.0", SETS["splicebert-models"].use]
    assert max(len(line) for line in (head, *lines)) < 120
    for name in ("imdb", "sst2"):
        (line,) = (line for line in lines if line.startswith(name))
        assert line.endswith("  not stated: download, do not redistribute  labelled text, to test SCCS and NMI on")


@pytest.mark.parametrize(
    ("name", "hint"),
    [("hg37", "Did you mean 'hg19'? "), ("splicebert_models", "Did you mean 'splicebert-models'? "), ("zzzz", "")],
)
def test_an_unknown_name_is_answered_with_the_nearest(tmp_path: Path, name: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        download([name, "--root", str(tmp_path / "raw")])
    assert str(caught.value).startswith(f"no data set is called {name!r}. ")
    assert str(caught.value).endswith("--list shows all.")
    assert not hint or "Did you mean" in str(caught.value)
    assert not (tmp_path / "raw").exists()


def test_no_name_is_an_error_of_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        download([])
    assert caught.value.code == 2
    assert "the NAME of a data set is missing; --list shows all" in capsys.readouterr().err


def test_licence_and_size_are_said_before_anything_is_fetched(
    site: "Site", tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError):
        fetch_set("two", public(site.remote("/missing", size=3_000_000), note="Mind the gap."), tmp_path)
    told = capsys.readouterr().out
    for words in ("two: Two files", "CC0 (https://a.b/c)", "Me", "3.0 MB", "Mind the gap.", "no checksum is published"):
        assert words in told


def test_every_file_of_a_set_is_fetched_once(site: "Site", tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site.serve("/f", b"one")
    site.serve("/g", b"two")
    two = public(site.remote("/f", sha256(b"one"), "two/f"), site.remote("/g", None, "two/deep/g"))
    fetch_set("two", two, tmp_path)
    told = capsys.readouterr().out
    assert f"{tmp_path / 'two/f'} is complete, checksum verified" in told
    assert f"{tmp_path / 'two/deep/g'} is complete, checksum recorded" in told
    fetch_set("two", two, tmp_path)
    assert capsys.readouterr().out.count("was there already, checksum verified") == 2
    assert [path for path, _ in site.asked] == ["/f", "/g"]
    assert (tmp_path / "two/f").read_bytes() == b"one"
    assert (tmp_path / "two/deep/g").read_bytes() == b"two"


def test_a_set_larger_than_the_disk_is_not_begun(site: "Site", tmp_path: Path) -> None:
    with pytest.raises(InputError, match="GB are needed on this disk"):
        fetch_set("two", public(site.remote("/f", size=10**18)), tmp_path)
    assert site.asked == []


def test_an_archive_is_unpacked_and_may_then_be_deleted(
    site: "Site", tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = archive_of(["models/a", "models/b"])
    site.serve("/m", content)
    packed = public(site.remote("/m", sha256(content), "packed.tar.gz"), unpacked=10_000)
    fetch_set("packed", packed, tmp_path)
    assert (tmp_path / "packed/models/b").read_bytes() == b"12345"
    assert f"{tmp_path / 'packed.tar.gz'} may be deleted" in capsys.readouterr().out
    (tmp_path / "packed.tar.gz").unlink()
    fetch_set("packed", packed, tmp_path)
    assert len(site.asked) == 1
    assert "is complete" in capsys.readouterr().out


def test_a_hostile_archive_is_kept_packed(site: "Site", tmp_path: Path) -> None:
    content = archive_of(["good", "../evil"])
    site.serve("/m", content)
    packed = public(site.remote("/m", None, "packed.tar.gz"), unpacked=10_000)
    for _ in range(2):
        with pytest.raises(InputError, match=r"packed\.tar\.gz: member '\.\./evil' has a path that leads out"):
            fetch_set("packed", packed, tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["checksums.json", "packed.tar.gz"]
    assert len(site.asked) == 1


def test_a_folder_of_the_user_is_not_touched(site: "Site", tmp_path: Path) -> None:
    (tmp_path / "packed").mkdir()
    with pytest.raises(InputError, match=r"packed: this folder was not unpacked here\. Move it away"):
        fetch_set("packed", public(site.remote("/m", None, "packed.tar.gz"), unpacked=10_000), tmp_path)
    assert site.asked == []


def test_the_command_fetches_what_it_is_told(
    site: "Site", tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site.serve("/f", b"one")
    monkeypatch.setitem(SETS, "two", public(site.remote("/f", sha256(b"one"), "two/f")))
    with pytest.raises(SystemExit) as caught:
        run_script(lambda: download(["two", "--root", str(tmp_path / "new/raw")]))
    assert caught.value.code == 0
    assert (tmp_path / "new/raw/two/f").read_bytes() == b"one"
    assert capsys.readouterr().out.splitlines()[0] == "two: Two files"


def test_two_downloads_to_one_folder_do_not_mix(site: "Site", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SETS, "two", public(site.remote("/f", None, "two/f")))
    holder = "import sys, pathlib, simcsp.runs; simcsp.runs.lock(pathlib.Path(sys.argv[1])); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(InputError, match="another process is writing here"):
            download(["two", "--root", str(tmp_path)])
        other.communicate(b"\n")
    assert site.asked == []


def test_a_root_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for root in (tmp_path / "file", tmp_path / "file/raw"):
        with pytest.raises(InputError, match=rf"{root}: cannot be written to \(.*Give another folder with --root"):
            download(["mane", "--root", str(root)])
