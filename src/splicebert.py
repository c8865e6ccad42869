"""SCCS and NMI of the published SpliceBERT, layer by layer, beside the published figures and one-hot vectors.

    python src/prepare.py download splicebert-data    # holds hg19.ss-motif.for_umap.bed.gz
    python src/prepare.py download hg19
    python src/splicebert.py --sites hg19.ss-motif.for_umap.bed.gz --fasta hg19.fa.gz --assembly hg19
    python src/splicebert.py --sites … --fasta … --spliceator data/raw/spliceator    # SCCS on its windows, too
    python src/splicebert.py --sites sites.bed --fasta hg38.fa.gz --weights --run one-hot     # one-hot vectors only

Sites are rows of BED6 whose names end in a label (docs/data.md, format sites). Weights are fetched by their names, or
folders. Every model is measured by the published recipe and by the corrected one (docs/splicebert.md). Writes
runs/<run>/splicebert: table.csv, table.md, table.html. Killed, it goes on where it was.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcsp import runs
from simcsp.config import DataConfig, SiteName, WindowSource
from simcsp.console import progress, run_script, say
from simcsp.datasets.readers import READERS
from simcsp.datasets.windows import WindowTable, concatenate
from simcsp.metrics.nmi import NmiSettings, nmi
from simcsp.metrics.sccs import sccs
from simcsp.model.embedding import embed
from simcsp.model.encoder import initial_files, load_checkpoint
from simcsp.model.published import embed_around_sites, embed_doubly_framed, sites_of
from simcsp.model.splicebert import initial_folder, published_name
from simcsp.model.yardstick import one_hot
from simcsp.pieces import in_pieces
from simcsp.report.page import write_report
from simcsp.report.splicebert import FLANKS, Measured, comparison, comparison_page
from simcsp.sequence.assembly import identify
from simcsp.sequence.fasta import Genome
from simcsp.sequence.files import require_readable
from simcsp.sequence.sites import ACCEPTOR, DONOR
from simcsp.training.devices import describe, make_accelerator

_WINDOW = 510
_SITES: tuple[SiteName, ...] = ("donor", "acceptor")
_SPLICEATOR_WINDOW = 400  # of the published SCCS
_PIECE = 500  # windows
_CACHE = runs.ROOT / "data" / "cache"
_RECIPES = {"published": NmiSettings(published=True, seeds=1), "corrected": NmiSettings()}

Vectors = NDArray[Any]


def main() -> None:
    """Measure every model and every flank by both recipes."""
    asked = _parse()
    folder = runs.run_folder(asked.run) / "splicebert"
    files = [asked.sites, asked.fasta, *_spliceator_files(asked.spliceator)]
    for path in files:
        require_readable(path)
    weights = {published_name(name) or name: initial_folder(name) for name in asked.weights}
    accelerator = make_accelerator("fp32")
    runs.lock(folder)
    inputs = {str(path): runs.sha256(path) for path in files}
    for checkpoint in weights.values():
        inputs |= initial_files(checkpoint)
    settings = {"weights": list(weights), "assembly": asked.assembly}
    if runs.open_stage(folder, settings, {**inputs, "device": describe(accelerator)}) is runs.State.FINISHED:
        say(f"splicebert: {folder / 'table.md'} is complete")
        return
    with runs.unclaimed_on_error(folder):
        table = _sites(asked)
        windows = _spliceator(asked.spliceator)
    rows, agreements = _one_hot_rows(table, folder), []
    for name, checkpoint in weights.items():
        rows += _encoder_rows(name, checkpoint, table, folder, accelerator)
        if windows is not None:
            agreements += _agreements(name, checkpoint, windows, folder, accelerator)
    found = comparison(rows)
    runs.write_text(folder / "table.csv", found.to_csv(index=False))
    sources = f"Sites: {asked.sites.name}; genome: {asked.fasta.name}; {describe(accelerator)}."
    genome = identify(Genome(asked.fasta, _CACHE).lengths) or "an unknown assembly"
    page = comparison_page(found, agreements, sites=len(table.label), assembly=genome, sources=sources)
    write_report(folder, page, "table.md")
    runs.close_stage(folder, {"rows": len(rows)})
    say(f"{page}\nsplicebert: written to {folder.relative_to(runs.ROOT)}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--sites", type=Path, required=True, help="BED6 of labelled sites, plain or gzip")
    parser.add_argument("--fasta", type=Path, required=True, help="the genome they are on")
    parser.add_argument("--assembly", help="that the FASTA must turn out to have, for instance hg19")
    parser.add_argument("--spliceator", type=Path, help="folder of Spliceator's training tables, for SCCS")
    parser.add_argument("--weights", nargs="*", default=["splicebert.510nt", "splicebert-human.510nt"],
                        help="checkpoints (default: %(default)s); none for one-hot vectors only")  # fmt: skip
    parser.add_argument("--run", default="splicebert", help="folder in runs/ (default: %(default)s)")
    return parser.parse_args()


def _sites(asked: argparse.Namespace) -> WindowTable:
    source = WindowSource(
        format="sites", species="human", fasta=asked.fasta, sites=asked.sites, assembly=asked.assembly,
        ignore_missing_contigs=True,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    table, tallies = READERS["sites"](source, DataConfig(root=Path(), window=_WINDOW), _CACHE, rng)
    for tally in tallies:
        say(str(tally))
    return table


def _spliceator_files(folder: Path | None) -> list[Path]:
    """Positives and negatives of donors, then of acceptors."""
    names = [name for site in _SITES for name in (f"POS_{site}_600.csv", f"NEG_600_{site}.csv")]
    return [] if folder is None else [folder / name for name in names]


def _spliceator(folder: Path | None) -> WindowTable | None:
    """Donors and acceptors with all their negatives together, as in the published SCCS."""
    if folder is None:
        return None
    files, data, tables = _spliceator_files(folder), DataConfig(root=Path(), window=_SPLICEATOR_WINDOW), []
    for site, pair in zip(_SITES, (files[:2], files[2:]), strict=True):
        source = WindowSource(
            format="spliceator", species="many", site=site, positives=pair[0], negatives=pair[1], any_decoy=True
        )
        table, tallies = READERS["spliceator"](source, data, _CACHE, np.random.default_rng(0))
        tables.append(table)
        for tally in tallies:
            say(str(tally))
    return concatenate(tables)


def _agreements(
    name: str, checkpoint: Path, windows: WindowTable, folder: Path, accelerator: Any
) -> list[tuple[str, str, float]]:
    """SCCS of the last layer's `[CLS]` on Spliceator's windows, framed as published and once."""
    encoder = load_checkpoint(checkpoint, dropout=0.0, tokens=_SPLICEATOR_WINDOW + 4)
    ways: dict[str, Callable[[slice], Vectors]] = {
        "published": lambda rows: embed_doubly_framed(encoder, windows.tokens[rows], layer=-1, accelerator=accelerator),
        "corrected": lambda rows: embed(
            encoder, windows.tokens[rows], pooling="cls", layer=-1, accelerator=accelerator
        ),
    }
    found = []
    for recipe, way in ways.items():
        kept = folder / f"spliceator-{recipe}-{name.replace('/', '_')}"
        vectors = in_pieces(kept, len(windows.label), _PIECE, way, f"splicebert: SCCS of {name}, {recipe}")
        found.append((name, recipe, sccs(vectors, windows.label, seed=0).value))
    return found


def _one_hot_rows(table: WindowTable, folder: Path) -> list[Measured]:
    rows = []
    for flank in progress(FLANKS, "splicebert: one-hot", unit="flank"):
        vectors = one_hot(table.tokens, centre=2 + 2 * flank)
        rows += [
            _measured(folder, ("one-hot", flank, recipe), vectors, table, agreement=float("nan"), apart=False)
            for recipe in _RECIPES
        ]
    return rows


def _encoder_rows(name: str, checkpoint: Path, table: WindowTable, folder: Path, accelerator: Any) -> list[Measured]:
    encoder = load_checkpoint(checkpoint, dropout=0.0, tokens=_WINDOW + 2)
    around = in_pieces(
        folder / f"states-{name.replace('/', '_')}", len(table.label), _PIECE,
        lambda rows: embed_around_sites(encoder, table.tokens[rows], accelerator), f"splicebert: {name}",
    )  # fmt: skip
    reverse = np.char.endswith(table.origin, ":-")
    rows = []
    for layer in progress(range(around.shape[1]), f"splicebert: NMI of {name}", unit="layer"):
        agreement = sccs(around[:, layer, 0], table.label, seed=0).value
        for recipe in _RECIPES:
            published = recipe == "published"
            vectors = sites_of(around, reverse, layer=layer, off_by_one=published)
            key = (name, layer, recipe)
            rows.append(_measured(folder, key, vectors, table, agreement=agreement, apart=published))
    return rows


def _measured(
    folder: Path, key: tuple[str, int, str], vectors: Vectors, table: WindowTable, *, agreement: float, apart: bool
) -> Measured:
    """One row, kept in a file of its own once it is known."""
    kept = folder / "rows" / f"{'-'.join(map(str, key)).replace('/', '_')}.json"
    if not kept.exists():
        settings = _RECIPES[key[2]]
        found = nmi(vectors, table.label, table.site_type, settings, seed=0)
        alone = [float("nan")] * 2
        if apart:
            its = (table.site_type == kind for kind in (DONOR, ACCEPTOR))
            alone = [nmi(vectors[i], table.label[i], table.site_type[i], settings, seed=0).value for i in its]
        runs.write_json(kept, [found.donor, found.acceptor, *alone, found.clusters, agreement])
    numbers = [_number(value) for value in runs.read_json(kept)]
    return Measured(*key, (numbers[0], numbers[1]), (numbers[2], numbers[3]), numbers[4], numbers[5])


def _number(value: float | None) -> float:
    """JSON has no nan."""
    return float("nan") if value is None else value


if __name__ == "__main__":
    run_script(main)
