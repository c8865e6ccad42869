"""What a split keeps together: windows of one group are in one part.

What a group is, `split.by` says:

- ``group``: what the source says (gene, locus, table of clusters); windows of which it says nothing are clustered by
  sequence among themselves. Groups whose windows overlap, as those of two sources of one genome may, are one.
- ``chromosome``: a contig of one species; ``species``: all its contigs.
- ``cluster``: a cluster of similar sequence (:mod:`simcsp.datasets.clusters`), whatever the source says.
- ``label``: nothing is kept together. This is the published split of SpliceBERT, SimCSP and RiNALMo on Spliceator's
  GS_1: scikit-learn's ``StratifiedKFold`` over the labels alone, shuffled (Chen et al. with 10 folds and seed 2020).
  In the Nucleotide Transformer's copy of GS_1, 24 % of the test windows have a near-duplicate in training (8-mer
  Jaccard index of 0.7 or more), so scores gain from what a model remembers; ``python src/evaluate.py leakage`` says how
  much.
"""

import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from simcsp.config import SplitConfig
from simcsp.datasets.clusters import sequence_clusters
from simcsp.datasets.windows import WindowTable
from simcsp.errors import InputError

Names = NDArray[np.str_]

_PLACE = re.compile(r"(?P<contig>.+):(?P<start>\d+)-(?P<end>\d+):[+-]")


class Places(NamedTuple):
    """Where windows lie.

    Attributes:
        known: ``(n,)`` whether the origin has coordinates; the other columns are empty or 0 where it has none.
        contig: ``(n,)``.
        middle: ``(n,)`` middle of the interval, 0-based, on the forward strand: that of the window, whether the origin
            names the window or its site.
    """

    known: NDArray[np.bool_]
    contig: Names
    middle: NDArray[np.int64]


def kept_together(table: WindowTable, split: SplitConfig) -> Names:
    """Group of every window, as `split.by` asks.

    Raises:
        InputError: if groups cannot be told.
    """
    if split.by == "group":
        return joined_by_overlap(table, _with_clusters(table, table.group == "", split))
    if split.by == "cluster":
        return _with_clusters(table, np.ones(len(table.group), dtype=bool), split)
    if split.by == "chromosome":
        return _chromosomes(table)
    return table.species if split.by == "species" else np.array([f"window:{row}" for row in range(len(table.group))])


def _with_clusters(table: WindowTable, rows: NDArray[np.bool_], split: SplitConfig) -> Names:
    """The given groups, but ``cluster:17`` and the like for the chosen rows, which are clustered among themselves."""
    if not rows.any():
        return table.group
    group = table.group.astype(object)
    group[rows] = [f"cluster:{number}" for number in sequence_clusters(table.tokens[rows], split).tolist()]
    return group.astype(str)


def joined_by_overlap(table: WindowTable, group: Names) -> Names:
    """The given groups ``(n,)``, but one where windows overlap: two sources of one genome name its genes independently.

    Windows have one length, so those that overlap are linked through neighbours in the order of their middles.
    """
    known, contig, middle = places(table.origin)
    rows = np.flatnonzero(known)
    _, chromosome = np.unique(_contigs_of_species(table.species[rows], contig[rows]), return_inverse=True)
    order = np.lexsort((middle[rows], chromosome))
    rows, chromosome, middle = rows[order], chromosome[order], middle[rows[order]]
    overlap = (np.diff(chromosome) == 0) & (np.diff(middle) < table.tokens.shape[1])
    names, number = np.unique(group, return_inverse=True)
    before, after = number[rows[:-1][overlap]], number[rows[1:][overlap]]
    links = csr_array((np.ones(before.size, dtype=bool), (before, after)), shape=(names.size, names.size))
    _, component = connected_components(links, directed=False)
    _, first = np.unique(component, return_index=True)
    joined: Names = names[first[component[number]]]
    return joined


def _chromosomes(table: WindowTable) -> Names:
    known, contig, _ = places(table.origin)
    if not known.all():
        raise InputError(
            f"{np.count_nonzero(~known):,} windows have no coordinates (the first is {table.origin[~known][0]}), so "
            "chromosomes cannot be kept together",
            hint="Set split.by to cluster",
        )
    return _contigs_of_species(table.species, contig)


def _contigs_of_species(species: Names, contig: Names) -> Names:
    return np.array([" ".join(names) for names in zip(species.tolist(), contig.tolist(), strict=True)], dtype=str)


def places(origin: Names) -> Places:
    """Read origins of the form ``contig:start-end:strand``; others (``file:record``) have no place."""
    found = [_PLACE.fullmatch(text) for text in origin.tolist()]
    return Places(
        np.array([one is not None for one in found], dtype=bool),
        np.array([one["contig"] if one else "" for one in found], dtype=str),
        np.array([(int(one["start"]) + int(one["end"])) // 2 if one else 0 for one in found], dtype=np.int64),
    )
