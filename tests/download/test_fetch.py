import errno
import hashlib
import io
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simcsp.console import run_script
from simcsp.download import connection, fetch
from simcsp.download.checksums import Record
from simcsp.download.fetch import in_words
from simcsp.errors import InputError

if TYPE_CHECKING:
    from tests.download.conftest import Site

    from simcsp.download.catalogue import RemoteFile

CONTENT = bytes(range(256)) * 40  # 10,240 bytes; every place differs from its neighbours
OTHER = CONTENT[::-1]
TRIES = len(connection.WAITS) + 1


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def get(file: "RemoteFile", root: Path) -> bool:
    return fetch.fetch(file, root, Record(root))


def run(file: "RemoteFile", root: Path) -> object:
    """Status of a script that fetches a file."""
    with pytest.raises(SystemExit) as caught:
        run_script(lambda: _ignore(get(file, root)))
    return caught.value.code


def _ignore(value: object) -> None:
    """For functions that are called for what they do."""


def left(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


WHOLE = ["checksums.json", "x/file.bin"]
BEGUN = ["x/file.bin.partial", "x/file.bin.partial.json"]


def test_a_file_arrives_whole_recorded_and_not_executable(site: "Site", tmp_path: Path) -> None:
    site.serve("/f", CONTENT)
    assert get(site.remote("/f", sha256(CONTENT)), tmp_path)
    assert left(tmp_path) == WHOLE
    assert (tmp_path / "x/file.bin").read_bytes() == CONTENT
    assert (tmp_path / "x/file.bin").stat().st_mode & 0o111 == 0
    entry = json.loads((tmp_path / "checksums.json").read_text())["x/file.bin"]
    assert entry["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert entry["bytes"] == len(CONTENT)
    assert entry["url"] == site.url("/f")


def test_an_empty_file_is_a_file(site: "Site", tmp_path: Path) -> None:
    site.serve("/f", b"")
    assert get(site.remote("/f"), tmp_path)
    assert (tmp_path / "x/file.bin").read_bytes() == b""
    assert left(tmp_path) == WHOLE


def test_a_finished_file_is_not_asked_for_again(site: "Site", tmp_path: Path) -> None:
    site.serve("/f", CONTENT)
    get(site.remote("/f"), tmp_path)
    site.asked.clear()
    assert not get(site.remote("/f"), tmp_path)
    assert site.asked == []


def test_a_dropped_connection_is_resumed_where_it_broke(site: "Site", tmp_path: Path, waits: list[float]) -> None:
    site.serve("/f", CONTENT, drops=[4_000, 1_000])
    get(site.remote("/f"), tmp_path)
    assert site.ranges("/f") == [None, "bytes=4000-", "bytes=5000-"]
    assert [headers.get("If-Range") for _, headers in site.asked] == [None, '"v1"', '"v1"']
    assert (tmp_path / "x/file.bin").read_bytes() == CONTENT
    assert waits == [1.0, 1.0]


def test_patience_begins_anew_with_every_bit_of_progress(site: "Site", tmp_path: Path) -> None:
    site.serve("/f", CONTENT, drops=[100] * (3 * TRIES))
    get(site.remote("/f"), tmp_path)
    assert len(site.asked) == 3 * TRIES + 1
    assert (tmp_path / "x/file.bin").read_bytes() == CONTENT


def test_without_progress_it_gives_up_and_keeps_what_it_has(site: "Site", tmp_path: Path, waits: list[float]) -> None:
    site.serve("/f", CONTENT, drops=[700] + [0] * 99)
    with pytest.raises(InputError, match=rf"/f: the connection broke.*, {TRIES} times in a row\. .*run the same comm"):
        get(site.remote("/f"), tmp_path)
    assert waits == list(connection.WAITS)
    assert left(tmp_path) == BEGUN
    assert (tmp_path / BEGUN[0]).read_bytes() == CONTENT[:700]


def test_a_later_run_goes_on_where_an_earlier_one_gave_up(site: "Site", tmp_path: Path) -> None:
    served = site.serve("/f", CONTENT, drops=[700] + [0] * 99)
    with pytest.raises(InputError):
        get(site.remote("/f"), tmp_path)
    served.drops, before = [], len(site.asked)
    get(site.remote("/f"), tmp_path)
    assert site.ranges("/f")[before:] == ["bytes=700-"]
    assert (tmp_path / "x/file.bin").read_bytes() == CONTENT


def test_a_server_that_ignores_ranges_is_taken_from_the_start(site: "Site", tmp_path: Path) -> None:
    site.serve("/f", CONTENT, drops=[4_000], ranges=False)
    get(site.remote("/f"), tmp_path)
    assert site.ranges("/f") == [None, "bytes=4000-"]
    assert (tmp_path / "x/file.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("if_range", [True, False], ids=["server knows If-Range", "server ignores If-Range"])
def test_a_file_that_changed_meanwhile_is_taken_from_the_start(site: "Site", tmp_path: Path, *, if_range: bool) -> None:
    served = site.serve("/f", CONTENT, drops=[4_000] + [0] * 99)
    with pytest.raises(InputError):
        get(site.remote("/f"), tmp_path)
    served.content, served.etag, served.if_range, served.drops = OTHER, '"v2"', if_range, []
    get(site.remote("/f"), tmp_path)
    assert (tmp_path / "x/file.bin").read_bytes() == OTHER


def test_a_file_that_shrank_meanwhile_is_taken_from_the_start(site: "Site", tmp_path: Path) -> None:
    served = site.serve("/f", CONTENT, drops=[4_000] + [0] * 99)
    with pytest.raises(InputError):
        get(site.remote("/f"), tmp_path)
    served.content, served.if_range, served.drops = b"short", False, []
    before = len(site.asked)
    get(site.remote("/f"), tmp_path)
    assert site.ranges("/f")[before:] == ["bytes=4000-", None]
    assert (tmp_path / "x/file.bin").read_bytes() == b"short"


def test_a_file_that_grew_under_the_same_version_is_taken_from_the_start(site: "Site", tmp_path: Path) -> None:
    served = site.serve("/f", CONTENT, drops=[4_000] + [0] * 99)
    with pytest.raises(InputError):
        get(site.remote("/f"), tmp_path)
    served.content, served.drops = OTHER + b"more", []
    get(site.remote("/f"), tmp_path)
    assert (tmp_path / "x/file.bin").read_bytes() == OTHER + b"more"


def test_a_server_that_goes_on_elsewhere_is_taken_from_the_start(site: "Site", tmp_path: Path) -> None:
    site.serve("/f", CONTENT, drops=[4_000], shift=1_000)
    get(site.remote("/f"), tmp_path)
    assert site.ranges("/f") == [None, "bytes=4000-", None]
    assert (tmp_path / "x/file.bin").read_bytes() == CONTENT


def test_a_date_serves_where_there_is_no_etag(site: "Site", tmp_path: Path) -> None:
    date = "Wed, 21 Oct 2015 07:28:00 GMT"
    site.serve("/f", CONTENT, etag=None, modified=date, drops=[4_000])
    get(site.remote("/f"), tmp_path)
    assert site.ranges("/f") == [None, "bytes=4000-"]
    assert site.asked[1][1]["If-Range"] == date


@pytest.mark.parametrize("etag", ['W/"v1"', None])
def test_without_a_strong_version_nothing_is_pieced_together(site: "Site", tmp_path: Path, etag: str | None) -> None:
    site.serve("/f", CONTENT, etag=etag, drops=[4_000])
    get(site.remote("/f"), tmp_path)
    assert site.ranges("/f") == [None, None]
    assert (tmp_path / "x/file.bin").read_bytes() == CONTENT


def test_a_part_of_another_address_is_not_gone_on_with(site: "Site", tmp_path: Path) -> None:
    site.serve("/old", OTHER, drops=[4_000] + [0] * 99)
    site.serve("/new", CONTENT)
    with pytest.raises(InputError):
        get(site.remote("/old"), tmp_path)
    get(site.remote("/new"), tmp_path)
    assert site.ranges("/new") == [None]
    assert (tmp_path / "x/file.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("note", ["{", "[]", "{}", '{"url": 1}'])
def test_a_part_with_a_damaged_note_is_not_gone_on_with(site: "Site", tmp_path: Path, note: str) -> None:
    site.serve("/f", CONTENT)
    (tmp_path / "x").mkdir()
    (tmp_path / BEGUN[0]).write_bytes(OTHER[:100])
    (tmp_path / BEGUN[1]).write_text(note)
    get(site.remote("/f"), tmp_path)
    assert (tmp_path / "x/file.bin").read_bytes() == CONTENT
    assert left(tmp_path) == WHOLE


def test_a_complete_part_only_has_to_be_verified(site: "Site", tmp_path: Path) -> None:
    site.serve("/f", CONTENT)
    (tmp_path / "x").mkdir()
    (tmp_path / BEGUN[0]).write_bytes(CONTENT)
    note = {"url": site.url("/f"), "version": '"v1"', "total": len(CONTENT)}
    (tmp_path / BEGUN[1]).write_text(json.dumps(note))
    get(site.remote("/f", sha256(CONTENT)), tmp_path)
    assert site.asked == []
    assert left(tmp_path) == WHOLE


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    drops=st.lists(st.integers(0, 12_000), max_size=4),
    ranges=st.booleans(),
    etag=st.sampled_from(['"v1"', None]),
    length=st.sampled_from([None, "none"]),
)
def test_however_often_it_breaks_the_content_is_right(
    site: "Site",
    tmp_path_factory: pytest.TempPathFactory,
    drops: list[int | None],
    *,
    ranges: bool,
    etag: str | None,
    length: str | None,
) -> None:
    root = tmp_path_factory.mktemp("root")
    site.serve("/f", CONTENT, drops=drops, ranges=ranges, etag=etag, length=length)
    get(site.remote("/f"), root)
    assert (root / "x/file.bin").read_bytes() == CONTENT
    assert left(root) == WHOLE


@pytest.mark.parametrize("stated", [len(CONTENT) + 1, 10 * len(CONTENT)])
def test_less_than_the_stated_length_is_no_file(site: "Site", tmp_path: Path, stated: int) -> None:
    site.serve("/f", CONTENT, length=stated, ranges=False)
    with pytest.raises(InputError, match=f"the connection broke after 10,240 of {stated:,} bytes"):
        get(site.remote("/f"), tmp_path)
    assert left(tmp_path) == BEGUN


def test_chunks_that_end_early_are_no_file(site: "Site", tmp_path: Path) -> None:
    site.serve("/f", CONTENT, length="none", drops=[4_000] * 99)
    with pytest.raises(InputError, match="the connection broke"):
        get(site.remote("/f"), tmp_path)
    assert "x/file.bin" not in left(tmp_path)


def test_with_neither_length_nor_checksum_a_part_could_pass_for_the_whole(site: "Site", tmp_path: Path) -> None:
    site.serve("/f", CONTENT, length="none", protocol="HTTP/1.0")
    with pytest.raises(InputError, match="neither length nor checksum is known"):
        get(site.remote("/f"), tmp_path)
    get(site.remote("/f", sha256(CONTENT)), tmp_path)
    assert (tmp_path / "x/file.bin").read_bytes() == CONTENT


def test_wrong_bytes_are_thrown_away_and_both_sums_named(site: "Site", tmp_path: Path) -> None:
    site.serve("/f", OTHER)
    with pytest.raises(InputError) as caught:
        get(site.remote("/f", sha256(CONTENT)), tmp_path)
    assert str(caught.value).startswith("x/file.bin: wrong sha256 of the download: ")
    assert hashlib.sha256(OTHER).hexdigest() in str(caught.value)
    assert hashlib.sha256(CONTENT).hexdigest() in str(caught.value)
    assert left(tmp_path) == []


def test_wrong_bytes_end_the_script_with_status_1(
    site: "Site", tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site.serve("/f", OTHER)
    assert run(site.remote("/f", "md5:" + "0" * 32), tmp_path) == 1
    assert "error: x/file.bin: wrong md5" in capsys.readouterr().err


def test_the_first_download_decides_where_nothing_is_published(site: "Site", tmp_path: Path) -> None:
    served = site.serve("/f", CONTENT)
    get(site.remote("/f"), tmp_path)
    recorded = (tmp_path / "checksums.json").read_text()
    (tmp_path / "x/file.bin").unlink()
    served.content, served.etag = OTHER, '"v2"'
    with pytest.raises(InputError, match=r"recorded in checksums\.json at the first download: .*delete its entry"):
        get(site.remote("/f"), tmp_path)
    assert left(tmp_path) == ["checksums.json"]
    served.content = CONTENT
    get(site.remote("/f"), tmp_path)
    assert (tmp_path / "x/file.bin").read_bytes() == CONTENT
    assert (tmp_path / "checksums.json").read_text() == recorded


def test_a_file_of_the_user_is_never_overwritten(site: "Site", tmp_path: Path) -> None:
    site.serve("/f", CONTENT)
    (tmp_path / "x").mkdir()
    (tmp_path / "x/file.bin").write_text("mine")
    with pytest.raises(InputError, match=r"was not downloaded here, and no checksum is known\. Move it away"):
        get(site.remote("/f"), tmp_path)
    with pytest.raises(InputError, match=f"has sha256 {hashlib.sha256(b'mine').hexdigest()}, expected"):
        get(site.remote("/f", sha256(CONTENT)), tmp_path)
    assert (tmp_path / "x/file.bin").read_text() == "mine"
    assert site.asked == []


def test_a_published_file_that_was_fetched_by_hand_is_taken_as_it_is(site: "Site", tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x/file.bin").write_bytes(CONTENT)
    assert not get(site.remote("/f", sha256(CONTENT)), tmp_path)
    assert site.asked == []
    assert left(tmp_path) == WHOLE


def test_a_finished_file_that_was_changed_afterwards_is_noticed(site: "Site", tmp_path: Path) -> None:
    site.serve("/f", CONTENT)
    get(site.remote("/f"), tmp_path)
    (tmp_path / "x/file.bin").write_bytes(OTHER)
    with pytest.raises(InputError, match="expected"):
        get(site.remote("/f"), tmp_path)


@pytest.mark.parametrize(("status", "words"), [(404, "404 Not Found"), (403, "403 Forbidden"), (401, "401 Unauth")])
def test_a_refusal_is_final_and_names_address_and_status(site: "Site", tmp_path: Path, status: int, words: str) -> None:
    site.serve("/f", CONTENT, statuses=[status])
    with pytest.raises(InputError, match=f"{site.url('/f')}: the server answers {words}"):
        get(site.remote("/f"), tmp_path)
    assert len(site.asked) == 1
    assert left(tmp_path) == []


def test_a_server_in_trouble_is_asked_again(site: "Site", tmp_path: Path, waits: list[float]) -> None:
    site.serve("/f", CONTENT, statuses=[503, 429, 500])
    get(site.remote("/f"), tmp_path)
    assert waits == list(connection.WAITS[:3])
    assert (tmp_path / "x/file.bin").read_bytes() == CONTENT


@pytest.mark.parametrize(("asked", "waited"), [("7", 7.0), ("86400", 60.0), ("0", 1.0), ("soon", 1.0)])
def test_a_server_may_ask_for_a_longer_wait_within_reason(
    site: "Site", tmp_path: Path, waits: list[float], asked: str, waited: float
) -> None:
    site.serve("/f", CONTENT, statuses=[503], headers={"Retry-After": asked})
    get(site.remote("/f"), tmp_path)
    assert waits == [waited]


def test_a_server_that_is_not_there_is_named(tmp_path: Path, site: "Site") -> None:
    file = site.remote("/f")
    site.server_close()
    site.shutdown()
    with pytest.raises(InputError, match=rf"127\.0\.0\.1.*/f cannot be reached \(.*refused\), {TRIES} times"):
        get(file, tmp_path)


@pytest.mark.parametrize("opening", [b"<!DOCTYPE html>", b"\xef\xbb\xbf  \n<html lang=en>", b"<!doctype HTML PUBLIC"])
def test_a_web_page_in_place_of_the_file_is_recognised(site: "Site", tmp_path: Path, opening: bytes) -> None:
    site.serve("/f", opening + b"<body>Please log in</body>")
    with pytest.raises(InputError, match=f"{site.url('/f')}: the server sends a web page instead of the file"):
        get(site.remote("/f", sha256(CONTENT)), tmp_path)
    assert left(tmp_path) == []


def test_what_is_declared_a_web_page_is_not_even_read(site: "Site", tmp_path: Path) -> None:
    site.serve("/f", CONTENT, content_type="text/html; charset=utf-8")
    with pytest.raises(InputError, match="a web page instead of the file"):
        get(site.remote("/f"), tmp_path)
    assert left(tmp_path) == []


def test_a_compressed_answer_is_not_taken_for_the_file(site: "Site", tmp_path: Path) -> None:
    site.serve("/f", CONTENT, headers={"Content-Encoding": "gzip"})
    with pytest.raises(InputError, match="sends the file compressed"):
        get(site.remote("/f"), tmp_path)
    assert site.asked[0][1]["Accept-Encoding"] == "identity"


def test_a_disk_without_room_is_noticed_before_a_byte_is_written(
    site: "Site", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.serve("/f", CONTENT)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=5_000))
    with pytest.raises(InputError, match=r"10 kB are needed on this disk, 5\.0 kB are free\. Free some space"):
        get(site.remote("/f"), tmp_path)
    assert (tmp_path / BEGUN[0]).read_bytes() == b""


def test_a_disk_that_fills_up_leaves_a_part_and_one_sentence(
    site: "Site", tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site.serve("/f", CONTENT, pace=0.001)
    plain = Path.open

    class Full(io.FileIO):
        def write(self, data: Any) -> int:
            room = max(0, 3_000 - self.tell())
            written = super().write(data[:room])
            if written < len(data):  # however much came at once
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return written

    def full(path: Path, mode: str = "r", *rest: Any, **more: Any) -> Any:
        return Full(path, mode) if mode == "ab" else plain(path, mode, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        assert run(site.remote("/f"), tmp_path) == 1
    assert "error: Nothing more can be written (No space left on device). Free some space" in capsys.readouterr().err
    assert left(tmp_path) == BEGUN
    begun = (tmp_path / BEGUN[0]).stat().st_size
    assert begun > 0
    get(site.remote("/f"), tmp_path)
    assert site.ranges("/f") == [None, f"bytes={begun}-"]
    assert (tmp_path / "x/file.bin").read_bytes() == CONTENT


def test_ctrl_c_leaves_a_part_to_go_on_from(
    site: "Site", tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site.serve("/f", CONTENT, pace=0.001)
    pieces = iter(range(3))

    def pressed(*arguments: Any) -> bytes:
        if next(pieces, None) is None:
            raise KeyboardInterrupt
        return connection.receive(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(fetch, "receive", pressed)
        assert run(site.remote("/f"), tmp_path) == 130
    assert "Run the same command again" in capsys.readouterr().err
    begun = (tmp_path / BEGUN[0]).stat().st_size
    assert 0 < begun < len(CONTENT)
    get(site.remote("/f"), tmp_path)
    assert site.ranges("/f") == [None, f"bytes={begun}-"]
    assert (tmp_path / "x/file.bin").read_bytes() == CONTENT


def test_a_killed_download_goes_on_where_it_was(site: "Site", tmp_path: Path) -> None:
    content = os.urandom(600_000)
    served = site.serve("/f", content, pace=0.002)
    program = (
        "import sys; from pathlib import Path\n"
        "from simcsp.download.catalogue import RemoteFile\n"
        "from simcsp.download.checksums import Record\n"
        "from simcsp.download.fetch import fetch\n"
        "file, root = RemoteFile(url=sys.argv[1], target='x/file.bin', size=1), Path(sys.argv[2])\n"
        "fetch(file, root, Record(root))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, site.url("/f"), str(tmp_path)])
    partial = tmp_path / BEGUN[0]
    while process.poll() is None and not (partial.exists() and partial.stat().st_size > 50_000):
        select.select([], [], [], 0.005)  # the tests' own sleep is switched off
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    begun = partial.stat().st_size
    assert begun < len(content)
    served.pace = 0
    get(site.remote("/f"), tmp_path)
    assert site.ranges("/f") == [None, f"bytes={begun}-"]
    assert (tmp_path / "x/file.bin").read_bytes() == content
    assert left(tmp_path) == WHOLE


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (8_600_000, "8.6 MB"), (217_605_407, "218 MB"), (8_600_000_000, "8.6 GB")],
)
def test_sizes_are_said_in_words(size: int, words: str) -> None:
    assert in_words(size) == words
