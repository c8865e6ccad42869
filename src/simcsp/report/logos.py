"""Sequence logos of the clusters that an encoder makes of its windows."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from simcsp.report.exploration import Explored, cluster_table
from simcsp.report.figures import BLUE, GREEN, ORANGE, RED
from simcsp.sequence.alphabet import FIRST_NUCLEOTIDE, VOCABULARY, Tokens

_LETTERS = list(VOCABULARY[FIRST_NUCLEOTIDE:])
_FEW = 10  # windows that a logo needs


def base_frequencies(tokens: Tokens, flank: int) -> pd.DataFrame:
    """Share of A, C, G and T at each place around the site; N counts for none of them.

    Args:
        tokens: ``(n, length)``.
        flank: nucleotides shown on either side of the dinucleotide.

    Returns:
        One row per place in nt from the first nucleotide of the dinucleotide, which is 0; rows add up to 1.
    """
    middle = tokens.shape[1] // 2 - 1
    flank = min(flank, middle)
    shown = tokens[:, middle - flank : middle + flank + 2]
    counts = np.stack([(shown == FIRST_NUCLEOTIDE + base).sum(axis=0) for base in range(4)], axis=1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return pd.DataFrame(shares, columns=_LETTERS, index=np.arange(-flank, flank + 2))


def information(frequencies: pd.DataFrame) -> pd.DataFrame:
    """Heights of the letters of a logo in bits (Schneider & Stephens 1990), without correction for few windows."""
    shares = frequencies.to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -np.nansum(np.where(shares > 0, shares * np.log2(shares), 0), axis=1, keepdims=True)
    return frequencies * (2 - entropy)


def cluster_logos(run: Explored, windows: pd.DataFrame, *, flank: int = 12, most: int = 8) -> Figure:
    """Sequence logos of the largest clusters, at most ``most``; clusters of few windows are left out."""
    import logomaker  # noqa: PLC0415 - of the notebooks alone

    table = cluster_table(windows)
    chosen = table[table.windows >= _FEW].head(most)
    rows = max(1, (len(chosen) + 1) // 2)
    figure = Figure(figsize=(12.6, 0.5 + 1.75 * rows))
    panels = figure.subplots(rows, 2, squeeze=False).ravel()
    colours = dict(zip(_LETTERS, (GREEN, BLUE, ORANGE, RED), strict=True))
    for axes, (cluster, facts) in zip(panels, chosen.iterrows(), strict=False):
        frequencies = base_frequencies(run.tokens[windows.row[windows.cluster == cluster]], flank)
        logomaker.Logo(information(frequencies), ax=axes, color_scheme=colours, show_spines=False)
        axes.axvspan(-0.5, 1.5, color="0.94", zorder=-1)
        axes.set(ylim=(0, 2), yticks=(0, 1, 2), ylabel="bits")
        axes.set_title(
            f"cluster {cluster}: {facts.windows} windows, {facts.purity:.0%} {facts.mostly}", fontsize=9, loc="left"
        )
    for axes in panels[len(chosen) :]:
        axes.set_axis_off()
    for axes in panels[max(0, len(chosen) - 2) : len(chosen)]:
        axes.set_xlabel("nt from the first nucleotide of the site's dinucleotide")
    return figure
