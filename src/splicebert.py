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
import shutil
from pathlib import Path

from simcsp import runs, storage
from simcsp.console import run_script, say
from simcsp.model.encoder import initial_files
from simcsp.model.splicebert import initial_folder, published_name
from simcsp.report.page import write_report
from simcsp.report.splicebert import comparison, comparison_page
from simcsp.sequence.assembly import identify
from simcsp.sequence.fasta import Genome
from simcsp.sequence.files import require_readable
from simcsp.splicebert.rows import agreements, encoder_rows, one_hot_rows
from simcsp.splicebert.sources import site_windows, spliceator_files, spliceator_windows
from simcsp.training.devices import describe, make_accelerator

_CACHE = runs.ROOT / "data" / "cache"


def main() -> None:
    """Measure every model and every flank by both recipes."""
    asked = _parse()
    folder = runs.run_folder(asked.run) / "splicebert"
    pieces = folder / "pieces"  # of the table, until it is whole
    files = [asked.sites, asked.fasta, *spliceator_files(asked.spliceator)]
    for path in files:
        require_readable(path)
    weights = {published_name(name) or name: initial_folder(name) for name in asked.weights}
    accelerator = make_accelerator("fp32")
    runs.lock(folder)
    inputs = {str(path): storage.sha256(path) for path in files}
    for checkpoint in weights.values():
        inputs |= initial_files(checkpoint)
    settings = {"weights": list(weights), "assembly": asked.assembly}
    if runs.open_stage(folder, settings, {**inputs, "device": describe(accelerator)}) is runs.State.FINISHED:
        shutil.rmtree(pieces, ignore_errors=True)  # of a start that was stopped when it had just finished
        say(f"splicebert: {folder / 'table.md'} is complete")
        return
    with runs.unclaimed_on_error(folder):
        table = site_windows(asked.sites, asked.fasta, asked.assembly, _CACHE)
        windows = spliceator_windows(asked.spliceator, _CACHE)
    rows, agreed = one_hot_rows(table, pieces), []
    for name, checkpoint in weights.items():
        rows += encoder_rows(name, checkpoint, table, pieces, accelerator)
        if windows is not None:
            agreed += agreements(name, checkpoint, windows, pieces, accelerator)
    found = comparison(rows)
    storage.write_text(folder / "table.csv", found.to_csv(index=False))
    sources = f"Sites: {asked.sites.name}; genome: {asked.fasta.name}; {describe(accelerator)}."
    genome = identify(Genome(asked.fasta, _CACHE).lengths) or "an unknown assembly"
    page = comparison_page(found, agreed, sites=len(table.label), assembly=genome, sources=sources)
    write_report(folder, page, "table.md")
    runs.close_stage(folder, {"rows": len(rows)})
    shutil.rmtree(pieces)
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


if __name__ == "__main__":
    run_script(main)
