"""Tables of a run: scores per model, and each model against BASELINE with the test that a difference needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from simcsp.metrics.classification import f1_at
from simcsp.metrics.layers import MIXTURE
from simcsp.metrics.significance import (
    Interval,
    corrected_t_test,
    detectable_difference,
    effect_size,
    holm,
    paired_bootstrap,
)

REFERENCE = "baseline"
METRICS = ("f1", "auroc", "average_precision", "sccs", "nmi")
COMPARED = METRICS
CLASSIFICATION = ("f1", "auroc", "average_precision")
ALPHA = 0.05
DRAWS = 1000  # of windows, for the bootstrap interval


@dataclass(frozen=True)
class Comparison:
    """One model against BASELINE on one metric, paired over folds.

    Attributes:
        model: the other model.
        metric: which score.
        difference: mean over folds of model minus BASELINE.
        interval: 95 % interval of the mean difference (Nadeau and Bengio 2003).
        p: of the corrected resampled t test.
        p_holm: after Holm's correction over all comparisons on this metric.
        detectable: smallest difference that this test would have found in 4 of 5 repetitions, at the level that
            the smallest of Holm's p values has to reach.
        effect: Cohen's d_z, the difference in units of its standard deviation over folds.
        windows: 95 % bootstrap interval over test windows; none where predictions are not resampled (all but F1).
    """

    model: str
    metric: str
    difference: float
    interval: tuple[float, float]
    p: float
    p_holm: float
    detectable: float
    effect: float
    windows: tuple[float, float] | None = None


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
    reference = predictions[REFERENCE].set_index(place)
    found = {}
    for model, table in predictions.items():
        if model == REFERENCE:
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


def compare_with_baseline(
    table: pd.DataFrame, test_to_train: float, windows: Mapping[str, Interval] | None = None
) -> list[Comparison]:
    """Test every model against BASELINE on each compared metric.

    Args:
        table: from :func:`fold_scores`.
        test_to_train: test windows per training window of a fold, which the corrected test allows for.
        windows: model → bootstrap interval of F1, from :func:`window_intervals`.
    """
    comparisons: list[Comparison] = []
    reference = table.loc[REFERENCE]
    others = [model for model in dict.fromkeys(table.index.get_level_values(0)) if model != REFERENCE]
    for metric in COMPARED:
        differences = {
            model: values
            for model in others
            if np.isfinite(values := (table.loc[model][metric] - reference[metric]).to_numpy(dtype=np.float64)).all()
        }  # the yardstick embeds nothing
        tests = {model: corrected_t_test(values, test_to_train) for model, values in differences.items()}
        corrected = holm(np.array([test.p_value for test in tests.values()]))
        comparisons += [
            Comparison(
                model=model,
                metric=metric,
                difference=test.mean,
                interval=(float(test.interval[0]), float(test.interval[1])),
                p=test.p_value,
                p_holm=float(p_holm),
                detectable=detectable_difference(differences[model], test_to_train, alpha=ALPHA / len(tests)),
                effect=effect_size(differences[model]),
                windows=(windows[model].low, windows[model].high) if windows and metric == "f1" else None,
            )
            for (model, test), p_holm in zip(tests.items(), corrected, strict=True)
        ]
    return comparisons


def metrics_json(table: pd.DataFrame, comparisons: list[Comparison]) -> dict[str, Any]:
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
                    "interval": list(c.interval),
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


def verdict(comparison: Comparison) -> str:
    """The comparison in words."""
    if comparison.p_holm >= ALPHA:
        return f"no detectable difference (one of {comparison.detectable:.3f} would have been seen)"
    return "better than BASELINE" if comparison.difference > 0 else "worse than BASELINE"
