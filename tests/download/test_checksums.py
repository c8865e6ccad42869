import hashlib
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from simcsp.download.catalogue import SumsList
from simcsp.download.checksums import Record, published, sums_of
from simcsp.errors import InputError

if TYPE_CHECKING:
    from tests.download.conftest import Site

ABC_MD5 = "900150983cd24fb0d6963f7d28e17f72"  # RFC 1321, A.5
ABC_SHA256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1


def test_sums_are_those_of_the_standards(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert sums_of(tmp_path / "abc", {"md5", "sha256"}) == {"md5": ABC_MD5, "sha256": ABC_SHA256}


@pytest.mark.parametrize("content", [b"", b"abc", b"\0" * 3_000_000], ids=["empty", "abc", "3 MB"])
def test_the_sum_of_git_is_that_of_git(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "f").write_bytes(content)
    told = subprocess.run(["git", "hash-object", "--no-filters", "f"], cwd=tmp_path, capture_output=True, check=True)
    assert sums_of(tmp_path / "f", {"git"}) == {"git": told.stdout.decode().strip()}


def listed(site: "Site", form: str, text: str, name: str = "f.gz") -> str | None:
    site.serve("/list", text.encode())
    return published(site.remote(f"/data/{name}?download=1", SumsList(form, site.url("/list"))))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "line", [f"{ABC_MD5}  f.gz", f"{ABC_MD5} *f.gz", f"{ABC_MD5}  ./f.gz\r", f"{ABC_MD5.upper()}\tf.gz"]
)
def test_lines_of_md5sum_are_read(site: "Site", line: str) -> None:
    assert listed(site, "md5sums", f"{'0' * 32}  other.f.gz\n\n{line}\n{'1' * 32}  f.gz.tbi\n") == f"md5:{ABC_MD5}"


def test_lists_are_those_that_md5sum_writes(site: "Site", tmp_path: Path) -> None:
    (tmp_path / "f.gz").write_bytes(b"abc")
    written = subprocess.run(["md5sum", "f.gz"], cwd=tmp_path, capture_output=True, check=True)
    assert listed(site, "md5sums", written.stdout.decode()) == f"md5:{ABC_MD5}"


def test_a_record_of_zenodo_is_read(site: "Site") -> None:
    files = [{"key": "g.gz", "checksum": "md5:0"}, {"key": "f.gz", "size": 3, "checksum": f"md5:{ABC_MD5}"}]
    assert listed(site, "zenodo", json.dumps({"id": 1, "files": files})) == f"md5:{ABC_MD5}"


def test_a_folder_of_hugging_face_has_two_kinds_of_sums(site: "Site") -> None:
    git = "f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f"
    lfs = {"oid": ABC_SHA256, "size": 3, "pointerSize": 130}
    folder = [
        {"type": "file", "oid": git, "size": 3, "lfs": lfs, "path": "data/f.gz"},
        {"type": "file", "oid": git, "size": 3, "path": "data/g.gz"},
        {"type": "directory", "oid": git[::-1], "size": 0, "path": "data/g.gz"},
    ]
    assert listed(site, "huggingface", json.dumps(folder)) == f"sha256:{ABC_SHA256}"
    assert listed(site, "huggingface", json.dumps(folder), "g.gz") == f"git:{git}"


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("md5sums", f"{ABC_MD5}  g.gz\n"),
        ("md5sums", "<html>moved</html>"),
        ("md5sums", "123  f.gz"),
        ("zenodo", "<html>moved</html>"),
        ("zenodo", "[]"),
        ("zenodo", '{"files": [{"key": "f.gz"}]}'),
        ("zenodo", '{"files": [{"key": "f.gz", "checksum": "crc32:00000000"}]}'),
        ("zenodo", '{"files": [{"key": "f.gz", "checksum": null}]}'),
        ("huggingface", '{"error": "not found"}'),
        ("huggingface", "[]"),
    ],
)
def test_a_list_without_the_file_is_named(site: "Site", form: str, text: str) -> None:
    with pytest.raises(InputError, match=r"/list: this list of checksums has none of f\.gz\. The publisher"):
        listed(site, form, text)


def test_a_list_that_is_gone_is_named(site: "Site") -> None:
    with pytest.raises(InputError, match=f"{site.url('/gone')}: the server answers 404"):
        published(site.remote("/f", SumsList("md5sums", site.url("/gone"))))


def test_a_list_without_end_is_not_read_to_the_end(site: "Site", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simcsp.download.connection.LONGEST_TEXT", 1_000)
    with pytest.raises(InputError, match="it is too long"):
        listed(site, "md5sums", "x" * 100_000)


def test_a_list_cut_short_is_asked_for_again(site: "Site") -> None:
    text = f"{ABC_MD5}  f.gz\n" + "0" * 5_000
    site.serve("/cut", text.encode(), drops=[20, None])
    assert published(site.remote("/f.gz", SumsList("md5sums", site.url("/cut")))) == f"md5:{ABC_MD5}"
    assert len(site.asked) == 2


def test_a_record_outlives_the_process_and_names_its_source(site: "Site", tmp_path: Path) -> None:
    file, other = site.remote("/f"), site.remote("/g", target="y/g.bin")
    record = Record(tmp_path)
    assert record.of(file) is None
    record.add(file, ABC_SHA256, 3, None)
    record.add(other, hashlib.sha256(b"").hexdigest(), 0, "md5:d41d8cd98f00b204e9800998ecf8427e")
    again = Record(tmp_path)
    assert again.of(file) == f"sha256:{ABC_SHA256}"
    assert again.of(other) == f"sha256:{hashlib.sha256(b'').hexdigest()}"
    assert again.of(site.remote("/f", target="z")) is None


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"x": 1}', '{"x": {}}', '{"x": {"sha256": "ab"}}', '"x"', "\0"])
def test_a_damaged_record_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "checksums.json").write_text(text)
    with pytest.raises(InputError, match=r"checksums\.json: damaged record of downloads .*move it away"):
        Record(tmp_path)
