"""Several runs in one table: each model against others at every number of labels, paired over folds and seeds.

Runs belong together if they differ in nothing but their seed and what a *variant* says: the number of labels, layers
removed, and so on. Within a variant a pair is one fold of one seed. Where seeds split the windows anew (src/compare.py
plans it so), folds × seeds are the repeated cross-validation that the corrected test is meant for (Bouckaert & Frank
2004); where they share a split, the test over folds alone, seeds averaged, is the one to read.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from simcsp.config import PRETRAINED
from simcsp.metrics.significance import corrected_t_test, detectable_difference, holm
from simcsp.report.tables import ALPHA, fold_scores

METRICS = {"f1": "F1", "auroc": "AUROC", "sccs": "SCCS", "nmi": "NMI"}
_LABELS = "finetune.labels"
REFERENCES = ("baseline", "mlm_control", "random", "cnn", "logistic_regression")


@dataclass(frozen=True)
class Scored:
    """One evaluated run.

    Attributes:
        name: of the run.
        seed: of its training.
        settings: dotted name → value, of all its stages, without the seed and what follows from it.
        scores: as the evaluation wrote them.
        transfer: scores on other species, likewise; none if there are none.
        test_to_train: test windows per training window of a fold.
    """

    name: str
    seed: int
    settings: Mapping[str, Any]
    scores: pd.DataFrame
    transfer: pd.DataFrame | None
    test_to_train: float


def variants(runs: Sequence[Scored]) -> list[str]:
    """What sets each run apart from the others but its seed, in words; "all runs" if nothing does.

    The number of labels stands for what goes with it (epochs, batch size).
    """
    names = sorted({name for run in runs for name in run.settings})
    differing = [name for name in names if len({str(run.settings.get(name)) for run in runs}) > 1]
    kinds = {tuple(str(run.settings.get(name)) for name in differing) for run in runs}
    if len(kinds) == len({run.settings.get(_LABELS) for run in runs}):
        differing = [name for name in differing if name == _LABELS]
    return [", ".join(_in_words(name, run.settings.get(name)) for name in differing) or "all runs" for run in runs]


def contrastive_models(runs: Sequence[Scored]) -> tuple[set[str], set[str]]:
    """Models that any run pre-trained with SimCSP, by its settings: without labels, and with labels of their own.

    Encoders kept along the way are no recipes, so they are in neither.
    """
    without: set[str] = set()
    labelled: set[str] = set()
    for run in runs:
        prefix = "pretrain.contrast."
        contrast = {key.removeprefix(prefix): value for key, value in run.settings.items() if key.startswith(prefix)}
        recipes = [(name, contrast) for name in PRETRAINED if name != "baseline"]
        recipes += [(recipe["name"], recipe) for recipe in run.settings.get("pretrain.also", ())]
        for name, phase in recipes:
            if phase.get("contrastive_weight") or phase.get("contrastive_weight_end"):
                (without if phase.get("positives", "window") == "window" else labelled).add(name)
    return without - labelled, labelled


def joined_scores(runs: Sequence[Scored]) -> pd.DataFrame:
    """Test scores of all runs: index (variant, model, seed, fold), one column per metric."""
    parts = []
    for run, variant in zip(runs, variants(runs), strict=True):
        table = fold_scores(run.scores).reset_index()
        parts.append(table.assign(variant=variant, seed=run.seed))
    return pd.concat(parts).set_index(["variant", "model", "seed", "fold"])


def joined_transfer(runs: Sequence[Scored]) -> pd.DataFrame:
    """Scores on other species: index (variant, species, model, seed, fold), one column per metric; maybe empty."""
    parts = []
    for run, variant in zip(runs, variants(runs), strict=True):
        if run.transfer is not None:
            every = run.transfer[run.transfer.site == "all"]
            table = every.pivot_table(index=["species", "model", "fold"], columns="metric", values="value", sort=False)
            parts.append(table.reset_index().assign(variant=variant, seed=run.seed))
    index = ["variant", "species", "model", "seed", "fold"]
    return pd.concat(parts).set_index(index) if parts else pd.DataFrame(columns=[*index, *METRICS]).set_index(index)


def compare(
    scores: pd.DataFrame,
    test_to_train: Mapping[str, float],
    metrics: Iterable[str] = tuple(METRICS),
    references: Iterable[str] = REFERENCES,
) -> pd.DataFrame:
    """Every model against every reference in every variant.

    Args:
        scores: index (variant, model, seed, fold).
        test_to_train: variant → test windows per training window.
        metrics: to compare.
        references: models that all others are compared with, where they are among them.

    Returns:
        ``variant``, ``reference``, ``model``, ``metric``, ``pairs``, ``difference``, ``low``, ``high`` (95 %), ``p``
        over folds × seeds, ``p_folds`` over folds with the seeds averaged, both corrected by Holm over all models and
        variants that are compared with one reference on one metric (``p_holm``, ``p_folds_holm``), ``effect`` (the
        difference in units of its standard deviation), and the ``detectable`` difference.
    """
    rows = []
    for metric in metrics:
        for reference in references:
            family = list(_pairs(scores, reference, metric))
            tests = [_test(differences, test_to_train[variant], len(family)) for variant, _, differences in family]
            if not tests:
                continue
            for p in ("p", "p_folds"):
                for test, corrected in zip(tests, holm(np.array([test[p] for test in tests])), strict=True):
                    test[f"{p}_holm"] = float(corrected)
            for (variant, model, _), test in zip(family, tests, strict=True):
                rows.append({"variant": variant, "reference": reference, "model": model, "metric": metric, **test})
    return pd.DataFrame(rows)


def _pairs(scores: pd.DataFrame, reference: str, metric: str) -> Iterable[tuple[str, str, "pd.Series[float]"]]:
    """(variant, model, differences by (seed, fold)) of every model that has the metric in all folds."""
    for variant in dict.fromkeys(scores.index.get_level_values("variant")):
        table = scores.loc[variant][metric]
        models = list(dict.fromkeys(table.index.get_level_values("model")))
        if reference not in models:
            continue
        for model in models:
            differences = table.loc[model] - table.loc[reference]
            if model != reference and np.isfinite(differences.to_numpy(dtype=float)).all() and len(differences) > 1:
                yield variant, model, differences


def _test(differences: "pd.Series[float]", ratio: float, family: int) -> dict[str, Any]:
    values = differences.to_numpy(dtype=np.float64)
    test = corrected_t_test(values, ratio)
    of_folds = differences.groupby(level="fold").mean().to_numpy(dtype=np.float64)
    spread = float(values.std(ddof=1))
    return {
        "pairs": values.size,
        "difference": test.mean,
        "low": float(test.interval[0]),
        "high": float(test.interval[1]),
        "p": test.p_value,
        "p_folds": corrected_t_test(of_folds, ratio).p_value if of_folds.size > 1 else float("nan"),
        "effect": test.mean / spread if spread else float("nan"),
        "detectable": detectable_difference(values, ratio, alpha=ALPHA / family),
    }


def _in_words(name: str, value: Any) -> str:
    short = name.rsplit(".", 1)[-1].replace("_", " ")
    if name == _LABELS:
        return f"{value} labels" if value else "all labels"
    return f"{short} {value}"
