"""From FASTA to token ids: the look-up table against pyfaidx with the Hugging Face tokenizer, on the same sequence.

    python benchmarks/encode_fasta.py
    python benchmarks/encode_fasta.py --fasta hg38.fa --window 510

Without --fasta, 100 million random nucleotides are written first. Both read windows from an index that is there
already; ours reads the whole contig at once, as prepare does, and window by window, as the peer does.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyfaidx
from transformers import BertTokenizer

from simcsp.model.tokenizer import export_tokenizer
from simcsp.sequence.alphabet import encode, with_special_tokens
from simcsp.sequence.fasta import Genome

_RANDOM = 100_000_000  # nt
_PEER_WINDOWS = 5_000  # it would take minutes for all
_REPEATS = 3


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fasta", type=Path, help="genome to read; its longest contig is taken")
    parser.add_argument("--window", type=int, default=510, help="nt")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _measure(options.fasta or _random_fasta(folder), options.window, folder)


def _measure(fasta: Path, window: int, folder: Path) -> None:
    genome = Genome(fasta, folder)
    contig = max(genome.lengths, key=lambda name: genome.lengths[name])
    length = genome.lengths[contig]
    starts = range(0, length - window + 1, window)
    some = starts[:: max(1, len(starts) // _PEER_WINDOWS)]
    (folder / "tokenizer").mkdir()
    export_tokenizer(folder / "tokenizer", window + 2)
    tokenizer = BertTokenizer(str(folder / "tokenizer" / "vocab.txt"), do_lower_case=False)
    peer = pyfaidx.Fasta(str(fasta), as_raw=True, sequence_always_upper=True, indexname=str(folder / "peer.fai"))

    def whole() -> int:
        return int(encode(genome.fetch(contig, 0, length)).tokens.size)

    def by_window() -> int:
        rows = [encode(genome.fetch(contig, start, start + window)).tokens for start in some]
        return int(with_special_tokens(np.stack(rows)).size)

    def hugging_face() -> int:
        texts = [" ".join(peer[contig][start : start + window]) for start in some]
        return sum(len(ids) for ids in tokenizer(texts)["input_ids"])

    ours = encode(genome.fetch(contig, some[1], some[1] + window)).tokens[None]
    theirs = tokenizer(" ".join(peer[contig][some[1] : some[1] + window]))["input_ids"]
    if with_special_tokens(ours)[0].tolist() != theirs:
        raise SystemExit("The two give different ids: nothing to compare.")
    rows = [
        ("pyfaidx + Hugging Face tokenizer, windows", len(some) * window, _seconds(hugging_face)),
        ("this, windows", len(some) * window, _seconds(by_window)),
        ("this, whole contig", length, _seconds(whole)),
    ]
    slowest = rows[0][1] / rows[0][2]
    print(f"{fasta.name}, contig of {length:,} nt, windows of {window} nt\n")
    print("| FASTA → ids | million nt/s | times the peer |\n|---|---|---|")
    for what, nucleotides, seconds in rows:
        print(f"| {what} | {nucleotides / seconds / 1e6:,.2f} | {nucleotides / seconds / slowest:,.0f} |")


def _seconds(work: Callable[[], int]) -> float:
    """Best of three."""
    times = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def _random_fasta(folder: Path) -> Path:
    path = folder / "random.fa"
    letters = np.frombuffer(b"ACGTacgt", dtype=np.uint8)[np.random.default_rng(0).integers(8, size=_RANDOM)]
    lines = np.full((_RANDOM // 50, 51), ord("\n"), dtype=np.uint8)
    lines[:, :50] = letters.reshape(-1, 50)
    path.write_bytes(b">random\n" + lines.tobytes())
    return path


if __name__ == "__main__":
    main()
