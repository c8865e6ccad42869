"""The published SpliceBERT checkpoints by name: fetched from Zenodo once, converted once to safetensors.

Names are those of the publication in lower case; the archive holds a folder for each. Chen et al. 2024, Briefings in
Bioinformatics 25:bbae163; lengths: ``models/README.md`` of github.com/chenkenbio/SpliceBERT.
"""

import functools
from pathlib import Path
from typing import NamedTuple

from simcsp import runs, storage
from simcsp.console import say
from simcsp.download.catalogue import SETS
from simcsp.download.command import fetch_set
from simcsp.errors import InputError
from simcsp.model.convert import convert_checkpoint

SOURCE = "source.json"
"""Beside converted weights: what they were made of, under which licence, and the lengths they were trained on."""

_SET = "splicebert-models"
_RAW = runs.ROOT / "data" / "raw"


class Published(NamedTuple):
    """One published checkpoint.

    Attributes:
        folder: its name in the archive.
        shortest: length in nt of the windows it was trained on.
        longest: likewise.
        parameters: of the masked language model, tied ones once.
    """

    folder: str
    shortest: int
    longest: int
    parameters: int


PUBLISHED = {
    "splicebert.510nt": Published("SpliceBERT.510nt", 510, 510, 19_447_306),
    "splicebert.1024nt": Published("SpliceBERT.1024nt", 64, 1024, 19_710_474),
    "splicebert-human.510nt": Published("SpliceBERT-human.510nt", 510, 510, 19_447_306),
}
_SHORT = {"510nt": "splicebert.510nt", "1024nt": "splicebert.1024nt", "human.510nt": "splicebert-human.510nt"}


def published_name(init: str) -> str | None:
    """The checkpoint that ``encoder.init`` names, if it names one; letters of either case."""
    name = init.lower()
    return _SHORT.get(name, name if name in PUBLISHED else None)


def initial_folder(init: str) -> Path:
    """The folder of the checkpoint that ``encoder.init`` names, fetched and converted first if it is a published one.

    Raises:
        InputError: as :func:`published_checkpoint` does.
    """
    name = published_name(init)
    return Path(init) if name is None else published_checkpoint(name, _RAW)


def needs_fetching(init: str) -> bool:
    """Whether ``encoder.init`` names a published checkpoint that has not been fetched and converted yet."""
    name = published_name(init)
    return name is not None and not _converted(name, _RAW).exists()


def published_checkpoint(name: str, root: Path) -> Path:
    """The folder of a published checkpoint below ``root``, made if it is not there yet.

    Says the licence when it fetches. What is fetched goes on where it broke off, and is checked against the
    publisher's checksum.

    Args:
        name: a key of :data:`PUBLISHED`.
        root: folder of downloads.

    Raises:
        InputError: if the archive cannot be had, or does not hold the checkpoint as published.
    """
    published, target = PUBLISHED[name], _converted(name, root)
    if target.exists():
        return target
    _claim(root)
    fetch_set(_SET, SETS[_SET], root)
    source = _unpacked(published, root)
    with storage.whole_folder(target) as folder:
        found = convert_checkpoint(source, folder)
        if found != published.parameters:
            raise InputError(f"the model has {found:,} parameters, published are {published.parameters:,}", path=source)
        storage.write_json(folder / SOURCE, _origin(name, source))
        storage.write_checksums(folder)
    say(f"splicebert: {source} converted to {target}, {found:,} parameters")
    return target


def say_if_length_is_new(folder: Path, length: int) -> None:
    """Say, once per process, that a published checkpoint was not trained on windows of a length.

    Args:
        folder: of a checkpoint; others than those made by :func:`published_checkpoint` are passed over.
        length: of a window in nt.
    """
    if (folder / SOURCE).is_file():
        _say_lengths(storage.read_json(folder / SOURCE)["name"], length)


@functools.cache
def _say_lengths(name: str, length: int) -> None:
    _, shortest, longest, _ = PUBLISHED[name]
    if not shortest <= length <= longest:
        trained = f"{longest} nt only" if shortest == longest else f"{shortest} to {longest} nt"
        say(
            f"warning: {name} was trained on windows of {trained}, these have {length} nt; "
            "without fine-tuning it may not work properly on them"
        )


def _converted(name: str, root: Path) -> Path:
    return root / "splicebert" / name


@functools.cache  # a process that holds the lock would not get it again
def _claim(root: Path) -> None:
    runs.lock(root)


def _unpacked(published: Published, root: Path) -> Path:
    archive = root / SETS[_SET].files[0].target.removesuffix(".tar.gz")
    for config in sorted(archive.rglob(f"{published.folder}/config.json")):
        return config.parent
    hint = "Delete this folder and run the same command again"
    raise InputError(f"the archive holds no checkpoint {published.folder}", path=archive, hint=hint)


def _origin(name: str, source: Path) -> dict[str, object]:
    public, (_, shortest, longest, _) = SETS[_SET], PUBLISHED[name]
    return {
        "name": name,
        "licence": public.licence,
        "citation": public.citation,
        "sha256 of what was converted": storage.sha256(source / "pytorch_model.bin"),
        "trained on nt": [shortest, longest],
    }
