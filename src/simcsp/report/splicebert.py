"""The published figures of SpliceBERT's embeddings, and measured ones beside them.

NMI of splice sites and decoys, within donors and within acceptors. Published: Chen et al. 2024, figure on embeddings
and its supplement, as printed in ``examples/02-embedding/embedding_analysis.ipynb`` of
github.com/chenkenbio/SpliceBERT (20,000 sites on hg19).
"""

from typing import NamedTuple

import pandas as pd

from simcsp.report.markdown import markdown_table

PUBLISHED_SITES = 20_000
PUBLISHED_SCCS = 0.0369
"""Of splicebert-human.510nt before training, on pairs of Spliceator's windows (github.com/kest3869/SimCSP)."""
FLANKS = (10, 20, 50, 100, 200)
"""Nucleotides on either side of the dinucleotide that the published one-hot vectors hold."""

# By model and layer, or flank: NMI within donors and within acceptors, all sites clustered together.
_TOGETHER = {
    ("splicebert.510nt", 4): (0.31, 0.30),
    ("splicebert-human.510nt", 6): (0.18, 0.08),
    ("one-hot", 10): (0.033, 0.022),
    ("one-hot", 20): (0.044, 0.029),
    ("one-hot", 50): (0.077, 0.058),
    ("one-hot", 100): (0.081, 0.066),
    ("one-hot", 200): (0.082, 0.067),
}
# Likewise, donors and acceptors clustered apart.
_APART = {
    ("splicebert.510nt", 1): (0.03, 0.02),
    ("splicebert.510nt", 2): (0.11, 0.25),
    ("splicebert.510nt", 3): (0.24, 0.27),
    ("splicebert.510nt", 4): (0.26, 0.28),
    ("splicebert.510nt", 5): (0.25, 0.25),
    ("splicebert.510nt", 6): (0.23, 0.23),
}

# Average precision of the zero-shot scores (variant_analysis.ipynb): assay, model, variants, score.
_PRECISION = {
    "splicebert.510nt": {
        "vexseq": {("all", "−ΔP"): 0.099, ("all", "KL"): 0.290, ("without sites", "KL context"): 0.182},
        "mfass": {("all", "−ΔP"): 0.145, ("all", "KL"): 0.265, ("without sites", "KL context"): 0.118},
    },
    "splicebert-human.510nt": {
        "vexseq": {("all", "−ΔP"): 0.053, ("all", "KL"): 0.222, ("without sites", "KL context"): 0.061},
        "mfass": {("all", "−ΔP"): 0.068, ("all", "KL"): 0.271, ("without sites", "KL context"): 0.076},
    },
}
PUBLISHED_PRECISION: dict[tuple[str, str | None, str, str], float] = {
    (assay, model, *key): value
    for model, assays in _PRECISION.items()
    for assay, values in assays.items()
    for key, value in values.items()
}
"""Of (assay, model, variants, score), as `src/variants.py` names them."""


class Measured(NamedTuple):
    """One row: what was clustered, how, and what came out.

    Attributes:
        model: a checkpoint, or ``one-hot``.
        layer: hidden state, or flank in nt of one-hot vectors.
        recipe: `published` (scanpy's Leiden, one seed; of encoders, the minus strand one nucleotide upstream) or
            `corrected` (the sites themselves, Leiden to convergence over seeds).
        together: NMI within donors and within acceptors of one clustering of all sites.
        apart: NMI of donors and of acceptors, each clustered for itself; nan where not measured.
        clusters: number of clusters of all sites.
        sccs: of `[CLS]`; nan for one-hot vectors.
    """

    model: str
    layer: int
    recipe: str
    together: tuple[float, float]
    apart: tuple[float, float]
    clusters: float
    sccs: float


def comparison(rows: list[Measured]) -> pd.DataFrame:
    """Measured and published figures, a row for each model, layer and recipe."""
    nothing = (float("nan"),) * 2
    table = []
    for row in rows:
        known = [figures.get((row.model, row.layer), nothing) for figures in (_TOGETHER, _APART)]
        table.append(
            {
                "model": row.model,
                "layer": row.layer,
                "recipe": row.recipe,
                "donor": row.together[0],
                "acceptor": row.together[1],
                "donor_published": known[0][0],
                "acceptor_published": known[0][1],
                "clusters": row.clusters,
                "donor_apart": row.apart[0],
                "acceptor_apart": row.apart[1],
                "donor_apart_published": known[1][0],
                "acceptor_apart_published": known[1][1],
                "sccs": row.sccs,
            }
        )
    return pd.DataFrame(table)


def comparison_page(
    table: pd.DataFrame, agreements: list[tuple[str, str, float]], *, sites: int, assembly: str, sources: str
) -> str:
    """The table as Markdown, with what may be compared and what may not.

    Args:
        table: from :func:`comparison`.
        agreements: model, recipe and SCCS on Spliceator's windows, if it was measured.
        sites: number of sites.
        assembly: of the genome they are on.
        sources: sentence on the files.
    """
    head = ["model", "layer or flank", "recipe", "NMI donor / acceptor", "published", "clusters",
            "apart: donor / acceptor", "published", "SCCS of [CLS]"]  # fmt: skip
    rows = [
        [
            row.model, row.layer, row.recipe, _pair(row.donor, row.acceptor),
            _pair(row.donor_published, row.acceptor_published), f"{row.clusters:.0f}",
            _pair(row.donor_apart, row.acceptor_apart), _pair(row.donor_apart_published, row.acceptor_apart_published),
            "–" if pd.isna(row.sccs) else f"{row.sccs:.3f}",
        ]
        for row in table.itertuples()
    ]  # fmt: skip
    page = ["# NMI and SCCS of SpliceBERT", _comparable(sites, assembly), sources, markdown_table(head, rows)]
    if agreements:
        known = {"splicebert-human.510nt": PUBLISHED_SCCS}
        page.append("SCCS of the last layer's [CLS] on Spliceator's windows:")
        found = [[model, recipe, f"{value:.4f}", known.get(model, "–")] for model, recipe, value in agreements]
        page.append(markdown_table(["model", "recipe", "SCCS", "published"], found))
    return "\n\n".join(page) + "\n"


def _comparable(sites: int, assembly: str) -> str:
    if assembly == "hg19" and sites == PUBLISHED_SITES:
        return "The published number of sites on the published assembly: figures should agree to 0.01."
    return (
        f"These are {sites:,} sites on {assembly}, not the {PUBLISHED_SITES:,} on hg19 that the published figures are "
        "of: NMI depends on the number of sites and on how decoys were drawn, so the published columns are for "
        "orientation."
    )


def _pair(donor: float, acceptor: float) -> str:
    return "–" if pd.isna(donor) and pd.isna(acceptor) else f"{donor:.3f} / {acceptor:.3f}"
