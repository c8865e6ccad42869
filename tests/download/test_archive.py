import gzip
import io
import os
import shutil
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simcsp.download.archive import unpack
from simcsp.errors import InputError

LIMIT = 1_000_000


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, mode
    return info


def written(path: Path, members: list[tuple[tarfile.TarInfo, bytes]], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_an_archive_is_unpacked_as_it_was_packed(tmp_path: Path, mode: str) -> None:
    folder = member("models", tarfile.DIRTYPE, mode=0o700)
    members = [(folder, b""), (member("models/a/config.json"), b"{}"), (member("./models/b.bin"), b"\0" * 5_000)]
    unpack(written(tmp_path / "x.tar.gz", members, mode), tmp_path / "x", LIMIT)
    assert tree(tmp_path / "x") == {"models/a/config.json": b"{}", "models/b.bin": b"\0" * 5_000}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x", "x.tar.gz"]


def test_no_file_can_be_executed_whatever_the_archive_says(tmp_path: Path) -> None:
    modes = [0o777, 0o4755, 0o2755, 0o1777, 0o000]
    members = [(member(f"f{mode:o}", mode=mode), b"#!/bin/sh\n") for mode in modes]
    unpack(written(tmp_path / "x.tar.gz", members), tmp_path / "x", LIMIT)
    assert {path.stat().st_mode & 0o7777 for path in (tmp_path / "x").iterdir()} == {0o644}


def test_links_inside_the_folder_are_kept(tmp_path: Path) -> None:
    members = [
        (member("data/real.txt"), b"content"),
        (member("data/soft", tarfile.SYMTYPE, "real.txt"), b""),
        (member("other/soft", tarfile.SYMTYPE, "../data/real.txt"), b""),
        (member("hard", tarfile.LNKTYPE, "data/real.txt"), b""),
    ]
    unpack(written(tmp_path / "x.tar.gz", members), tmp_path / "x", LIMIT)
    for name in ("data/soft", "other/soft", "hard"):
        assert (tmp_path / "x" / name).read_bytes() == b"content"


HOSTILE = {
    "absolute path": ([member("/etc/evil")], "'/etc/evil' has an absolute path"),
    "path out": ([member("../evil")], "'../evil' has a path that leads out"),
    "path out from within": ([member("a/b/../../../evil")], "leads out"),
    "path out and back": ([member("a/../../x/evil")], "leads out"),
    "folder out": ([member("../evil", tarfile.DIRTYPE)], "leads out"),
    "link out": ([member("link", tarfile.SYMTYPE, "../secret")], "'link' is a link to '../secret', outside"),
    "link out from within": ([member("a/link", tarfile.SYMTYPE, "../../secret")], "outside the folder"),
    "absolute link": ([member("link", tarfile.SYMTYPE, "/etc/passwd")], "outside the folder"),
    "hard link out": ([member("link", tarfile.LNKTYPE, "../secret")], "outside the folder"),
    "hard link out from within": ([member("a/link", tarfile.LNKTYPE, "../secret")], "outside the folder"),
    "absolute hard link": ([member("link", tarfile.LNKTYPE, "/etc/passwd")], "outside the folder"),
    "through a link": (
        [member("d", tarfile.SYMTYPE, "."), member("d/evil")],
        "'d/evil' would be written through a link",
    ),
    "through a link that comes later": ([member("d/evil"), member("d", tarfile.SYMTYPE, ".")], "through a link"),
    "through a link of another spelling": (
        [member("./d", tarfile.SYMTYPE, "e"), member("d//evil")],
        "would be written through a link",
    ),
    "in place of a link": ([member("f", tarfile.SYMTYPE, "g"), member("f")], "would be written through a link"),
    "link through a link": (
        [member("a/b", tarfile.SYMTYPE, ".."), member("link", tarfile.SYMTYPE, "a/b/../secret")],
        "through another link",
    ),
    "hard link to a link": (
        [member("soft", tarfile.SYMTYPE, "f"), member("hard", tarfile.LNKTYPE, "soft")],
        "through another link",
    ),
    "the folder itself": ([member(".", tarfile.SYMTYPE, "a"), member("b")], "through a link"),
    "device": ([member("null", tarfile.CHRTYPE)], "'null' is a device or a pipe"),
    "disk": ([member("sda", tarfile.BLKTYPE)], "is a device or a pipe"),
    "pipe": ([member("pipe", tarfile.FIFOTYPE)], "is a device or a pipe"),
}


@pytest.mark.parametrize(("members", "fault"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_archive_is_refused_by_name_and_nothing_unpacked(
    tmp_path: Path, members: list[tarfile.TarInfo], fault: str
) -> None:
    inside = tmp_path / "deep/inside"
    inside.mkdir(parents=True)
    harmless = (member("harmless"), b"content")
    archive = written(inside / "x.tar.gz", [harmless, *((info, b"") for info in members)])
    with pytest.raises(InputError, match=r"x\.tar\.gz: member .*Nothing was unpacked") as caught:
        unpack(archive, inside / "x", LIMIT)
    assert fault in str(caught.value)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [archive]


PIECES = st.sampled_from(["a", "b", "c", "..", ".", ""])
PATHS = st.lists(PIECES, min_size=1, max_size=4).map("/".join)
KINDS = st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE])


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(PATHS, KINDS, PATHS), min_size=1, max_size=5))
def test_no_archive_whatever_reaches_outside_the_folder(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[str, bytes, str]]
) -> None:
    top = tmp_path_factory.mktemp("top")
    inside = top / "m/n/o/p/q"
    inside.mkdir(parents=True)
    members = [(member(name, kind, link), b"x" if kind == tarfile.REGTYPE else b"") for name, kind, link in entries]
    archive = written(inside / "x.tar", members, "w")
    try:
        unpack(archive, inside / "x", LIMIT)
    except InputError:
        assert not (inside / "x").exists()
    else:
        for path in (inside / "x").rglob("*"):
            assert Path(os.path.realpath(path)).is_relative_to(inside / "x")
    outside = {path for path in top.rglob("*") if not path.is_relative_to(inside / "x")}
    assert outside == {archive, *(top / way for way in ("m", "m/n", "m/n/o", "m/n/o/p", "m/n/o/p/q"))}
    shutil.rmtree(top)


