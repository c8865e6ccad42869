"""Asking a web server, again if need be: redirects that stay encrypted, faults that pass, one sentence for the others.

The standard library and not a downloader from elsewhere: pooch checks sums but begins every download anew, and
requests would add a dependency and still leave resuming, and what to do about a file that changed, to be written.
No credentials are sent: none are known, and neither cookies nor .netrc are read.
"""

import http.client
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, TypeVar

from simcsp import __version__
from simcsp.console import say
from simcsp.errors import InputError

Result = TypeVar("Result")

WAITS = (1.0, 2.0, 4.0, 8.0, 15.0)  # seconds before each further try
LONGEST_WAIT = 60.0  # seconds, if a server asks for more
TIMEOUT = 60.0  # seconds without a byte
LONGEST_TEXT = 20_000_000  # bytes of a list of checksums

_PASSING = {408, 425, 429, 500, 502, 503, 504}


class PassingFaultError(Exception):
    """Something went wrong that may be right the next time.

    Args:
        problem: what, as a clause.
        wait: seconds that the server asks to wait.
    """

    def __init__(self, problem: str, wait: float = 0.0) -> None:
        super().__init__(problem)
        self.wait = min(wait, LONGEST_WAIT)


class RangeRefusedError(Exception):
    """The server has no such part of the file."""


def persist(step: Callable[[], Result], reached: Callable[[], int] = lambda: 0) -> Result:
    """Call ``step``, and again after a fault that may pass, ever more patiently.

    Args:
        step: what to do.
        reached: how far it has come; patience begins anew whenever this is more than ever before.

    Raises:
        InputError: after ``len(WAITS) + 1`` faults in a row.
    """
    best, faults = reached(), 0
    while True:
        try:
            return step()
        except PassingFaultError as fault:
            if reached() > best:
                best, faults = reached(), 0
            if faults == len(WAITS):
                hint = "Check the connection and run the same command again"
                raise InputError(f"{fault}, {faults + 1} times in a row", hint=hint) from None
            wait = max(WAITS[faults], fault.wait)
            say(f"download: {fault}; next try in {wait:.0f} s")
            time.sleep(wait)
            faults += 1


def ask(url: str, headers: dict[str, str] | None = None) -> http.client.HTTPResponse:
    """The server's answer of status 200 or 206, its body still to be read.

    Raises:
        PassingFaultError: on a broken connection or a status of a server in trouble.
        RangeRefusedError: on status 416.
        InputError: on any other status, and on a redirect that would leave https.
    """
    request = urllib.request.Request(url, headers=headers or {})  # noqa: S310 - the opener knows HTTP and HTTPS only
    try:
        answer: http.client.HTTPResponse = _OPENER.open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        with error:
            raise _of_status(url, error) from None
    except (OSError, http.client.HTTPException) as error:
        raise _of_connection(url, error) from None
    return answer


def receive(url: str, answer: http.client.HTTPResponse, most: int) -> bytes:
    """The next bytes of an answer, as soon as there are any; none at its end.

    Raises:
        PassingFaultError: on a broken connection.
    """
    try:
        return answer.read1(most)
    except (OSError, http.client.HTTPException) as error:
        raise PassingFaultError(f"{url}: the connection broke ({_words(error)})") from None


def length_of(answer: http.client.HTTPResponse) -> int | None:
    """Bytes of an answer's body, if the server states them."""
    stated = answer.headers.get("Content-Length", "")
    return int(stated) if stated.isdecimal() else None


def read_text(url: str) -> str:
    """A small text file.

    Raises:
        InputError: if it cannot be had, or is no text of a sensible size.
    """

    def whole() -> bytes:
        content = bytearray()
        with ask(url) as answer:
            length = length_of(answer)
            while len(content) != length and len(content) <= LONGEST_TEXT and (chunk := receive(url, answer, 2**16)):
                content += chunk
        if length is not None and len(content) < min(length, LONGEST_TEXT):
            raise PassingFaultError(f"{url}: the connection broke")
        return bytes(content)

    content = persist(whole)
    if len(content) > LONGEST_TEXT:
        raise InputError("no list of checksums: it is too long", path=url)
    return content.decode("utf-8", errors="replace")


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        allowed = ("https://",) if req.type == "https" else ("https://", "http://")
        if not newurl.lower().startswith(allowed):
            hint = "Nothing was fetched from there. Tell the publisher, or fetch the file by hand"
            raise InputError(f"the server redirects to {newurl}, which is not encrypted", path=req.full_url, hint=hint)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """HTTP and HTTPS only: the library's own opener would also read ``file:`` and ``ftp:``."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _SafeRedirects(),
    ):
        opener.add_handler(handler)
    opener.addheaders = [("User-Agent", f"SimCSP/{__version__}")]
    return opener


_OPENER = _opener()


def _of_status(url: str, error: urllib.error.HTTPError) -> Exception:
    if error.code == 416:
        return RangeRefusedError()
    status = " ".join(f"{error.code} {error.reason}".split()).rstrip(".")
    if error.code in _PASSING:
        asked = error.headers.get("Retry-After", "")
        return PassingFaultError(f"{url} answers {status}", wait=float(asked) if asked.isdecimal() else 0.0)
    hint = "The file may have moved, or may need a login: open the address in a browser"
    return InputError(f"the server answers {status}", path=url, hint=hint)


def _of_connection(url: str, error: Exception) -> Exception:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        hint = "Check the date of this machine, and whether a proxy answers in the server's place"
        return InputError(f"the server's certificate is not valid ({reason.verify_message})", path=url, hint=hint)
    return PassingFaultError(f"{url} cannot be reached ({_words(reason)})")


def _words(error: object) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
