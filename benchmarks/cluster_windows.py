"""Time and memory of clustering simulated windows of 400 nt by sequence, for three numbers of them.

    python benchmarks/cluster_windows.py

Every tenth window begins a family: the next one shares 60 nt with it, and the one after that shares them on the other
strand. These families are known, so the table also says how many of their pairs were found. Where a program mmseqs is
on the PATH, mmseqs2 clusters the same windows. Prints one Markdown row per method and number of windows.
"""

import multiprocessing
import resource
import shutil
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from simcsp.config import SplitConfig
from simcsp.datasets.clusters import sequence_clusters
from simcsp.sequence.alphabet import Tokens, reverse_complement

WINDOWS = (25_000, 50_000, 100_000)
LENGTH, COPIED, EVERY = 400, 60, 10
_MIB = 1024  # of the kibibytes that getrusage counts in


def main() -> None:
    """Measure every method on every number of windows, each in a process of its own."""
    print("| clusters | windows | seconds | peak memory, MiB | clusters found | planted pairs found |")
    print("|---|---|---|---|---|---|")
    methods = ["kmers", *(["mmseqs2"] if shutil.which("mmseqs") else [])]
    context = multiprocessing.get_context("spawn")  # else a process inherits the peak of its parent
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool:
        for method in methods:
            for windows in WINDOWS:
                print(pool.submit(_row, method, windows).result(), flush=True)


def simulated_families(windows: int, seed: int = 0) -> Tokens:
    """Random windows with families of three planted at every tenth row."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(6, 10, (windows, LENGTH), dtype=np.uint8)
    for row in range(0, windows, EVERY):
        places = rng.integers(0, LENGTH - COPIED, 3)
        piece = tokens[row, places[0] : places[0] + COPIED]
        tokens[row + 1, places[1] : places[1] + COPIED] = piece
        tokens[row + 2, places[2] : places[2] + COPIED] = reverse_complement(piece)
    return tokens


def _row(method: str, windows: int) -> str:
    tokens = simulated_families(windows)
    split = SplitConfig(clusters="mmseqs2" if method == "mmseqs2" else "kmers")
    before = _peak(resource.RUSAGE_SELF)
    start = time.perf_counter()
    clusters = sequence_clusters(tokens, split)
    seconds = time.perf_counter() - start
    peak = _peak(resource.RUSAGE_CHILDREN) if method == "mmseqs2" else _peak(resource.RUSAGE_SELF) - before
    first = clusters[::EVERY]
    found = np.concatenate([clusters[1::EVERY] == first, clusters[2::EVERY] == first])
    return (
        f"| {method} | {windows:,} | {seconds:.1f} | {peak:,.0f} | {clusters.max() + 1:,} "
        f"| {np.count_nonzero(found):,} of {found.size:,} |"
    )


def _peak(who: int) -> float:
    """Largest resident memory so far in MiB."""
    return resource.getrusage(who).ru_maxrss / _MIB


if __name__ == "__main__":
    main()
