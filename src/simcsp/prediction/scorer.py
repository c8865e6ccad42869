"""What the rest of this room needs of a classifier; shapes: ``n`` windows of ``L`` nucleotides."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from simcsp.sequence.alphabet import Tokens

Probabilities = NDArray[np.float64]


class Scorer(Protocol):
    """What gives probabilities to windows.

    Attributes:
        window: L, even; the dinucleotide is in the middle.
        max_unread: largest share of N in a window.
    """

    window: int
    max_unread: float

    def __call__(self, windows: Tokens) -> Probabilities:
        """``(n, L)`` nucleotide tokens → ``(n,)`` probabilities of a splice site."""