@pytest.mark.parametrize("count", [1, 200])
def test_an_archive_that_swells_is_refused(tmp_path: Path, count: int) -> None:
    members = [(member(f"f{number}"), b"\0" * (LIMIT // count)) for number in range(count)]
    archive = written(tmp_path / "x.tar.gz", members)
    assert archive.stat().st_size < LIMIT / 20
    with pytest.raises(InputError, match=r"x\.tar\.gz: unpacks to more than 1\.0 MB, which is more than it should"):
        unpack(archive, tmp_path / "x", LIMIT)
    assert not (tmp_path / "x").exists()
    unpack(archive, tmp_path / "x", LIMIT + 512 * count)


def test_an_archive_of_countless_empty_files_is_refused(tmp_path: Path) -> None:
    archive = written(tmp_path / "x.tar.gz", [(member(f"f{number}"), b"") for number in range(100)])
    with pytest.raises(InputError, match="unpacks to more than"):
        unpack(archive, tmp_path / "x", 100 * 512 - 1)
    unpack(archive, tmp_path / "x", 100 * 512)


def test_an_archive_that_swells_behind_its_end_is_refused(tmp_path: Path) -> None:
    archive = written(tmp_path / "x.tar.gz", [(member("f"), b"content")])
    archive.write_bytes(archive.read_bytes() + gzip.compress(b"\0" * (LIMIT + 2**15)))
    with pytest.raises(InputError, match="unpacks to more than"):
        unpack(archive, tmp_path / "x", LIMIT)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz", ""])
@pytest.mark.parametrize("part", [0.0, 0.3, 0.7])
def test_a_truncated_archive_is_refused_and_nothing_unpacked(tmp_path: Path, suffix: str, part: float) -> None:
    members = [(member(f"f{number}"), os.urandom(20_000)) for number in range(5)]
    archive = written(tmp_path / "x.tar.gz", members, f"w:{suffix}")
    whole = archive.read_bytes()
    archive.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(InputError, match=r"x\.tar\.gz: damaged archive \(.*Delete it and run the same command again"):
        unpack(archive, tmp_path / "x", LIMIT)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.tar.gz"]


def test_an_archive_with_a_flipped_byte_is_refused(tmp_path: Path) -> None:
    archive = written(tmp_path / "x.tar.gz", [(member("f"), bytes(range(256)) * 100)])
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 0xFF
    archive.write_bytes(content)
    with pytest.raises(InputError, match="damaged archive"):
        unpack(archive, tmp_path / "x", LIMIT)
    assert not (tmp_path / "x").exists()


def test_a_disk_without_room_for_the_content_is_noticed_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = written(tmp_path / "x.tar.gz", [(member("f"), b"\0" * 50_000)])
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=50_000))
    with pytest.raises(InputError, match="51 kB are needed on this disk, 50 kB are free"):
        unpack(archive, tmp_path / "x", LIMIT)
    assert not (tmp_path / "x").exists()
