"""Files as they are found: plain or gzip, any kind of line ends, with or without a byte order mark."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from simcsp.errors import InputError

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
UNPACKING_ERRORS = (EOFError, gzip.BadGzipFile, zlib.error)
_GZIP = b"\x1f\x8b"


def require_readable(path: Path, root: Path | None = None) -> None:
    """Check that a path is a file that this user may read.

    Args:
        path: of the file.
        root: `data.root`, where a configuration names the file; an error then says that its paths start there.

    Raises:
        InputError: if it is missing, a folder, or may not be read.
    """
    try:
        if path.is_dir():
            raise InputError("this is a folder, a file is needed", path=path)
        with path.open("rb"):
            pass
    except FileNotFoundError:
        hint = "data/README.md says where public data sets come from"
        if root is not None:
            hint = f"Relative paths of a configuration start from data.root, here {root.resolve()}. {hint}"
        raise InputError("no such file", path=path, hint=hint) from None
    except (PermissionError, NotADirectoryError) as error:
        raise InputError(f"the file cannot be read ({error.strerror or 'permission denied'})", path=path) from error


def open_bytes(path: Path) -> BinaryIO:
    """Open a plain or gzip file for reading bytes; the content decides, not the name.

    Raises:
        InputError: as :func:`require_readable`.
    """
    require_readable(path)
    return cast("BinaryIO", gzip.open(path)) if is_gzip(path) else path.open("rb")


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines of a plain or gzip text file with their 1-based numbers.

    LF, CRLF or CR end a line, and a leading byte order mark is passed over.

    Raises:
        InputError: if the file is missing, truncated or not UTF-8.
    """
    number = 0
    with open_bytes(path) as stream:
        while raw := _next_line(stream, path):
            if not number:
                raw = raw.removeprefix(BYTE_ORDER_MARK)
            body = raw.rstrip(b"\r\n")
            for piece in body.split(b"\r") if b"\r" in body else (body,):
                number += 1
                try:
                    line = piece.decode("utf-8")
                except UnicodeDecodeError as error:
                    raise InputError("not UTF-8 text", path=path, line=number) from error
                yield number, line


def read_start(path: Path, size: int) -> bytes:
    """The first ``size`` bytes of a plain or gzip file, without a byte order mark.

    Raises:
        InputError: if the file is missing or truncated.
    """
    with open_bytes(path) as stream:
        try:
            return stream.read(size).removeprefix(BYTE_ORDER_MARK)
        except UNPACKING_ERRORS as error:
            raise truncated(path) from error


def is_gzip(path: Path) -> bool:
    """Whether a file begins as gzip does."""
    with path.open("rb") as stream:
        return stream.read(len(_GZIP)) == _GZIP


def truncated(path: Path) -> InputError:
    """The error of a packed file that cannot be unpacked to its end."""
    return InputError("the gzip file is truncated or damaged", path=path, hint="Fetch it again")


def _next_line(stream: BinaryIO, path: Path) -> bytes:
    try:
        return stream.readline()
    except UNPACKING_ERRORS as error:
        raise truncated(path) from error
