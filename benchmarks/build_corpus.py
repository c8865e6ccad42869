"""Build a corpus as large as the human genome, and draw windows from it: time, memory, and how they grow.

    python benchmarks/build_corpus.py                       # 0.775, 1.55 and 3.1 billion nt; 7 GB of disk
    python benchmarks/build_corpus.py --nucleotides 2e8

Every size is built in a process of its own, whose peak memory is reported. The genome is random, half of it in lower
case, with gaps of N, in 24 contigs. Random windows are compared with slices by pyfaidx from the same FASTA.
"""

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyfaidx

from simcsp.config import CorpusSource, DataConfig
from simcsp.datasets.corpus import Corpus, write_corpus

_CONTIGS = 24
_WINDOW = 512
_WINDOWS = 1_000_000
_BATCH = 1_000
_PEER_WINDOWS = 50_000
_BLOCK = 10_000_000  # nt written at a time


def main() -> None:
    """Print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nucleotides", type=float, default=3.1e9, help="of the largest genome")
    parser.add_argument("--folder", type=Path, help="with enough room; a temporary one if not given")
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    print("| genome, nt | index, s | corpus, s | million nt/s | peak memory, GB |\n|---|---|---|---|---|")
    for divisor in (4, 2, 1):
        with tempfile.TemporaryDirectory(dir=options.folder) as name:
            folder, size = Path(name), int(options.nucleotides / divisor)
            for work in (_write_genome, _build, *((_draw,) if divisor == 1 else ())):
                process = context.Process(target=work, args=(folder, size))
                process.start()
                process.join()
                if process.exitcode:
                    sys.exit(f"{work.__name__} ended with status {process.exitcode}")


def _write_genome(folder: Path, size: int) -> None:
    rng = np.random.default_rng(0)
    letters = np.frombuffer(b"ACGTacgt", dtype=np.uint8)
    with (folder / "genome.fa").open("wb") as stream:
        for contig in range(_CONTIGS):
            stream.write(f">chr{contig + 1}\n".encode())
            for start in range(0, size // _CONTIGS, _BLOCK):
                length = min(_BLOCK, size // _CONTIGS - start) // 50 * 50
                lines = np.full((length // 50, 51), ord("\n"), dtype=np.uint8)
                lines[:, :50] = letters[rng.integers(8, size=length, dtype=np.uint8)].reshape(-1, 50)
                lines[:200, :50] = ord("N")
                stream.write(lines.tobytes())


def _build(folder: Path, size: int) -> None:
    (folder / "corpus").mkdir()
    source = CorpusSource(species="random", sequences=Path("genome.fa"))
    start = time.perf_counter()
    from simcsp.sequence.fasta import Genome  # noqa: PLC0415

    Genome(folder / "genome.fa", folder).close()  # makes the index
    indexed = time.perf_counter()
    write_corpus(DataConfig(root=folder, window=_WINDOW, corpus=(source,)), folder / "corpus", folder)
    seconds = time.perf_counter() - indexed
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"| {size:,} | {indexed - start:.0f} | {seconds:.0f} | {size / seconds / 1e6:.0f} | {peak:.2f} |", flush=True)


def _draw(folder: Path, size: int) -> None:  # noqa: ARG001
    corpus = Corpus(folder / "corpus", _WINDOW)
    rng = np.random.default_rng(0)
    start = time.perf_counter()
    for _ in range(_WINDOWS // _BATCH):
        corpus.draw(_BATCH, rng)
    ours = (time.perf_counter() - start) / _WINDOWS
    fasta = pyfaidx.Fasta(str(folder / "genome.fa"), as_raw=True)
    places = rng.integers(len(fasta["chr1"]) - _WINDOW, size=_PEER_WINDOWS)
    contigs = rng.integers(1, _CONTIGS + 1, size=_PEER_WINDOWS)
    start = time.perf_counter()
    for contig, place in zip(contigs, places, strict=True):
        fasta[f"chr{contig}"][place : place + _WINDOW]
    theirs = (time.perf_counter() - start) / _PEER_WINDOWS
    print(f"\n| {_WINDOWS:,} random windows of {_WINDOW} nt | s |\n|---|---|")
    print(f"| tokens from the corpus | {ours * _WINDOWS:.1f} |")
    print(f"| letters by pyfaidx (scaled from {_PEER_WINDOWS:,}) | {theirs * _WINDOWS:.1f} |")


if __name__ == "__main__":
    main()
