"""Tables of a run: scores per model, and each model against BASELINE with the test that a difference needs."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from simcsp.metrics.significance import corrected_t_test, detectable_difference, holm

REFERENCE = "baseline"
METRICS = ("f1", "auroc", "average_precision", "sccs", "nmi")
COMPARED = METRICS
CLASSIFICATION = ("f1", "auroc", "average_precision")
ALPHA = 0.05


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
    """

    model: str
    metric: str
    difference: float
    interval: tuple[float, float]
    p: float
    p_holm: float
    detectable: float


def fold_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """Test scores of all sites together: index (model, fold), one column per metric, in the order of the models."""
    per_fold = scores[(scores.site == "all") & (scores.fold != "selection")]
    return per_fold.pivot_table(index=["model", "fold"], columns="metric", values="value", sort=False)


def site_means(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean over folds for donors and acceptors apart: index model, columns (site, metric)."""
    chosen = scores[scores.site.isin(["donor", "acceptor"]) & scores.metric.isin(CLASSIFICATION)]
    return chosen.pivot_table(index="model", columns=["site", "metric"], values="value", sort=False)


def compare_with_baseline(table: pd.DataFrame, test_to_train: float) -> list[Comparison]:
    """Test every model against BASELINE on each compared metric.

    Args:
        table: from :func:`fold_scores`.
        test_to_train: test windows per window that a fold was really trained on; folds share training windows,
            and the corrected test allows for it.
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
                }
                for c in comparisons
                if c.model == model
            },
        }
    return content


def verdict(comparison: Comparison) -> str:
    """The comparison in words."""
    if comparison.p_holm >= ALPHA:
        return f"no detectable difference (one of {comparison.detectable:.3f} would have been seen)"
    return "better than BASELINE" if comparison.difference > 0 else "worse than BASELINE"
