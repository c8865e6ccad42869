from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy

from simcsp.config import ChunkConfig
from simcsp.datasets.low_complexity import kept_stretches, trinucleotide_entropy
from simcsp.sequence.alphabet import encode
from simcsp.tally import Tally


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text("ACGT", min_size=12, max_size=12), min_size=1, max_size=4))
def test_entropy_is_that_of_the_trinucleotides_counted_one_by_one(sequences: list[str]) -> None:
    chunks = np.stack([encode(text.encode()).tokens for text in sequences])
    expected = [
        entropy(list(Counter(text[start : start + 3] for start in range(len(text) - 2)).values()), base=2)
        for text in sequences
    ]
    np.testing.assert_allclose(trinucleotide_entropy(chunks), expected, atol=1e-12)


@pytest.mark.parametrize(("repeat", "bits"), [("A", 0), ("CA", 1), ("ACGT", 2)])
def test_entropy_of_a_repeat_is_the_logarithm_of_its_period(repeat: str, bits: float) -> None:
    text = (repeat * 100)[: 8 * len(repeat) + 2]
    assert trinucleotide_entropy(encode(text.encode()).tokens[None])[0] == pytest.approx(bits)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(["N" * 11, "N" * 10, "A" * 70, "ACGTTGCATCAGGATC" * 6, "ACG"]), max_size=8))
def test_every_nucleotide_is_kept_or_counted(pieces: list[str]) -> None:
    text = "".join(pieces)
    tally = Tally("nucleotides", "x")
    tokens = np.frombuffer(encode(text.encode()).tokens, dtype=np.uint8)
    stretches = list(kept_stretches(tokens, ChunkConfig(length=64), tally))
    assert sum(end - start for start, end in stretches) + tally.dropped.total() == len(text)
    assert all(left[1] <= right[0] for left, right in pairwise(stretches))
    assert not any("N" * 11 in text[start:end] for start, end in stretches)


def test_random_sequence_is_kept_whole_whatever_its_length() -> None:
    rng = np.random.default_rng(0)
    for length in (20, 63, 100, 511, 512, 513, 3000):
        tokens = rng.integers(6, 10, size=length, dtype=np.uint8)
        assert list(kept_stretches(tokens, ChunkConfig(), Tally("nucleotides", "x"))) == [(0, length)]
