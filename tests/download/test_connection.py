import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from simcsp.download import connection
from simcsp.download.connection import ask, read_text
from simcsp.errors import InputError

if TYPE_CHECKING:
    from tests.download.conftest import Site


def test_a_redirect_is_followed_and_what_was_asked_for_goes_along(site: "Site") -> None:
    site.serve("/old", b"", redirect=site.url("/new"))
    site.serve("/new", b"content")
    with ask(site.url("/old"), {"Range": "bytes=3-"}) as answer:
        assert answer.read() == b"tent"
    assert site.ranges("/new") == ["bytes=3-"]


@pytest.mark.parametrize("target", ["ftp://127.0.0.1/f", "file:///etc/passwd", "data:,x"])
def test_a_redirect_leads_to_no_other_protocol(site: "Site", target: str) -> None:
    site.serve("/f", b"", redirect=target)
    with pytest.raises(InputError, match=r"/f: the server (redirects to|answers 302)"):
        ask(site.url("/f"))


def test_redirects_in_a_circle_end_in_one_sentence(site: "Site") -> None:
    site.serve("/f", b"", redirect=site.url("/f"))
    with pytest.raises(InputError, match=r"/f: the server answers 302 .*infinite loop") as caught:
        ask(site.url("/f"))
    assert "\n" not in str(caught.value)
    assert len(site.asked) <= 11


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/f", "data:,x"])
def test_nothing_but_http_is_asked(url: str) -> None:
    with pytest.raises(InputError, match="cannot be reached"):
        read_text(url)


def test_nothing_about_the_user_is_sent(site: "Site", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HF_TOKEN", "secret")
    site.serve("/old", b"", redirect=site.url("/new"), headers={"Set-Cookie": "session=1"})
    site.serve("/new", b"content")
    for _ in range(2):
        ask(site.url("/old")).close()
    assert len(site.asked) == 4
    for _, headers in site.asked:
        assert set(headers) == {"Accept-Encoding", "User-Agent", "Host", "Connection"}
        assert headers["User-Agent"].startswith("SimCSP/")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of 127.0.0.1 that signs itself, with its key."""
    path = tmp_path / "server.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path), "-out", str(tmp_path / "cert.pem")]
    subprocess.run(command, check=True, capture_output=True)
    path.write_text(path.read_text() + (tmp_path / "cert.pem").read_text())
    return path


@pytest.fixture
def encrypted(site: "Site", certificate: Path) -> Iterator["Site"]:
    """Another server, that speaks TLS."""
    server = type(site)()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def secure(server: "Site", path: str) -> str:
    return server.url(path).replace("http:", "https:")


def test_a_certificate_nobody_vouches_for_is_refused_at_once(encrypted: "Site", waits: list[float]) -> None:
    with pytest.raises(InputError, match=r"the server's certificate is not valid \(self.signed certificate\)"):
        ask(secure(encrypted, "/f"))
    assert waits == []
    assert encrypted.asked == []


def test_a_redirect_never_leaves_encryption(
    site: "Site", encrypted: "Site", certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setattr(connection, "_OPENER", connection._opener())
    site.serve("/plain", b"content", redirect=secure(encrypted, "/f"))
    encrypted.serve("/f", b"content")
    encrypted.serve("/down", b"", redirect=site.url("/f"))
    site.serve("/f", b"content")
    with ask(site.url("/plain")) as answer:
        assert answer.read() == b"content"
    with pytest.raises(InputError, match=f"redirects to {site.url('/f')}, which is not encrypted"):
        ask(secure(encrypted, "/down"))
    assert "/f" not in [path for path, _ in site.asked]
