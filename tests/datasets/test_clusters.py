import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.cluster.hierarchy import DisjointSet

from simcsp.config import SplitConfig
from simcsp.datasets.clusters import kmer_clusters, sequence_clusters, shared_stretches
from simcsp.errors import InputError
from simcsp.sequence.alphabet import A, N, T, Tokens, decode, encode, reverse_complement

Copy = tuple[int, int, int, int, int, bool]
"""From window, its start, to window, its start, nt, on the other strand."""

copies = st.lists(
    st.tuples(*(st.integers(0, 99) for _ in range(5)), st.booleans()),
    max_size=12,
)


def random_windows(windows: int, length: int, seed: int = 0) -> Tokens:
    return np.random.default_rng(seed).integers(6, 10, (windows, length), dtype=np.uint8)


def planted(seed: int, length: int, plan: list[Copy], unread: bool) -> Tokens:
    """Random windows into which pieces of others have been copied, on either strand."""
    rng = np.random.default_rng(seed)
    tokens = random_windows(10, length, seed)
    for source, start, target, place, size, turned in plan:
        nt = 12 + size % (length - 12)
        here, there = start % (length - nt + 1), place % (length - nt + 1)
        piece = tokens[source % 10, here : here + nt].copy()
        tokens[target % 10, there : there + nt] = reverse_complement(piece) if turned else piece
    if unread:
        tokens[rng.integers(0, 10, 4), rng.integers(0, length, 4)] = N
    return tokens


def stretches(window: Tokens, shared: int) -> set[str]:
    """Every stretch without N, on both strands, as letters."""
    both = decode(window), opposite(decode(window))
    found = {letters[i : i + shared] for letters in both for i in range(len(letters) - shared + 1)}
    return {letters for letters in found if "N" not in letters}


def opposite(letters: str) -> str:
    return letters.translate(str.maketrans("ACGT", "TGCA"))[::-1]


def brute_force(tokens: Tokens, shared: int) -> list[int]:
    """Clusters from all pairs of sets of strings."""
    sets = [stretches(window, shared) for window in tokens]
    joined = DisjointSet(range(len(tokens)))
    for first in range(len(tokens)):
        for second in range(first):
            if sets[first] & sets[second]:
                joined.merge(first, second)
    return [min(joined.subset(row)) for row in range(len(tokens))]


def by_first_appearance(names: list[int]) -> list[int]:
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return [numbers[name] for name in names]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 99), st.sampled_from([40, 75]), copies, st.booleans(), st.sampled_from([20, 31, 32, 38]))
def test_clusters_are_those_of_comparing_all_pairs_of_stretches(
    seed: int, length: int, plan: list[Copy], unread: bool, shared: int
) -> None:
    tokens = planted(seed, length, plan, unread)
    assert kmer_clusters(tokens, shared).tolist() == by_first_appearance(brute_force(tokens, shared))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 99), copies, st.integers(33, 70))
def test_windows_that_share_a_key_are_those_that_share_a_stretch(seed: int, plan: list[Copy], shared: int) -> None:
    tokens = planted(seed, 75, plan, unread=False)
    found = shared_stretches(tokens, shared)
    keys = [set(found.key[found.window == row].tolist()) for row in range(len(tokens))]
    sets = [{min(piece, opposite(piece)) for piece in stretches(window, shared)} for window in tokens]
    for first in range(len(tokens)):
        for second in range(first):
            assert len(keys[first] & keys[second]) == len(sets[first] & sets[second])


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("nt", "together"), [(49, False), (50, True)])
@pytest.mark.parametrize(("here", "there"), [(0, 150), (150, 0), (75, 75)])
def test_windows_are_joined_by_a_stretch_of_fifty_and_not_of_fortynine(
    nt: int, together: bool, here: int, there: int, turned: bool
) -> None:
    tokens = random_windows(2, 200, seed=2)
    piece = tokens[0, here : here + nt].copy()
    tokens[1, there : there + nt] = reverse_complement(piece) if turned else piece
    assert bool(stretches(tokens[0], 50) & stretches(tokens[1], 50)) == together  # no chance match beside the copy
    assert (kmer_clusters(tokens, 50).tolist() == [0, 0]) == together


def test_a_chain_of_shared_stretches_is_one_cluster() -> None:
    tokens = random_windows(4, 120)
    tokens[2, :60] = tokens[0, 60:]
    tokens[3, :60] = reverse_complement(tokens[2, 60:])
    assert kmer_clusters(tokens, 50).tolist() == [0, 1, 0, 0]


