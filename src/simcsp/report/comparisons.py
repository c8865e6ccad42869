"""Models against others, paired over folds and splits, with the test that a difference needs; and the table of it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simcsp.config import CNN, YARDSTICK
from simcsp.metrics.significance import Interval, corrected_t_test, detectable_difference, effect_size, holm
from simcsp.report.figures import TITLES
from simcsp.report.markdown import markdown_table

NAMES = {"f1": "F1", "auroc": "AUROC", "average_precision": "average precision", "sccs": "SCCS", "nmi": "NMI"}
BASELINE, CONTROL = "baseline", "mlm_control"
REFERENCES = (BASELINE, CONTROL, "random", CNN, YARDSTICK)  # what models are compared with, if it is there
ALPHA = 0.05
ONE_RUN = "this run"  # the variant of scores that are of one run


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One model against a reference on one metric, paired over folds and splits.

    Attributes:
        variant: of the runs, where several are compared.
        reference: what the model is compared with.
        model: the other one.
        metric: which score.
        pairs: folds of different splits; seeds that share a split are averaged within each fold.
        difference: mean over pairs of model minus reference.
        low: of the 95 % interval of the mean difference (Nadeau and Bengio 2003).
        high: likewise.
        p: of the corrected resampled t test.
        effect: Cohen's d_z, the difference in units of its standard deviation over pairs; infinite where all pairs
            differ by the same.
        detectable: smallest difference that this test would have found in 4 of 5 repetitions, at the level that
            the smallest of Holm's p values has to reach.
        p_holm: p after Holm's correction over all comparisons with the reference on this metric; models that score
            alike to the last bit in every fold, as BEST_SCCS and BEST_NMI do where they are one checkpoint, are one.
        of_seeds: mean difference of each seed. Folds of a seed share one pre-training, which no test here knows.
        windows: 95 % bootstrap interval over test windows; none where predictions are not resampled (all but F1).
    """

    variant: str
    reference: str
    model: str
    metric: str
    pairs: int
    difference: float
    low: float
    high: float
    p: float
    effect: float
    detectable: float
    p_holm: float = float("nan")
    of_seeds: tuple[float, ...] = ()
    windows: tuple[float, float] | None = None


def compare(
    scores: pd.DataFrame,
    test_to_train: Mapping[str, float],
    metrics: Iterable[str],
    references: Iterable[str],
) -> list[Comparison]:
    """Every model against every reference in every variant, in the order of metrics, references, variants, models.

    A model, or a reference, that lacks a metric in any fold is left out on that metric: the yardstick embeds nothing.

    Args:
        scores: index (variant, model, seed, split, fold), one column per metric.
        test_to_train: variant → test windows per training window of a fold, which the corrected test allows for.
        metrics: to compare.
        references: models that all others are compared with, where they are among them.
    """
    found: list[Comparison] = []
    for metric in metrics:
        for reference in references:
            family = list(_pairs(scores, reference, metric))
            same = _same_differences(family)
            distinct = len(set(same))
            tests = [_test(one, test_to_train[one.variant], reference, metric, distinct) for one in family]
            corrected = holm(np.array([tests[same.index(number)].p for number in range(distinct)]))
            found += [replace(test, p_holm=float(corrected[k])) for test, k in zip(tests, same, strict=True)]
    return found


def against_baseline(
    table: pd.DataFrame, test_to_train: float, windows: Mapping[str, Interval] | None = None
) -> list[Comparison]:
    """Every model of one run against BASELINE on every metric.

    Args:
        table: test scores, index (model, fold).
        test_to_train: as for :func:`compare`.
        windows: model → bootstrap interval of F1, from :func:`simcsp.report.tables.window_intervals`.
    """
    found = compare(of_one_run(table), {ONE_RUN: test_to_train}, NAMES, [BASELINE])
    intervals = {model: (one.low, one.high) for model, one in (windows or {}).items()}
    return [replace(c, windows=intervals.get(c.model)) if c.metric == "f1" else c for c in found]


def of_one_run(table: pd.DataFrame) -> pd.DataFrame:
    """Scores of one run, index (model, fold), as :func:`compare` takes them."""
    scores = table.assign(variant=ONE_RUN, seed=0, split=0).set_index(["variant", "seed", "split"], append=True)
    return scores.reorder_levels(["variant", "model", "seed", "split", "fold"])


def as_frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """One row per comparison of several runs, one column per attribute."""
    rows = [{**vars(c), "of_seeds": " ".join(map(str, c.of_seeds))} for c in comparisons]
    return pd.DataFrame(rows, columns=list(Comparison.__annotations__)).drop(columns="windows")


