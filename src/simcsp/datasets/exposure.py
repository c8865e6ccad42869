"""Which evaluation windows a pre-training corpus holds.

Pre-training sees no labels, yet a model that has read a test window is not tested on new sequence. A window counts as
exposed if its central 64 nt occur in the corpus on either strand, exactly.
"""

from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simcsp.console import progress
from simcsp.datasets.corpus import Corpus, read_pieces
from simcsp.sequence.alphabet import FIRST_NUCLEOTIDE, Tokens, reverse_complement

PROBE = 64  # nt; long enough to be unique outside of repeats
_ANCHOR = 12  # nt at the start of a probe that are looked up first
_PIECE = 1 << 22  # nt of the corpus at a time


class Exposure(NamedTuple):
    """Exposed windows.

    Attributes:
        exposed: ``(n,)`` true for windows that the corpus holds.
        by_species: exposed windows per species of the corpus; a window may be in several.
    """

    exposed: NDArray[np.bool_]
    by_species: dict[str, int]


def exposed_windows(windows: Tokens, corpus: Path) -> Exposure:
    """Find windows ``(n, length)`` in the corpus in a folder, in one pass over it.

    Windows shorter than 64 nt are looked for as a whole.
    """
    probes = _probes(windows)
    length = min(PROBE, windows.shape[1])
    anchors = np.zeros(4**_ANCHOR, dtype=bool)
    for probe in probes:
        anchors[_codes(np.frombuffer(probe, dtype=np.uint8)[:_ANCHOR])] = True
    found: dict[str, set[int]] = defaultdict(set)
    with progress(None, "prepare: exposure", unit="nt", total=Corpus(corpus, length).size, scale=True) as bar:
        for region, tokens in read_pieces(corpus, _PIECE, length - 1):
            starts = np.flatnonzero(anchors[_codes(tokens)[: max(0, tokens.size - length + 1)]])
            for start in starts.tolist():
                found[region.species].update(probes.get(tokens[start : start + length].tobytes(), ()))
            bar.update(tokens.size)
    exposed = np.zeros(len(windows), dtype=bool)
    exposed[sorted(set().union(*found.values()))] = True
    return Exposure(exposed, {species: len(rows) for species, rows in sorted(found.items()) if rows})


def exposure_record(exposure: Exposure, part: NDArray[np.int8]) -> dict[str, object]:
    """What the manifest says of it."""
    parts = Counter(part[exposure.exposed].tolist())
    return {
        "probe": f"central {PROBE} nt, either strand",
        "windows": int(exposure.exposed.sum()),
        "of": int(exposure.exposed.size),
        "by species of the corpus": exposure.by_species,
        "per part": [parts[number] for number in range(int(part.max()) + 1)],
    }


def _probes(windows: Tokens) -> dict[bytes, list[int]]:
    """Central stretch of each window, as it is and as it reads on the other strand → rows."""
    length = min(PROBE, windows.shape[1])
    first = (windows.shape[1] - length) // 2
    centres = np.ascontiguousarray(windows[:, first : first + length])
    probes: dict[bytes, list[int]] = defaultdict(list)
    for strand in (centres, reverse_complement(centres)):
        for row, probe in enumerate(strand):
            probes[probe.tobytes()].append(row)
    return dict(probes)


def _codes(tokens: Tokens) -> NDArray[np.uint32]:
    """Number of the stretch of twelve nucleotides at each place, ``(length,)`` → ``(length - 11,)``; N counts as A."""
    codes = (np.maximum(tokens, FIRST_NUCLEOTIDE) - np.uint8(FIRST_NUCLEOTIDE)).astype(np.uint32)
    singles = codes
    pairs = (singles[:-1] << 2) | singles[1:]
    fours = (pairs[:-2] << 4) | pairs[2:]
    eights = (fours[:-4] << 8) | fours[4:]
    return np.asarray((eights[:-4] << 8) | fours[8:], dtype=np.uint32)
