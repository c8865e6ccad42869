from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcsp.sequence.alphabet import decode
from simcsp.sequence.background import dinucleotide_shares, markov_sequence, scatter_repeats, substitute


def test_background_lacks_cpg_alike_on_both_strands() -> None:
    letters = decode(markov_sequence(400_000, 0.41, np.random.default_rng(14)))
    share = {word: letters.count(word) / len(letters) for word in ("C", "G", "CG", "CA", "TG", "AC", "GT")}
    assert share["C"] + share["G"] == pytest.approx(0.41, abs=0.005)
    assert share["CG"] / (share["C"] * share["G"]) == pytest.approx(0.2, abs=0.02)
    assert share["CA"] == pytest.approx(share["TG"], rel=0.05)
    assert share["AC"] == pytest.approx(share["GT"], rel=0.05)


@settings(deadline=None)
@given(st.floats(0.1, 0.9))
def test_dinucleotides_keep_the_share_of_each_nucleotide(gc_share: float) -> None:
    joint = dinucleotide_shares(gc_share)
    single = np.array([1 - gc_share, gc_share, gc_share, 1 - gc_share]) / 2
    np.testing.assert_allclose(joint.sum(axis=1), single, atol=1e-9)
    np.testing.assert_allclose(joint.sum(axis=0), single, atol=1e-9)
    assert joint[1, 2] == pytest.approx(0.2 * single[1] * single[2], rel=1e-6)


@pytest.mark.parametrize("length", [1, 2, 3, 1000, 1023])
def test_markov_sequence_has_the_asked_length(length: int) -> None:
    assert markov_sequence(length, 0.5, np.random.default_rng(0)).shape == (length,)


@settings(deadline=None)
@given(st.floats(0, 1), st.integers(0, 100))
def test_substitution_puts_another_nucleotide(rate: float, seed: int) -> None:
    tokens = markov_sequence(5000, 0.4, np.random.default_rng(seed))
    changed = substitute(tokens, rate, np.random.default_rng(seed + 1))
    assert set(decode(changed)) <= set("ACGT")
    assert np.mean(changed != tokens) == pytest.approx(rate, abs=0.04)


def test_repeats_recur() -> None:
    rng = np.random.default_rng(15)
    bare = markov_sequence(100_000, 0.41, rng)
    littered = bare.copy()
    scatter_repeats(littered, 0.1, 0.49, rng)
    both = [Counter(text[at : at + 20] for at in range(len(text) - 20)) for text in (decode(bare), decode(littered))]
    alone, repeated = (sum(count for count in words.values() if count > 1) for words in both)
    assert alone < 10
    assert repeated > 500
    assert 0.07 < np.mean(bare != littered) / 0.73 < 0.1  # about 0.73 of the bases of a copy are new
