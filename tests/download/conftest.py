"""A web server on this machine that misbehaves as it is told."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import sleep  # kept for the server: the client's is switched off
from typing import Any

import pytest

from simcsp.download.catalogue import RemoteFile, SumsList


@dataclass
class Served:
    """A file and how the server treats those who ask for it.

    Attributes:
        statuses: answered first, one per request, instead of the file.
        drops: bytes after which the connection is dropped, one per request; None drops nothing.
        ranges: whether it answers Range at all.
        if_range: whether it looks at If-Range before it answers Range.
        shift: bytes before the place that was asked for, where it begins instead.
        length: Content-Length to state instead of the true one; "none" states none.
        protocol: HTTP/1.1 sends chunks if no length is stated, HTTP/1.0 closes the connection at the end.
        pace: seconds between pieces of 1,000 bytes.
    """

    content: bytes
    etag: str | None = '"v1"'
    modified: str | None = None
    statuses: list[int] = field(default_factory=list)
    drops: list[int | None] = field(default_factory=list)
    ranges: bool = True
    if_range: bool = True
    shift: int = 0
    length: int | str | None = None
    protocol: str = "HTTP/1.1"
    content_type: str = "application/octet-stream"
    headers: dict[str, str] = field(default_factory=dict)
    redirect: str | None = None
    pace: float = 0.0


class Site(ThreadingHTTPServer):
    """Files by their path, and a log of what was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, Served] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"

    def serve(self, path: str, content: bytes, **behaviour: Any) -> Served:
        self.files[path] = Served(content, **behaviour)
        return self.files[path]

    def remote(
        self, path: str, checksum: str | SumsList | None = None, target: str = "x/file.bin", size: int = 100
    ) -> RemoteFile:
        return RemoteFile(url=self.url(path), target=target, size=size, checksum=checksum)

    def ranges(self, path: str) -> list[str | None]:
        """The Range header of every request for a path."""
        return [headers.get("Range") for asked, headers in self.asked if asked == path]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are what the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        self.server.asked.append((self.path, dict(self.headers)))
        self.close_connection = True
        file = self.server.files.get(self.path.partition("?")[0])
        if file is None:
            self.send_error(404)
        elif file.statuses:
            self.send_response(file.statuses.pop(0))
            self._finish(file.headers)
        elif file.redirect is not None:
            self.send_response(302)
            self._finish({"Location": file.redirect, "Set-Cookie": "id=1", **file.headers})
        else:
            self._send(file)

    def _finish(self, headers: dict[str, str]) -> None:
        for name, value in {"Content-Length": "0", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, file: Served) -> None:
        self.protocol_version = file.protocol
        start = self._start(file)
        if start and start >= len(file.content):
            self.send_response(416)
            return self._finish({"Content-Range": f"bytes */{len(file.content)}"})
        body = file.content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(file.content) - 1}/{len(file.content)}")
        chunked = file.length == "none" and file.protocol == "HTTP/1.1"
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif file.length != "none":
            self.send_header("Content-Length", str(len(body) if file.length is None else file.length))
        stated = {"ETag": file.etag, "Last-Modified": file.modified, "Content-Type": file.content_type, **file.headers}
        for name, value in stated.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        drop = file.drops.pop(0) if file.drops else None
        sent = body if drop is None else body[:drop]
        for at in range(0, len(sent), 1000) if file.pace or chunked else (0,):
            piece = sent[at : at + 1000] if file.pace or chunked else sent
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            self.wfile.flush()
            sleep(file.pace)
        if chunked and drop is None:
            self.wfile.write(b"0\r\n\r\n")
        return None

    def _start(self, file: Served) -> int:
        wanted = self.headers.get("Range", "")
        version = self.headers.get("If-Range")
        changed = file.if_range and version is not None and version not in (file.etag, file.modified)
        if not wanted or not file.ranges or changed:
            return 0
        return int(wanted.removeprefix("bytes=").removesuffix("-")) - file.shift

    def log_message(self, *arguments: Any) -> None:
        """Tests are silent."""


@contextmanager
def running_site() -> Iterator[Site]:
    server = Site()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def site() -> Iterator[Site]:
    with running_site() as server:
        yield server


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that would have been waited; nobody waits."""
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    return waited
