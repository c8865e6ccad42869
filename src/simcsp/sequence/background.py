"""Simulated sequence that holds no splice site on purpose: Markov sequence, substitutions, repeats."""

import math

import numpy as np
from numpy.typing import NDArray

from simcsp.sequence.alphabet import FIRST_NUCLEOTIDE, A, Tokens, reverse_complement

CPG_OBSERVED_TO_EXPECTED = 0.2  # vertebrates: Sved & Bird (1990), PNAS 87:4692
TRANSITIONS = 2 / 3  # of all substitutions; human–baboon 1.98 : 1, Liu et al. (2003), Genome Res 13:358, Table 1
REPEAT_LENGTH = 300  # nt, as Alu: Batzer & Deininger (2002), Nat Rev Genet 3:370
REPEAT_TAIL = 20  # nt of A at its end, chosen
REPEAT_FAMILIES = 3  # chosen
REPEAT_DIVERGENCE = 0.1  # of a copy from its family, chosen


def markov_sequence(length: int, gc: float, rng: np.random.Generator) -> Tokens:
    """A first-order Markov sequence with few CpG whose statistics are the same on both strands.

    Many stretches grow side by side and are then joined, which is fast and breaks the chain once per stretch.
    """
    joint = dinucleotide_shares(gc)
    cumulative = (joint / joint.sum(axis=1, keepdims=True)).cumsum(axis=1)[:, :3]
    stretches = math.isqrt(length) + 1
    drawn = np.empty((length // stretches + 1, stretches), dtype=np.uint8)
    drawn[0] = rng.choice(4, size=stretches, p=joint.sum(axis=1))
    for step in range(1, len(drawn)):
        drawn[step] = (rng.random(stretches)[:, None] >= cumulative[drawn[step - 1]]).sum(axis=1)
    return FIRST_NUCLEOTIDE + drawn.T.ravel()[:length]


def dinucleotide_shares(gc: float) -> NDArray[np.float64]:
    """``(4, 4)`` shares of dinucleotides: few CpG, otherwise as near to independence as ``gc`` allows.

    What CpG lacks is given evenly to the other dinucleotides that begin with C or end with G, and taken from
    the rest, so that each nucleotide keeps its share at both places.
    """
    single = np.array([1 - gc, gc, gc, 1 - gc]) / 2
    c = gc / 2  # share of C, and of G
    beside = (1 - CPG_OBSERVED_TO_EXPECTED * c) / (1 - c)
    ratio = np.full((4, 4), (1 - beside * c) / (1 - c))
    ratio[1, :] = ratio[:, 2] = beside
    ratio[1, 2] = CPG_OBSERVED_TO_EXPECTED
    shares: NDArray[np.float64] = np.outer(single, single) * ratio
    return shares


def substitute(tokens: Tokens, rate: float, rng: np.random.Generator) -> Tokens:
    """A copy in which a share ``rate`` of the nucleotides is replaced by another one."""
    # With A, C, G, T as 0 … 3, flipping the higher bit is a transition and flipping the lower a transversion.
    transversion = (1 - TRANSITIONS) / 2
    kinds = np.array([2, 1, 3], dtype=np.uint8)
    flips = rng.choice(kinds, size=tokens.shape, p=[TRANSITIONS, transversion, transversion])
    flips[rng.random(tokens.shape) >= rate] = 0
    changed: Tokens = FIRST_NUCLEOTIDE + ((tokens - FIRST_NUCLEOTIDE) ^ flips)
    return changed


def scatter_repeats(tokens: Tokens, share: float, gc: float, rng: np.random.Generator) -> None:
    """Overwrite random places with imperfect copies of a few repeats, on either strand.

    Copies may overlap, so that somewhat less than ``share`` of the sequence ends as repeat.
    """
    count = int(share * tokens.size / REPEAT_LENGTH)
    families = markov_sequence(REPEAT_FAMILIES * REPEAT_LENGTH, gc, rng).reshape(REPEAT_FAMILIES, REPEAT_LENGTH)
    families[:, -REPEAT_TAIL:] = A
    copies = substitute(families[rng.integers(REPEAT_FAMILIES, size=count)], REPEAT_DIVERGENCE, rng)
    turned = rng.random(count) < 0.5
    copies[turned] = reverse_complement(copies[turned])
    starts = rng.integers(tokens.size - REPEAT_LENGTH, size=count)
    tokens[starts[:, None] + np.arange(REPEAT_LENGTH)] = copies