def as_frame_of_one_run(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """One row per comparison with BASELINE; intervals are pairs of numbers."""
    columns = ("model", "metric", "difference", "interval", "p", "p_holm", "detectable", "effect", "windows")
    rows = [{**vars(c), "interval": (c.low, c.high)} for c in comparisons]
    return pd.DataFrame(rows, columns=list(columns))


def comparison_table(comparisons: Sequence[Comparison]) -> str:
    """Comparisons in Markdown, without columns that say nothing here."""
    columns = {
        "variant": [c.variant for c in comparisons],
        "model": [TITLES.get(c.model, c.model) for c in comparisons],
        "metric": [NAMES[c.metric] for c in comparisons],
        "difference": [signed(c.difference) for c in comparisons],
        "of each seed": [", ".join(map(signed, c.of_seeds)) for c in comparisons],
        "95 % interval": [interval(c.low, c.high) for c in comparisons],
        "over windows": ["–" if c.windows is None else interval(*c.windows) for c in comparisons],
        "d_z": [f"{c.effect:+.2f}".replace("inf", "∞") for c in comparisons],
        "p": [f"{c.p:.2g}" for c in comparisons],
        "p (Holm)": [f"{c.p_holm:.2g}" for c in comparisons],
        "would have been seen": [f"{c.detectable:.4f}" for c in comparisons],
        "in words": [verdict(c) for c in comparisons],
    }
    if len(set(columns["variant"])) == 1:
        del columns["variant"]
    if all(len(c.of_seeds) < 2 for c in comparisons):
        del columns["of each seed"]
    if set(columns["over windows"]) == {"–"}:
        del columns["over windows"]
    return markdown_table(list(columns), list(zip(*columns.values(), strict=True)))


def is_detected(comparison: Comparison) -> bool:
    """Whether the difference is more than chance."""
    return comparison.p_holm < ALPHA


def verdict(comparison: Comparison) -> str:
    """The comparison in words."""
    if not is_detected(comparison):
        return "no detectable difference"
    side = "better" if comparison.difference > 0 else "worse"
    return f"{side} than {TITLES.get(comparison.reference, comparison.reference)}"


def seen(comparison: Comparison) -> str:
    """How large a difference the test would have found; scores differ by 1 at most."""
    if comparison.detectable >= 1:
        return "with so few folds that scatter so much none could have been seen"
    return f"a difference of {comparison.detectable:.3f} would have been seen"


def signed(value: float) -> str:
    """A difference with its sign, to four decimals."""
    return f"{value:+.4f}"


def interval(low: float, high: float) -> str:
    """An interval of a difference."""
    return f"{signed(low)} to {signed(high)}"


class _Pairs(NamedTuple):
    """Differences of one model from a reference, by (split, fold), and their mean by seed."""

    variant: str
    model: str
    differences: "pd.Series[float]"
    of_seeds: tuple[float, ...]


def _pairs(scores: pd.DataFrame, reference: str, metric: str) -> Iterator[_Pairs]:
    """Of every other model that has the metric in all folds."""
    for variant in dict.fromkeys(scores.index.get_level_values("variant")):
        table = scores.loc[variant][metric]
        models = list(dict.fromkeys(table.index.get_level_values("model")))
        for model in models if reference in models else ():
            differences = table.loc[model] - table.loc[reference]
            of_folds = differences.groupby(level=["split", "fold"]).mean()
            if model != reference and np.isfinite(differences.to_numpy(dtype=float)).all() and len(of_folds) > 1:
                of_seeds = differences.groupby(level="seed").mean()
                yield _Pairs(variant, model, of_folds, tuple(map(float, of_seeds)))


def _same_differences(family: Iterable[_Pairs]) -> list[int]:
    """A number per comparison, from 0 on, which those share that differ from the reference by the same everywhere."""
    numbers: dict[tuple[str, bytes], int] = {}
    return [numbers.setdefault((one.variant, one.differences.to_numpy().tobytes()), len(numbers)) for one in family]


def _test(pairs: _Pairs, ratio: float, reference: str, metric: str, family: int) -> Comparison:
    values: NDArray[np.float64] = pairs.differences.to_numpy(dtype=np.float64)
    test = corrected_t_test(values, ratio)
    return Comparison(
        variant=pairs.variant,
        reference=reference,
        model=pairs.model,
        metric=metric,
        pairs=values.size,
        difference=test.mean,
        low=float(test.interval[0]),
        high=float(test.interval[1]),
        p=test.p_value,
        effect=effect_size(values),
        detectable=detectable_difference(values, ratio, alpha=ALPHA / family),
        of_seeds=pairs.of_seeds,
    )
