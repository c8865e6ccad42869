"""SCCS and NMI of the published SpliceBERT, layer by layer, beside the published figures and one-hot vectors.

    python src/prepare.py download splicebert-data    # holds hg19.ss-motif.for_umap.bed.gz
    python src/prepare.py download hg19
    python src/splicebert.py --sites hg19.ss-motif.for_umap.bed.gz --fasta hg19.fa.gz --assembly hg19
    python src/splicebert.py --sites sites.bed --fasta hg38.fa.gz --weights --run one-hot     # one-hot vectors only

Sites are rows of BED6 whose names end in a label (docs/data.md, format sites). Weights are fetched by their names, or
folders. Every model is measured by the published recipe and by the corrected one (docs/splicebert.md). Writes
runs/<run>/splicebert: table.csv and table.md. Killed, it goes on where it was.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcsp import runs
from simcsp.config import DataConfig, WindowSource
from simcsp.console import progress, run_script, say
from simcsp.datasets.readers.sites import read
from simcsp.datasets.windows import WindowTable
from simcsp.metrics.nmi import NmiSettings, nmi
from simcsp.metrics.sccs import sccs
from simcsp.model.encoder import initial_files, load_checkpoint
from simcsp.model.published import embed_around_sites, sites_of
from simcsp.model.splicebert import initial_folder, published_name
from simcsp.model.yardstick import one_hot
from simcsp.pieces import in_pieces
from simcsp.report.splicebert import FLANKS, Measured, comparison, comparison_page
from simcsp.sequence.assembly import identify
from simcsp.sequence.fasta import Genome
from simcsp.sequence.files import require_readable
from simcsp.sequence.sites import ACCEPTOR, DONOR
from simcsp.training.devices import describe, make_accelerator

_WINDOW = 510
_PIECE = 500  # sites
_CACHE = runs.ROOT / "data" / "cache"
_RECIPES = {"published": NmiSettings(published=True, seeds=1), "corrected": NmiSettings()}

Vectors = NDArray[Any]


def main() -> None:
    """Measure every model and every flank by both recipes."""
    asked = _parse()
    folder = runs.run_folder(asked.run) / "splicebert"
    weights = {published_name(name) or name: initial_folder(name) for name in asked.weights}
    accelerator = make_accelerator("fp32")
    for path in (asked.sites, asked.fasta):
        require_readable(path)
    runs.lock(folder)
    inputs = {str(path): runs.sha256(path) for path in (asked.sites, asked.fasta)}
    for checkpoint in weights.values():
        inputs |= initial_files(checkpoint)
    settings = {"weights": list(weights), "assembly": asked.assembly}
    if runs.open_stage(folder, settings, {**inputs, "device": describe(accelerator)}) is runs.State.FINISHED:
        say(f"splicebert: {folder / 'table.md'} is complete")
        return
    with runs.unclaimed_on_error(folder):
        table = _sites(asked)
    rows = _one_hot_rows(table, folder)
    for name, checkpoint in weights.items():
        rows += _encoder_rows(name, checkpoint, table, folder, accelerator)
    found = comparison(rows)
    runs.write_text(folder / "table.csv", found.to_csv(index=False))
    sources = f"Sites: {asked.sites.name}; genome: {asked.fasta.name}; {describe(accelerator)}."
    genome = identify(Genome(asked.fasta, _CACHE).lengths) or "an unknown assembly"
    page = comparison_page(found, sites=len(table.label), assembly=genome, sources=sources)
    runs.write_text(folder / "table.md", page)
    runs.close_stage(folder, {"rows": len(rows)})
    say(f"{page}\nsplicebert: written to {folder.relative_to(runs.ROOT)}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--sites", type=Path, required=True, help="BED6 of labelled sites, plain or gzip")
    parser.add_argument("--fasta", type=Path, required=True, help="the genome they are on")
    parser.add_argument("--assembly", help="that the FASTA must turn out to have, for instance hg19")
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
    table, tallies = read(source, DataConfig(root=Path(), window=_WINDOW), _CACHE, rng)
    for tally in tallies:
        say(str(tally))
    return table


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
