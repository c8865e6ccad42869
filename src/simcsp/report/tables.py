"""Tables of a run: scores per model and fold, of layers, and all of it for other programs."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd

from simcsp.metrics.classification import f1_at
from simcsp.metrics.layers import MIXTURE
from simcsp.metrics.significance import Interval, paired_bootstrap
from simcsp.report.comparisons import BASELINE, Comparison

CLASSIFICATION = ("f1", "auroc", "average_precision")
DRAWS = 1000  # of windows, for the bootstrap interval


def fold_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """Test scores of all sites together: index (model, fold), one column per metric, in the order of the models.

    Where the scores are those of several seeds (a column ``seed``), each is the mean over the seeds of a fold: they
    share its test windows, so they are no further folds.
    """
    per_fold = scores[(scores.site == "all") & (scores.fold != "selection")]
    return per_fold.pivot_table(index=["model", "fold"], columns="metric", values="value", sort=False)


def site_means(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean over folds for donors and acceptors apart: index model, columns (site, metric)."""
    chosen = scores[scores.site.isin(["donor", "acceptor"]) & scores.metric.isin(CLASSIFICATION)]
    return chosen.pivot_table(index="model", columns=["site", "metric"], values="value", sort=False)


def window_intervals(predictions: Mapping[str, pd.DataFrame], threshold: float, seed: int) -> dict[str, Interval]:
    """Bootstrap over test windows the F1 of every model minus that of BASELINE, means over folds.

    Args:
        predictions: model → ``fold``, ``row``, ``label`` and ``probability`` of the test windows of all folds.
        threshold: on the probability.
        seed: of the resamples.
    """
    place = ["fold", "row"]
    reference = predictions[BASELINE].set_index(place)
    found = {}
    for model, table in predictions.items():
        if model == BASELINE:
            continue
        other = table.set_index(place).loc[reference.index]
        found[model] = paired_bootstrap(
            reference.label.to_numpy(),
            other.probability.to_numpy(),
            reference.probability.to_numpy(),
            reference.index.codes[0],
            partial(f1_at, threshold=threshold),
            draws=DRAWS,
            seed=seed,
        )
    return found


def metrics_json(table: pd.DataFrame, comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """Per model: every fold, the mean, and the comparison with BASELINE."""
    content: dict[str, Any] = {}
    for model in dict.fromkeys(table.index.get_level_values(0)):
        rows = table.loc[model]
        content[model] = {
            "folds": [{metric: float(value) for metric, value in row.dropna().items()} for _, row in rows.iterrows()],
            "mean": {metric: float(value) for metric, value in rows.mean().dropna().items()},
            "sd": {metric: float(value) for metric, value in rows.std().dropna().items()},
            "against_baseline": {
                c.metric: {
                    "difference": c.difference,
                    "interval": [c.low, c.high],
                    "p": c.p,
                    "p_holm": c.p_holm,
                    "detectable_difference": c.detectable,
                    "effect_size": c.effect,
                    "interval_over_windows": c.windows and list(c.windows),
                }
                for c in comparisons
                if c.model == model
            },
        }
    return content


def layer_summary(layers: pd.DataFrame) -> pd.DataFrame:
    """Per encoder: the best layer and pooling by each score, and the weights of the mixture that a probe reads best.

    Args:
        layers: as the evaluation writes them: ``model``, ``layer``, ``pooling``, scores, ``weights`` of mixtures.
    """
    rows = []
    for model, table in layers.groupby("model", sort=False):
        row = {"model": model}
        for score in ("sccs", "nmi", "probe_auroc"):
            defined = table[table[score].notna()]
            best = None if defined.empty else defined.loc[defined[score].idxmax()]
            row[score] = "–" if best is None else f"{best[score]:.3f} ({_place(best)})"
        mixtures = table[table.layer == MIXTURE].sort_values("probe_auroc", ascending=False)
        row["weights"] = "–" if mixtures.empty else f"{mixtures.iloc[0].weights} ({mixtures.iloc[0].pooling})"
        rows.append(row)
    return pd.DataFrame(rows).set_index("model")


def _place(cell: pd.Series) -> str:
    return f"{cell.layer if cell.layer == MIXTURE else f'layer {cell.layer}'}, {cell.pooling}"
