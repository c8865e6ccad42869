"""Nucleotide frequencies of human U2-type splice sites and branch points, as published.

Each matrix is ``(positions, 4)``, columns A, C, G, T, rows in the direction of transcription, every row a
distribution. All three are the low-G+C profiles of Zhang (1998), Hum Mol Genet 7:919-932, as tabulated in
Deonier, Tavaré & Waterman, *Computational Genome Analysis*, Table 14.3. Published entries are rounded to 0.01
and each row is rescaled to sum to one.

Positions are counted as in the literature: −1 is the last base before a boundary and +1 the first after it.
"""

import numpy as np
from numpy.typing import NDArray

from simcsp.sequence.alphabet import FIRST_NUCLEOTIDE, Tokens

Matrix = NDArray[np.float64]

DONOR_EXONIC = 3  # rows of DONOR before the exon–intron boundary: −3 … −1, then +1 … +6
ACCEPTOR_INTRONIC = 15  # rows of ACCEPTOR before the intron–exon boundary: −15 … −1, then +1, +2
BRANCH_BEFORE = 5  # rows of BRANCH_POINT before the branching A

GC_AG_SHARE = 0.0069
"""Share of introns GC–AG rather than GT–AG, mammals: Burset, Seledtsov & Solovyev (2000), Nucleic Acids Res
28:4364, abstract (after correction by genomic sequence: GT–AG 99.24 %, GC–AG 0.69 %, all others 0.07 %)."""

BRANCH_DISTANCE = (18, 44)
"""Fewest and most nt from the branching A to the exon (1 would be the last base of the intron): Mercer et al.
(2015), Genome Res 25:290. Gao et al. (2008), Nucleic Acids Res 36:2257, find 83 % of clones in 21 … 34."""

BRANCH_DISTANCE_MEAN_SPREAD = (27.5, 5.1)
"""Mean and standard deviation (nt) of a normal law that puts 83 % of rounded distances in 21 … 34 (Gao 2008)."""

ENHANCERS = ("GAAGAA", "AAGAAG", "AGAAGA", "GAAGAC", "GAAGAT", "AAGAAC")
"""Hexamers of the purine-rich kind among the 238 exonic splicing enhancers of Fairbrother et al. (2002), Science
297:1007. Which six is a choice."""


def _rows(*columns: str) -> Matrix:
    """Turn the published lines, one per nucleotide in percent, into rows that sum to one."""
    percent = np.array([[float(entry) for entry in column.split()] for column in columns]).T
    rows: Matrix = percent / percent.sum(axis=1, keepdims=True)
    return rows


DONOR = _rows(
    # -3 -2 -1  +1  +2 +3 +4 +5 +6
    "38 62 12   0   0 71 73 11 21",
    "31 10  4   0   0  2  6  6 10",
    "18 12 77 100   0 24  8 75 14",
    "13 16  7   0 100  3 13  8 55",
)

DONOR_GC = DONOR.copy()
"""Donor of GC–AG introns: DONOR with C at +2. A simplification: real ones keep closer to the consensus elsewhere
(Thanaraj & Clark 2001, Nucleic Acids Res 29:2581)."""
DONOR_GC[DONOR_EXONIC + 1] = (0, 1, 0, 0)

ACCEPTOR = _rows(
    # -15 … -3                                -2  -1  +1 +2
    "15 14 13 11 10 10 11 12 13 11 10 26  7 100   0 26 24",
    "24 21 20 22 21 22 25 28 28 25 22 25 55   0   0 11 15",
    "10 12 10  9 10  9 10 10  8  5  5 15  1   0 100 50 20",
    "51 53 57 58 59 59 54 50 51 59 63 33 37   0   0 13 41",
)

BRANCH_POINT = _rows(
    # -5 -4 -3 -2 -1   A +1
    "25 25  0  0 39 100 18",
    "19 22 60  2 24   0 33",
    "15 17  0  0 32   0  3",
    "41 36 40 98  5   0 46",
)

TRACT = (ACCEPTOR[0] + 0.25) / 2
"""One position of the polypyrimidine tract further upstream than ACCEPTOR reaches: half its first row and half
uniform, chosen; human positions near −20 look so."""


def draw(rows: Matrix, rng: np.random.Generator) -> Tokens:
    """One nucleotide per row: ``(n, 4)`` probabilities → ``(n,)`` tokens."""
    passed = rng.random(len(rows))[:, None] >= rows.cumsum(axis=1)[:, :3]
    tokens: Tokens = FIRST_NUCLEOTIDE + passed.sum(axis=1, dtype=np.uint8)
    return tokens
