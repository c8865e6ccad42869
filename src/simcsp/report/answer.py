"""The question of every run, answered in one sentence."""

from collections.abc import Iterable, Sequence

from simcsp.report.comparisons import BASELINE, CONTROL, REFERENCES, Comparison, interval, is_detected, seen, signed
from simcsp.report.figures import TITLES

QUESTION = "Does contrastive pre-training help?"


def answer(comparisons: Sequence[Comparison], without: Iterable[str], labelled: Iterable[str]) -> str:
    """The best contrastive recipe against the compute-matched control, or BASELINE where there is none, on F1.

    Recipes that saw labelled or orthologous sites of their own are named apart: they may be better for those, and not
    for the contrast.

    Args:
        comparisons: of one run or several.
        without: models that were pre-trained with SimCSP on windows alone.
        labelled: models that were pre-trained with SimCSP on labelled or orthologous sites.

    Returns:
        A paragraph for one variant, a list for several.
    """
    f1 = [c for c in comparisons if c.metric == "f1"]
    variants = list(dict.fromkeys(c.variant for c in f1))
    against = {variant: _against_the_best_reference([c for c in f1 if c.variant == variant]) for variant in variants}
    said = []
    for models, note in (
        (set(without), ""),
        (set(labelled), " It saw labelled or orthologous sites of its own in pre-training."),
    ):
        for variant in variants:
            candidates = [c for c in against[variant] if c.model in models]
            if candidates:
                said.append(f"{variant}: " * (len(variants) > 1) + _sentence(candidates) + note)
    if not said:
        said = ["No contrastively pre-trained encoder was compared."]
    if len(variants) < 2:
        return f"**{QUESTION}** {' '.join(said)}"
    return f"**{QUESTION}**\n\n" + "\n".join(f"- {one}" for one in said)


def _against_the_best_reference(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Those with the control, or with what comes next to it where there is none."""
    there = {c.reference for c in comparisons}
    reference = next((name for name in (CONTROL, *REFERENCES) if name in there), None)
    return [c for c in comparisons if c.reference == reference]


def _sentence(candidates: Sequence[Comparison]) -> str:
    """The best of several models against one reference."""
    best = max(candidates, key=lambda c: c.difference)
    model, reference = (TITLES.get(name, name) for name in (best.model, best.reference))
    distinct = len({(c.difference, c.low, c.high) for c in candidates})  # a checkpoint may have two names
    of = f", the best of {distinct}," if distinct > 1 else ""
    bounds = f"95 % interval {interval(best.low, best.high)}, p = {best.p_holm:.2g} after Holm"
    agree = len({one > 0 for one in best.of_seeds if one}) < 2
    seeds = "" if agree else f"; seeds disagree: {', '.join(map(signed, best.of_seeds))}"
    numbers = f"F1 {signed(best.difference)} ({bounds}{seeds})"
    if not is_detected(best):
        return f"No difference was detected: {model}{of} against {reference}, {numbers}; {seen(best)}."
    if best.difference < 0:
        return f"No, it is worse: {model}{of} against {reference}, {numbers}."
    yes = "Yes" if best.reference == CONTROL else f"Better than {reference}"
    if best.reference == BASELINE:
        yes += ", which was trained for fewer steps"
    return f"{yes}: {model}{of} against {reference}, {numbers}."
