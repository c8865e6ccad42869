"""Windows that share nothing with others: those whose labels pre-training may see, and those of other species.

Supervised contrast, or contrast of sites that are known as such in several species, learns labels. A fold whose test
windows, or windows of the same gene or family, were among them would be no test. Such windows are therefore prepared
as sets of their own, and what touches the evaluated windows is left out of them here, once, for every fold: the folds
stay what they are without pre-training of this kind. Windows of other species, on which models are scored as well, are
in turn kept apart from all that models learn labels from.
"""

import numpy as np
from numpy.typing import NDArray

from simcsp.config import SplitConfig
from simcsp.datasets.clusters import shared_stretches
from simcsp.datasets.kept_together import kept_together
from simcsp.datasets.windows import WindowTable, concatenate
from simcsp.errors import InputError
from simcsp.sequence.alphabet import Tokens, reverse_complement
from simcsp.tally import Tally


def set_apart(
    candidates: WindowTable,
    others: WindowTable,
    split: SplitConfig,
    tally: Tally,
    known_as: str = "the folds",
    *,
    within_species: bool = False,
) -> WindowTable:
    """Leave out what shares a group or sequence with other windows, for instance those of folds and for choices.

    Groups are those that the split keeps together (gene, chromosome, species, cluster; windows that overlap are one
    group), found for both tables at once, so that a chain of groups is followed, too. Shared sequence is an identical
    window, or an identical stretch of `split.shared` nt, on either strand, whatever `split.by` says.

    Args:
        candidates: windows to choose from.
        others: windows of the same length, with groups as their sources give them.
        split: what is kept together.
        tally: counts the candidates and those left out.
        known_as: what the others are, in the words of reasons and errors.
        within_species: a gene is told by its species and its name, so that a gene of another species is another one,
            however much the two have in common but sequence.

    Raises:
        InputError: if none is left.
    """
    both = concatenate([others, candidates])
    ours = np.arange(len(both.label)) >= len(others.label)
    group = kept_together(_of_own_species(both) if within_species else both, split)
    grouped = np.isin(group[ours], group[~ours])
    alike = _alike(both.tokens, ours, split)
    kind = "window" if split.by == "label" else split.by
    tally.read += len(candidates.label)
    tally.drop(f"in a {kind} of {known_as}", grouped.sum())
    tally.drop(f"shares {split.shared} nt with a window of {known_as}", (alike & ~grouped).sum())
    kept = candidates.take(~grouped & ~alike)
    if not len(kept.label):
        raise InputError(
            f"{tally.source}: nothing is left that shares no {kind} or sequence with {known_as}",
            hint=f"Dropped {tally.reasons}; give sources (or split.pretraining) that {known_as} have no part in",
        )
    return kept


def _of_own_species(table: WindowTable) -> WindowTable:
    """Groups named after their species, too; windows without a group stay so."""
    named = [f"{species} {group}" if group else "" for species, group in zip(table.species, table.group, strict=True)]
    return table._replace(group=np.array(named, dtype=str))


def _alike(tokens: Tokens, ours: NDArray[np.bool_], split: SplitConfig) -> NDArray[np.bool_]:
    """Which of our windows are, or share a stretch with, one of the others."""
    stretches = shared_stretches(tokens, min(split.shared, tokens.shape[1]))
    foreign = ~ours[stretches.window]
    found = np.zeros(len(tokens), dtype=bool)
    found[stretches.window[np.isin(stretches.key, stretches.key[foreign])]] = True
    others = tokens[~ours]
    known = {window.tobytes() for strand in (others, reverse_complement(others)) for window in strand}
    found[ours] |= [window.tobytes() in known for window in tokens[ours]]
    return np.asarray(found[ours])
