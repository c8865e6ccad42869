"""What to distrust in a report: only what applies to the runs at hand, with their own numbers."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from simcsp.config import RunConfig, as_plain
from simcsp.report.comparisons import BASELINE, CONTROL, Comparison
from simcsp.report.figures import TITLES
from simcsp.report.joined import Scored, contrastive_models, flat, variants

_SIMULATED = (
    "The genomes are simulated. The numbers show that the whole path works; they say nothing about real splice sites."
)
_LIMITS = (
    "SCCS cannot exceed 0.866 when both labels are equally frequent, and NMI falls as the number of clusters grows, "
    "however pure they are. Compare them between models of one run, not with 1."
)


def of_run(
    config: RunConfig, manifest: Mapping[str, Any], measured: Sequence[float], comparisons: Sequence[Comparison]
) -> Iterator[str]:
    """One sentence or two for each reason to doubt the report of one run.

    Args:
        config: of the run.
        manifest: of its prepared data.
        measured: SCCS of every checkpoint of the contrastive phase that BEST_SCCS was chosen from.
        comparisons: of its models with BASELINE and, if it was fine-tuned, the control.
    """
    if config.data.simulate is not None:
        yield _SIMULATED
    yield from _leaks(manifest["split"])
    yield from _exposure(manifest["exposure"])
    yield from _steps(config, {c.model for c in comparisons} | {c.reference for c in comparisons})
    yield from _folds(config.split.folds, comparisons)
    yield from _choice(manifest["split"]["windows per part"][-1] // 2, measured)
    yield from _threshold(logit=config.published.logit_threshold)
    yield _LIMITS
    if quirks := [name.replace("_", " ") for name, asked in as_plain(config.published).items() if asked]:
        yield (
            f"Quirks of the published code are on ({', '.join(quirks)}): these numbers compare with published ones and "
            "not with those of other runs."
        )


def of_several_runs(runs: Sequence[Scored], comparisons: Sequence[Comparison]) -> Iterator[str]:
    """Likewise of several runs together."""
    if any(run.simulated for run in runs):
        yield _SIMULATED
    if exposed := max(run.exposed for run in runs):
        yield f"Pre-training has read up to {exposed:.1%} of the windows without their labels."
    yield from _seeds(runs)
    controlled = {c.variant for c in comparisons if c.reference == CONTROL}
    if others := dict.fromkeys(c.variant for c in comparisons if c.variant not in controlled):
        of = f" for {', '.join(others)}" if controlled else ""
        yield (
            f"No control with as many steps of MLM alone was fine-tuned{of}: a recipe may be better than BASELINE for "
            "its steps and not for the contrast."
        )
    yield _best_of_several()
    yield from _threshold(logit=False)
    yield (
        "SCCS and NMI are of embeddings of different training, maybe of different width: they say what fine-tuning "
        "makes of them, not which encoder is better."
    )
    yield "Every comparison is of these settings. A recipe that loses here may have been trained too short."


def _seeds(runs: Sequence[Scored]) -> Iterator[str]:
    """What seeds do to the tests of several runs."""
    seeds_of, sharing = defaultdict[str, set[int]](set), defaultdict[tuple[str, int], set[int]](set)
    for run, variant in zip(runs, variants(runs), strict=True):
        seeds_of[variant].add(run.seed)
        sharing[variant, run.split_seed].add(run.seed)
    if len({run.seed for run in runs}) == 1:
        yield "All runs have one seed: how much another one would change is in no interval."
        return
    if single := [variant for variant, seeds in seeds_of.items() if len(seeds) == 1]:
        yield f"Of one seed only: {', '.join(single)}. How much another one would change is in no interval."
    if any(len(seeds) > 1 for seeds in sharing.values()):
        yield (
            "Seeds share a split, so they share test windows: they were averaged within each fold, and tests have no "
            "more pairs for them."
        )
    yield (
        "Folds of one seed share one pre-training, so there are as many of that as seeds, however many pairs a "
        "test has, and it does not know: see whether the differences of each seed agree."
    )


def _leaks(split: Mapping[str, Any]) -> Iterator[str]:
    found = {name: split[f"{name} in several parts"] for name in ("groups", "identical windows")}
    if leaks := [f"{count:,} {name}" for name, count in found.items() if count]:
        yield f"{' and '.join(leaks)} are in several parts of the split: a model can remember what it is tested on."


def _exposure(record: Mapping[str, Any]) -> Iterator[str]:
    if record["windows"]:
        yield (
            f"Pre-training has read {record['windows'] / record['of']:.1%} of the windows, without their labels. What "
            "it is worth on sequence that it has never read is another question."
        )


def _steps(config: RunConfig, models: set[str]) -> Iterator[str]:
    """Whether a difference may come from steps or labels and not from the contrast."""
    without, labelled = contrastive_models([dict(flat(as_plain(config)))])
    if models & without and CONTROL not in models:
        yield (
            f"Contrastive training went on from BASELINE for up to {config.pretrain.contrast.steps:,} steps. A "
            "difference may come from the steps and not from the contrast: no control with as many steps of MLM alone "
            "was fine-tuned."
        )
    if models & labelled:
        names = ", ".join(TITLES.get(name, name) for name in sorted(models & labelled))
        yield (
            f"{names} saw labelled or orthologous sites in pre-training: a difference may come from them and not from "
            "the contrast."
        )


def _folds(folds: int, comparisons: Sequence[Comparison]) -> Iterator[str]:
    said = (
        f"The {folds} folds share training windows. The test allows for it, and so can only see large differences: "
        "read the column “would have been seen”."
    )
    if seen := [c.detectable for c in comparisons if (c.reference, c.metric) == (BASELINE, "f1")]:
        said += f" In F1, differences from BASELINE of {min(seen):.3f} to {max(seen):.3f} would have been."
    yield said
    yield "Everything was trained with one seed: how much another one would change is in no interval."
    if any(c.windows is not None for c in comparisons):
        yield (
            "The interval over windows takes windows for independent, though those of one gene are alike, and models "
            "for given: it is narrower than what is known."
        )
    yield f"p is corrected over the models of one metric, not over the metrics. {_best_of_several()}"


def _best_of_several() -> str:
    return "Where the best of several models is named, its difference is a little too high."


def _choice(pairs: int, measured: Sequence[float]) -> Iterator[str]:
    """Noise of what BEST_SCCS was chosen by: a rank correlation of n pairs has the standard error 1/√(n - 1)."""
    error = (pairs - 1) ** -0.5
    said = (
        f"SCCS of the selection part rests on one draw of {pairs:,} pairs, the same for every encoder: its standard "
        f"error is about {error:.3f}."
    )
    if len(measured) > 1:
        apart = max(measured) - min(measured)
        within = "no more than chance may do" if apart < 2 * error else "more than two of them"
        said += f" The {len(measured)} checkpoints that BEST_SCCS was chosen from lie {apart:.3f} apart, {within}."
    yield said
    yield (
        "BEST_SCCS and BEST_NMI were chosen on the selection part, so their scores there are a little too high; no "
        "test window was looked at. The best cells of the heat maps are chosen, too."
    )


def _threshold(*, logit: bool) -> Iterator[str]:
    at = "logit 0.5, a probability of 0.622" if logit else "probability 0.5, which was not tuned"
    yield (
        f"F1 is taken at {at}, and both F1 and average precision depend on how many decoys there are. In a genome "
        "there are many more, and both are lower."
    )
