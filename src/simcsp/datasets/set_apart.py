"""Windows whose labels pre-training may see: they share nothing with those that models are chosen or tested on.

Supervised contrast, or contrast of sites that are known as such in several species, learns labels. A fold whose test
windows, or windows of the same gene or family, were among them would be no test. Such windows are therefore prepared
as sets of their own, and what touches the evaluated windows is left out of them here, once, for every fold: the folds
stay what they are without pre-training of this kind.
"""

import numpy as np
from numpy.typing import NDArray

from simcsp.config import SplitConfig
from simcsp.datasets.clusters import shared_stretches
from simcsp.datasets.splits import kept_together
from simcsp.datasets.windows import WindowTable, concatenate
from simcsp.errors import InputError
from simcsp.sequence.alphabet import Tokens, reverse_complement
from simcsp.tally import Tally


def set_apart(candidates: WindowTable, evaluated: WindowTable, split: SplitConfig, tally: Tally) -> WindowTable:
    """Leave out what shares a group or sequence with windows of the folds or of the part for choices.

    Groups are those that the split keeps together (gene, chromosome, species, cluster; windows that overlap are one
    group), found for both tables at once, so that a chain of groups is followed, too. Shared sequence is an identical
    window, or an identical stretch of `split.shared` nt, on either strand, whatever `split.by` says.

    Args:
        candidates: windows for pre-training.
        evaluated: windows of the same length, with groups as their sources give them.
        split: what is kept together.
        tally: counts the candidates and those left out.

    Raises:
        InputError: if none is left.
    """
    both = concatenate([evaluated, candidates])
    ours = np.arange(len(both.label)) >= len(evaluated.label)
    group = kept_together(both, split)
    grouped = np.isin(group[ours], group[~ours])
    alike = _alike(both.tokens, ours, split)
    tally.read += len(candidates.label)
    tally.drop(f"in a {'window' if split.by == 'label' else split.by} of windows for evaluation", grouped.sum())
    tally.drop(f"shares {split.shared} nt with a window for evaluation", (alike & ~grouped).sum())
    kept = candidates.take(~grouped & ~alike)
    if not len(kept.label):
        raise InputError(
            f"{tally.source}: nothing is left for pre-training with labels",
            hint=f"Dropped {tally.reasons}; give sources or split.pretraining that the folds have no part in",
        )
    return kept


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
