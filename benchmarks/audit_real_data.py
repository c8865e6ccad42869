"""Audit splits of every labelled public data set at hand: what leaks between their parts, and what it is worth in F1.

    python benchmarks/audit_real_data.py --root data/raw > leakage.md

The sets, their sources and licences are listed in data/README.md; this prints the table of docs/public_data.md: each
set split by the groups of its source (clusters, where it has none), by clusters, and by label alone as published
studies did. Worth is the F1 of the memoriser, and of logistic regression, in random folds minus that in the folds of
the set.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from simcsp.config import DataConfig, SplitConfig, WindowSource
from simcsp.datasets.leakage import Audit, audit, nearest_window
from simcsp.datasets.readers import READERS
from simcsp.datasets.splits import assign_parts
from simcsp.datasets.windows import WindowTable, concatenate, drop_duplicates
from simcsp.model.yardstick import logistic_regression
from simcsp.tally import Tally

_CHR1 = Path("vertebrates-chr1/hg38.chr1.partial.fa.gz")
_ENSEMBL = Path("vertebrates-chr1/ensembl.chr1.CDS.GRCh38.gtf.gz")
_WORM, _FLY = Path("invertebrates/celegans.1pct.fa.gz"), Path("invertebrates/dmelanogaster.1pct.fa.gz")


def _ensemblesplice(site: str) -> WindowSource:
    positives, negatives = (
        Path(f"human-windows/{site.title()}_Train_{label}.txt.gz") for label in ("Positive", "Negative")
    )
    return WindowSource(format="text", species="human", site=site, positives=positives, negatives=negatives)  # type: ignore[arg-type]


def _genome(species: str, fasta: Path, annotation: Path) -> WindowSource:
    return WindowSource(format="genome", species=species, fasta=fasta, annotation=annotation)


_SETS: dict[str, tuple[WindowSource, ...]] = {
    "EnsembleSplice human": (_ensemblesplice("donor"), _ensemblesplice("acceptor")),
    "GUE splice, dev": (WindowSource(format="gue", species="human", sequences=Path("gue/splice_dev.csv.gz")),),
    "chr1 with Ensembl CDS": (_genome("human", _CHR1, _ENSEMBL),),
    "worm and fly": (
        _genome("worm", _WORM, Path("invertebrates/celegans.1pct.gff3.gz")),
        _genome("fly", _FLY, Path("invertebrates/dmelanogaster.1pct.gff3.gz")),
    ),
}


def main() -> None:
    """Print one table row per set and split."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("data/raw"), help="folder of the sets")
    parser.add_argument("--window", type=int, default=400, help="nt")
    options = parser.parse_args()
    print("| set | split by | windows | groups | identical | near-identical | overlapping | memoriser | logistic |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, sources in _SETS.items():
        table = _windows(sources, DataConfig(root=options.root.resolve(), window=options.window))
        for split in (SplitConfig(by="group"), SplitConfig(by="cluster"), SplitConfig(by="label")):
            parts = assign_parts(table, split)
            found = audit(parts, split, {"memoriser": nearest_window, "logistic regression": logistic_regression})
            print(_row(name, np.unique(parts.group).size, found), flush=True)


def _windows(sources: tuple[WindowSource, ...], data: DataConfig) -> WindowTable:
    with tempfile.TemporaryDirectory() as cache:
        tables = [
            READERS[source.format](source, data, Path(cache), np.random.default_rng([0, number]))[0]
            for number, source in enumerate(sources)
        ]
    return drop_duplicates(concatenate(tables), Tally("windows", "all sources together"))


def _row(name: str, groups: int, found: Audit) -> str:
    identical, reverse, near, overlapping = found.leaks
    shares = (f"{leak.windows / leak.of:.1%}" if leak.of else "–" for leak in (near, overlapping))
    worth = (
        f"{one.difference.mean:+.3f} ({one.difference.interval[0]:+.3f} to {one.difference.interval[1]:+.3f})"
        for one in found.worth
    )
    cells = (name, found.by, f"{found.windows:,}", f"{groups:,}", f"{identical.windows + reverse.windows:,}")
    return f"| {' | '.join((*cells, *shares, *worth))} |"


if __name__ == "__main__":
    main()
