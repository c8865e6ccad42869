"""Windows that belong together for another reason than being the same: one label, or one site in two species.

Both kinds are prepared apart from the windows that models are chosen and tested on
(:mod:`simcsp.datasets.set_apart`). What is drawn is a function of the random generator that is given.
"""

from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from simcsp.config import PhaseConfig
from simcsp.datasets.kept_together import joined_by_overlap
from simcsp.datasets.windows import WindowTable, load_windows
from simcsp.errors import InputError
from simcsp.sequence.alphabet import Tokens
from simcsp.sequence.sites import SITE_NAMES

LABELLED, ORTHOLOGUES = "labelled", "orthologues"  # folders of a prepared set
FOLDERS = {"label": LABELLED, "orthologue": ORTHOLOGUES}  # by what the positives of a phase have in common


class Pairs(NamedTuple):
    """Two windows for each anchor of a contrastive batch; one of the other two columns says what is told apart.

    Attributes:
        tokens: ``(B, 2, length)`` nucleotide tokens with the site in the middle; the same window twice where its label
            is what counts.
        kind: ``(B,)`` twice the site type, plus the label.
        locus: ``(B,)`` the same for sites that overlap, or are the same, in any species.
    """

    tokens: Tokens
    kind: NDArray[np.int64] | None = None
    locus: NDArray[np.int64] | None = None


class PairSource(Protocol):
    """Where pairs are drawn from."""

    def draw(self, count: int, rng: np.random.Generator) -> Pairs:
        """Draw ``count`` of them."""


def load_pairs(prepared: Path, phase: PhaseConfig) -> PairSource | None:
    """What a phase draws pairs from, if that is not the corpus.

    Raises:
        InputError: if nothing was prepared for it.
    """
    if phase.positives == "window":
        return None
    table = load_windows(prepared / FOLDERS[phase.positives])
    return LabelledPairs(table) if phase.positives == "label" else OrthologuePairs(table)


class LabelledPairs:
    """Labelled windows, of each site type and label equally many in every batch, so that each has hard negatives.

    Args:
        table: the windows.

    Raises:
        InputError: if a site type lacks one of its labels.
    """

    def __init__(self, table: WindowTable) -> None:
        self.tokens = table.tokens
        self.kind = 2 * table.site_type.astype(np.int64) + table.label
        self._rows = [np.flatnonzero(self.kind == kind) for kind in np.unique(self.kind)]
        for site_type, name in enumerate(SITE_NAMES):
            labels = np.unique(table.label[table.site_type == site_type])
            if labels.size == 1:
                missing = f"{name}s" if labels[0] == 0 else f"decoys of {name}s"
                raise InputError(
                    f"the labelled windows of pre-training hold no {missing}", hint="Give more under data.labelled"
                )

    def draw(self, count: int, rng: np.random.Generator) -> Pairs:
        """Each window at most once while there are enough of its kind."""
        shares = [len(part) for part in np.array_split(np.arange(count), len(self._rows))]
        rows = np.concatenate(
            [rng.choice(rows, size=n, replace=n > rows.size) for rows, n in zip(self._rows, shares, strict=True)]
        )
        return Pairs(np.repeat(self.tokens[rows][:, None], 2, axis=1), kind=self.kind[rows])


class OrthologuePairs:
    """Windows of one site in two species, both drawn from all that have it.

    Args:
        table: windows of several species; those of one ``group`` are of one site.

    Raises:
        InputError: if no site has windows of two species.
    """

    def __init__(self, table: WindowTable) -> None:
        # Sources of one reference all hold its window of a site; a window is no ortholog of itself.
        places = np.stack([table.group, table.species, table.origin], axis=1)
        once = np.sort(np.unique(places, axis=0, return_index=True)[1])
        table = table.take(once[np.argsort(table.group[once], kind="stable")])
        _, first, self._sizes = np.unique(table.group, return_index=True, return_counts=True)
        several = self._sizes > 1
        self._first, self._sizes = first[several], self._sizes[several]
        if not self._first.size:
            raise InputError("no site is known in two species", hint="Give more under data.orthologues")
        self.tokens = table.tokens
        joined = joined_by_overlap(table, table.group)
        self._locus = np.unique(joined, return_inverse=True)[1].astype(np.int64)

    @property
    def sites(self) -> int:
        """Sites that are known in two species or more."""
        return int(self._first.size)

    def draw(self, count: int, rng: np.random.Generator) -> Pairs:
        """Each site at most once while there are enough."""
        sites = rng.choice(self.sites, size=count, replace=count > self.sites)
        sizes = self._sizes[sites]
        one = rng.integers(sizes)
        other = (one + rng.integers(1, sizes)) % sizes
        rows = self._first[sites][:, None] + np.stack([one, other], axis=1)
        return Pairs(self.tokens[rows], locus=self._locus[rows[:, 0]])
