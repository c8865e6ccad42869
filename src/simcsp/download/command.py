"""``prepare.py download NAME``: a public data set by its name.

python src/prepare.py download --list
python src/prepare.py download hg38
python src/prepare.py download splicebert-models --root /large/disk/raw
"""

import argparse
import difflib
from pathlib import Path

from simcsp import runs
from simcsp.console import say
from simcsp.download.archive import unpack
from simcsp.download.catalogue import SETS, PublicSet
from simcsp.download.checksums import RECORD, Record
from simcsp.download.fetch import begun_bytes, fetch, in_words, require_space
from simcsp.errors import InputError

_SUFFIX = ".tar.gz"


def download(arguments: list[str]) -> None:
    """Fetch the data set that the command line names, or list all.

    Raises:
        InputError: on an unknown name, a folder that cannot be written, and all that :func:`fetch_set` refuses.
    """
    parser = argparse.ArgumentParser(
        prog="prepare.py download", description="Fetch a public data set.", allow_abbrev=False
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="one of those that --list shows")
    parser.add_argument("--root", type=Path, default=runs.ROOT / "data" / "raw", help="folder (default: %(default)s)")
    parser.add_argument("--list", action="store_true", help="show every data set with size, licence and purpose")
    parsed = parser.parse_args(arguments)
    if parsed.list:
        say(table())
        return
    if parsed.name is None:
        parser.error("the NAME of a data set is missing; --list shows all")
    if parsed.name not in SETS:
        close = difflib.get_close_matches(parsed.name, SETS, n=1)
        hint = f"Did you mean {close[0]!r}? " if close else ""
        raise InputError(f"no data set is called {parsed.name!r}", hint=f"{hint}--list shows all")
    try:
        runs.lock(parsed.root)
    except (PermissionError, FileExistsError, NotADirectoryError) as error:
        hint = "Give another folder with --root"
        raise InputError(f"cannot be written to ({error.strerror})", path=parsed.root, hint=hint) from None
    fetch_set(parsed.name, SETS[parsed.name], parsed.root)


def fetch_set(name: str, public: PublicSet, root: Path) -> None:
    """Say what a data set is, bring its files to ``root`` (a folder), unpack it if it is an archive.

    Raises:
        InputError: if there is no room, a file cannot be had or is not as published, or something is in the way.
    """
    say(_introduction(name, public))
    record = Record(root)
    unpacked = _unpacked_folder(public, root)
    if unpacked is not None and unpacked.exists():
        if record.of(public.files[0]) is None:
            hint = "Move it away and run the same command again"
            raise InputError("this folder was not unpacked here", path=unpacked, hint=hint)
        say(f"download: {unpacked} is complete")
        return
    missing = sum(file.size for file in public.files if not (root / file.target).exists())
    begun = sum(begun_bytes(root / file.target) for file in public.files)
    # Unpacked, an archive takes at least as much again; how much exactly is known when it is here.
    require_space(root, max(0, missing - begun) + (public.size if public.unpacked else 0))
    for file in public.files:
        known = file.checksum is not None or record.of(file) is not None
        fetched = fetch(file, root, record)
        state = "is complete" if fetched else "was there already"
        say(f"download: {root / file.target} {state}, checksum {'verified' if known else 'recorded'}")
    if unpacked is not None:
        unpack(root / public.files[0].target, unpacked, public.unpacked)
        say(f"download: unpacked to {unpacked}; {root / public.files[0].target} may be deleted")


def table() -> str:
    """All data sets, one line each: name, size, licence, what for."""
    rows = [("name", "size", "licence", "what for")]
    rows += [(name, in_words(one.size), one.licence, one.use) for name, one in SETS.items()]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]) for row in rows
    ]
    return "\n".join(lines)


def _introduction(name: str, public: PublicSet) -> str:
    lines = [
        f"{name}: {public.title}",
        f"  licence  {public.licence} ({public.licence_url})",
        f"  cite     {public.citation}",
        f"  size     {in_words(public.size)}",
    ]
    if any(file.checksum is None for file in public.files):
        lines.append(f"  checks   no checksum is published; that of the first download is kept in {RECORD}")
    if public.note:
        lines.append(f"  note     {public.note}")
    return "\n".join(lines)


def _unpacked_folder(public: PublicSet, root: Path) -> Path | None:
    return root / public.files[0].target.removesuffix(_SUFFIX) if public.unpacked else None
