"""Second looks at a window: moved along the sequence around it, or with nucleotides changed outside of the site's core.

All sequence is read in the direction of the window, on either strand. The *site* of a window of even length L is the
dinucleotide at offsets L/2 - 1 and L/2; in a moved view it lies ``shift`` nt right of there.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcsp.sequence.alphabet import FIRST_NUCLEOTIDE, Tokens

Shifts = NDArray[np.int64]


def drawn_shifts(count: int, most: int, rng: np.random.Generator) -> Shifts:
    """By how many nt sites are moved: ``(count,)``, each of -most … -1, 1 … most with equal chance."""
    distance = rng.integers(1, most, size=count, endpoint=True)
    return np.where(rng.random(count) < 0.5, -distance, distance)


def cut_out(stretches: NDArray[Any], shift: Shifts, length: int) -> NDArray[Any]:
    """Windows whose site, the middle of a stretch, lies ``shift`` nt right of the middle of the window.

    Args:
        stretches: ``(…, W)``, one value per nucleotide; the site is in the middle of each.
        shift: ``(…)``, at most half of ``W - length`` to either side.
        length: of a window in nt.

    Returns:
        ``(…, length)``.

    >>> cut_out(np.arange(8)[None], np.array([1]), 4).tolist()  # the site is at 3 and 4
    [[1, 2, 3, 4]]
    """
    first = (stretches.shape[-1] - length) // 2 - shift
    return np.take_along_axis(stretches, first[..., None] + np.arange(length), axis=-1)


def mutated(windows: Tokens, share: float, core: int, shift: Shifts, rng: np.random.Generator) -> Tokens:
    """Replace nucleotides outside of the core by one of the three others, each with equal chance; N stays.

    Args:
        windows: ``(n, length)`` nucleotide tokens.
        share: chance of each nucleotide to be replaced.
        core: nt around the site, even, that stay as they are.
        shift: ``(n,)`` nt by which the site lies right of the middle.
        rng: source of chance.
    """
    length = windows.shape[-1]
    first = length // 2 - core // 2 + shift[:, None]
    places = np.arange(length)
    inside = (places >= first) & (places < first + core)
    chosen = (rng.random(windows.shape, dtype=np.float32) < share) & ~inside & (windows >= FIRST_NUCLEOTIDE)
    step = rng.integers(1, 4, size=windows.shape, dtype=np.uint8)
    others = FIRST_NUCLEOTIDE + (windows - np.uint8(FIRST_NUCLEOTIDE) + step) % np.uint8(4)
    return np.where(chosen, others, windows).astype(np.uint8)
