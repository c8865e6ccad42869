"""Tar archives from elsewhere: looked through first, unpacked whole or not at all.

Python's ``data`` filter is applied, but not relied upon: it has had holes (CVE-2025-4517 among them) that the
supported versions of Python need not have closed.
"""

import errno
import lzma
import posixpath
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from simcsp import storage
from simcsp.console import progress
from simcsp.download.fetch import in_words, require_space
from simcsp.errors import InputError

_HEADER = 512  # bytes that a member without content takes in the archive
# What gzip and bz2 raise has no number; the others come from members whose paths contradict each other.
_OF_DAMAGE = {None, errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENOENT, errno.ELOOP, errno.ENAMETOOLONG}


def unpack(archive: Path, target: Path, limit: int) -> None:
    """Unpack a tar archive to a folder that appears when it is complete.

    Files get no execute bits; owners, setuid bits and the like are dropped.

    Args:
        archive: plain, or compressed by gzip, bzip2 or xz.
        target: folder that is not there yet.
        limit: most bytes that it may unpack to.

    Raises:
        InputError: if the archive is damaged, unpacks to more than ``limit``, or holds a member that is neither file,
            folder nor link or that would lie or point outside the folder. Nothing is unpacked then.
    """
    if not hasattr(tarfile, "data_filter"):
        raise InputError("this Python cannot unpack archives safely", hint="Python 3.11.4 and newer can")
    try:
        with tarfile.open(archive) as tar:
            require_space(target.parent, _inspect(archive, tar, limit))
            _extract(tar, target)
    except (tarfile.TarError, EOFError, KeyError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise _damaged(archive, error) from None
    except OSError as error:
        if error.errno in _OF_DAMAGE:
            raise _damaged(archive, error) from None
        raise


def _extract(tar: tarfile.TarFile, target: Path) -> None:
    total = sum(_HEADER + member.size for member in tar.getmembers())
    with (
        storage.whole_folder(target) as folder,
        progress(None, f"unpack {target.name}", unit="B", total=total, scale=True) as bar,
    ):

        def as_data(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo:
            bar.update(_HEADER + member.size)
            mode = 0o755 if member.isdir() else 0o644
            return tarfile.data_filter(member, path).replace(mode=mode, deep=False)

        tar.extractall(folder, filter=as_data)  # noqa: S202 - filtered, and looked through before


def _inspect(archive: Path, tar: tarfile.TarFile, limit: int) -> int:
    """Bytes that an archive unpacks to, after a look at every member."""
    total, members = 0, []
    for member in progress(tar, f"look through {archive.name}", unit="member"):
        total += _HEADER + member.size
        if total > limit:
            raise _too_large(archive, limit)
        members.append(member)
    _read_to_the_end(archive, tar, limit)
    links = {_path(member.name) for member in members if member.issym()}
    for member in members:
        if fault := next(_faults(member, links), None):
            hint = "Nothing was unpacked. An archive of data does not need this: do not trust it"
            raise InputError(f"member {member.name!r} {fault}", path=archive, hint=hint)
    return total


def _faults(member: tarfile.TarInfo, links: set[PurePosixPath]) -> Iterator[str]:
    """What is wrong with a member, given the paths of all symbolic links of its archive."""
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        yield "is a device or a pipe"
    if member.name.startswith("/"):
        yield "has an absolute path"
    if ".." in member.name.split("/"):
        yield "has a path that leads out of the folder"
    if _leads_through(_path(member.name), links, but_not_to=member.issym()):
        yield "would be written through a link"
    if member.issym() or member.islnk():
        base = posixpath.dirname(member.name) if member.issym() else ""
        pointed = posixpath.join(base, member.linkname)
        if member.linkname.startswith("/") or posixpath.normpath(pointed).split("/")[0] == "..":
            yield f"is a link to {member.linkname!r}, outside the folder"
        # Behind a link, '..' leads elsewhere than the text of the path says.
        if _leads_through(PurePosixPath(pointed), links, but_not_to=False):
            yield f"is a link to {member.linkname!r}, through another link"


def _leads_through(path: PurePosixPath, links: set[PurePosixPath], *, but_not_to: bool) -> bool:
    ways = path.parents if but_not_to else (path, *path.parents)
    return any(_path(str(way)) in links or way in links for way in ways)


def _path(name: str) -> PurePosixPath:
    return PurePosixPath(posixpath.normpath(name))


def _read_to_the_end(archive: Path, tar: tarfile.TarFile, limit: int) -> None:
    """Read what follows the last member: compressed files keep their own checksum there."""
    if tar.fileobj is None:
        raise ValueError("a tar file that is read has a stream")
    rest = 0
    while chunk := tar.fileobj.read(2**20):
        rest += len(chunk)
        if rest > limit:
            raise _too_large(archive, limit)


def _too_large(archive: Path, limit: int) -> InputError:
    problem = f"unpacks to more than {in_words(limit)}, which is more than it should"
    return InputError(problem, path=archive, hint="Nothing was unpacked. Do not open it by other means")


def _damaged(archive: Path, error: Exception) -> InputError:
    words = " ".join(str(error).split())
    return InputError(f"damaged archive ({words})", path=archive, hint="Delete it and run the same command again")
