"""Several runs in one table: scores of each model at every number of labels, by seed and fold.

Runs belong together if they differ in nothing but their seed and what a *variant* says: the number of labels, layers
removed, and so on. Within a variant a pair is one fold of one split. Where seeds split the windows anew (src/compare.py
plans it so), folds × seeds are the repeated cross-validation that the corrected test is meant for (Bouckaert & Frank
2004); where they share a split, they share test windows, and are averaged within each fold.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from simcsp.config import PRETRAINED
from simcsp.errors import InputError
from simcsp.report.comparisons import BASELINE
from simcsp.report.tables import fold_scores

METRICS = ("f1", "auroc", "sccs", "nmi")
_LABELS = "finetune.labels"
_WINDOWS = ("data.window", "data.simulate")  # how settings begin that say which windows are scored


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
        split_seed: of the split into parts, which is what runs of one number share.
        exposed: share of the windows that pre-training has read, without their labels.
        simulated: whether the genomes are simulated.
    """

    name: str
    seed: int
    settings: Mapping[str, Any]
    scores: pd.DataFrame
    transfer: pd.DataFrame | None
    test_to_train: float
    split_seed: int = 0
    exposed: float = 0.0
    simulated: bool = False


def variants(runs: Sequence[Scored]) -> list[str]:
    """What sets each run apart from the others but its seed, in words; "all runs" if nothing does.

    The number of labels stands for what goes with it in fine-tuning (epochs, batch size).
    """
    names = sorted({name for run in runs for name in run.settings})
    differing = [name for name in names if len({str(run.settings.get(name)) for run in runs}) > 1]
    kinds = {tuple(str(run.settings.get(name)) for name in differing) for run in runs}
    of_finetuning = all(name.startswith("finetune.") for name in differing)
    if of_finetuning and len(kinds) == len({run.settings.get(_LABELS) for run in runs}):
        differing = [name for name in differing if name == _LABELS]
    return [", ".join(_in_words(name, run.settings.get(name)) for name in differing) or "all runs" for run in runs]


def require_same_windows(runs: Sequence[Scored]) -> None:
    """See that all runs are of the same labelled windows, as far as their settings tell.

    Raises:
        InputError: if they are not.
    """
    first, *others = runs
    for run in others:
        for name in sorted({*first.settings, *run.settings}):
            if name.startswith(_WINDOWS) and run.settings.get(name) != first.settings.get(name):
                raise InputError(
                    f"the runs {first.name} and {run.name} are of different windows ({name} differs), so their scores "
                    "cannot be compared",
                    hint="Name runs of the same windows",
                )


def flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted name and value of every setting.

    >>> dict(flat({"seed": 0, "data": {"window": 100}}))
    {'seed': 0, 'data.window': 100}
    """
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def contrastive_models(settings: Iterable[Mapping[str, Any]]) -> tuple[set[str], set[str]]:
    """Models that any run pre-trained with SimCSP: on windows alone, and on labelled or orthologous sites.

    Encoders kept along the way are no recipes, so they are in neither.

    Args:
        settings: of each run, from :func:`flat`.
    """
    without: set[str] = set()
    labelled: set[str] = set()
    for run in settings:
        prefix = "pretrain.contrast."
        contrast = {key.removeprefix(prefix): value for key, value in run.items() if key.startswith(prefix)}
        recipes = [(name, contrast) for name in PRETRAINED if name != BASELINE]
        recipes += [(recipe["name"], recipe) for recipe in run.get("pretrain.also", ())]
        for name, phase in recipes:
            if phase.get("contrastive_weight") or phase.get("contrastive_weight_end"):
                (without if phase.get("positives", "window") == "window" else labelled).add(name)
    return without - labelled, labelled


def joined_scores(runs: Sequence[Scored]) -> pd.DataFrame:
    """Test scores of all runs: index (variant, model, seed, split, fold), one column per metric.

    Raises:
        InputError: if two runs are the same but for their names.
    """
    parts = []
    first: dict[tuple[str, int, int], str] = {}
    for run, variant in zip(runs, variants(runs), strict=True):
        key = variant, run.seed, run.split_seed
        if key in first:
            raise InputError(
                f"the runs {first[key]} and {run.name} have the same settings, seed and split: one repeats the other",
                hint="Name one of them",
            )
        first[key] = run.name
        table = fold_scores(run.scores).reset_index()
        parts.append(table.assign(variant=variant, seed=run.seed, split=run.split_seed))
    return pd.concat(parts).set_index(["variant", "model", "seed", "split", "fold"])


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


def _in_words(name: str, value: Any) -> str:
    short = name.rsplit(".", 1)[-1].replace("_", " ")
    if name == _LABELS:
        return f"{value} labels" if value else "all labels"
    return f"{short} {value}"
