"""The windows that SpliceBERT's embeddings are measured on."""

from pathlib import Path

import numpy as np

from simcsp.config import DataConfig, SiteName, WindowSource
from simcsp.console import say
from simcsp.datasets.readers import READERS
from simcsp.datasets.windows import WindowTable, concatenate

WINDOW = 510
SPLICEATOR_WINDOW = 400  # of the published SCCS
_SITES: tuple[SiteName, ...] = ("donor", "acceptor")


def site_windows(sites: Path, fasta: Path, assembly: str | None, cache: Path) -> WindowTable:
    """Windows of 510 nt around the labelled sites of a BED6 (docs/data.md, format sites); says what was read.

    Raises:
        InputError: as the reader of the format does.
    """
    source = WindowSource(
        format="sites", species="human", fasta=fasta, sites=sites, assembly=assembly,
        ignore_missing_contigs=True,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    table, tallies = READERS["sites"](source, DataConfig(root=Path(), window=WINDOW), cache, rng)
    for tally in tallies:
        say(str(tally))
    return table


def spliceator_files(folder: Path | None) -> list[Path]:
    """Positives and negatives of donors, then of acceptors; none without a folder."""
    names = [name for site in _SITES for name in (f"POS_{site}_600.csv", f"NEG_600_{site}.csv")]
    return [] if folder is None else [folder / name for name in names]


def spliceator_windows(folder: Path | None, cache: Path) -> WindowTable | None:
    """Donors and acceptors with all their negatives together, as in the published SCCS; says what was read.

    Raises:
        InputError: as the reader of the format does.
    """
    if folder is None:
        return None
    files, data, tables = spliceator_files(folder), DataConfig(root=Path(), window=SPLICEATOR_WINDOW), []
    for site, pair in zip(_SITES, (files[:2], files[2:]), strict=True):
        source = WindowSource(
            format="spliceator", species="many", site=site, positives=pair[0], negatives=pair[1], any_decoy=True
        )
        table, tallies = READERS["spliceator"](source, data, cache, np.random.default_rng(0))
        tables.append(table)
        for tally in tallies:
            say(str(tally))
    return concatenate(tables)