def test_clusters_do_not_depend_on_the_order_or_strand_of_the_windows() -> None:
    tokens = planted(3, 75, [(row, 5, row + 1, 20, 40, row % 2 == 0) for row in range(0, 8, 2)], unread=False)
    order = np.random.default_rng(1).permutation(len(tokens))
    turned = tokens.copy()
    turned[::2] = reverse_complement(turned[::2])
    expected = kmer_clusters(tokens, 40)
    assert len(set(expected.tolist())) < len(tokens)
    assert kmer_clusters(turned, 40).tolist() == expected.tolist()
    assert kmer_clusters(tokens[order], 40).tolist() == by_first_appearance(expected[order].tolist())


def test_windows_beyond_one_block_are_compared_with_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = random_windows(50, 80)
    tokens[49, :55] = tokens[0, 20:75]
    monkeypatch.setattr("simcsp.datasets.clusters._BLOCK", 160)
    assert kmer_clusters(tokens, 50).tolist() == [*range(49), 0]


def test_poly_a_is_shared_like_any_other_stretch_and_n_is_not() -> None:
    tokens = random_windows(4, 100)
    tokens[0, :60] = tokens[1, 40:] = encode(b"A" * 60).tokens
    tokens[2:] = N
    assert kmer_clusters(tokens, 50).tolist() == [0, 0, 1, 2]


def test_no_windows_are_no_clusters() -> None:
    assert kmer_clusters(np.empty((0, 100), dtype=np.uint8), 50).size == 0


def test_windows_shorter_than_the_stretch_are_refused() -> None:
    with pytest.raises(InputError, match=r"windows of 40 nt cannot share 50 nt.*split\.shared to at most 40"):
        sequence_clusters(random_windows(3, 40), SplitConfig())


def test_mmseqs2_that_is_not_installed_is_an_error_that_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InputError, match=r"no program mmseqs on the PATH.*bioconda mmseqs2"):
        sequence_clusters(random_windows(3, 100), SplitConfig(clusters="mmseqs2"))


def test_mmseqs2_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "mmseqs"
    program.write_text("#!/bin/sh\necho out of paper >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="mmseqs ended with status 3: out of paper"):
        sequence_clusters(random_windows(3, 100), SplitConfig(clusters="mmseqs2"))


def test_mmseqs2_finds_diverged_copies_on_either_strand() -> None:
    if shutil.which("mmseqs") is None:
        pytest.skip("no program mmseqs on the PATH")
    tokens = random_windows(12, 200)
    changed = tokens[:6].copy()
    changed[:, ::21] = (A + T) - changed[:, ::21]  # the complement: 5 % of the nucleotides
    tokens[6:] = changed
    tokens[9:] = reverse_complement(tokens[9:])
    expected = [*range(6), *range(6)]
    assert sequence_clusters(tokens, SplitConfig(clusters="mmseqs2")).tolist() == expected
    assert kmer_clusters(tokens, 50).tolist() == [*range(12)]


@pytest.mark.real_data
def test_homologues_of_human_windows_that_another_method_found_stay_together(real_data: Path) -> None:
    """The table joins windows of 602 nt with 20 or more 31-mers in common: nearly all pairs share 50 nt in a chain."""
    folder = real_data / "human-windows"
    rows = [line.split("\t") for line in gunzip(folder / "clusters.tsv.gz")[1:]]
    given_cluster = [int(cluster) for _, _, cluster in rows]
    letters = [
        line.encode()
        for name in dict.fromkeys(row[0] for row in rows)
        for line in gunzip(folder / f"{name}.txt.gz")
        if line and not line.startswith(">")
    ]
    tokens = np.stack([encode(window).tokens for window in letters])
    clusters = kmer_clusters(tokens, 50)
    assert kept_pairs(np.array(given_cluster), clusters) > 0.8


def gunzip(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode().splitlines()


def kept_pairs(given: NDArray[np.int64], found: NDArray[np.intp]) -> float:
    """Share of the pairs of one given cluster that are also in one found cluster."""

    def pairs(*columns: NDArray[np.integer]) -> int:
        sizes = np.unique(np.stack(columns), axis=1, return_counts=True)[1]
        return int((sizes * (sizes - 1) // 2).sum())

    return pairs(given, found) / pairs(given)
