"""The answer is one sentence, and says no more than the test does."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from simcsp.report.answer import answer
from simcsp.report.comparisons import Comparison

Compared = Callable[..., Comparison]
RECIPES = ("best_sccs", "best_nmi")


def said(*comparisons: Comparison) -> str:
    return answer(comparisons, RECIPES, ["supervised"]).removeprefix("**Does contrastive pre-training help?** ")


@pytest.mark.parametrize(
    ("difference", "p", "reference", "start"),
    [
        (0.02, 0.01, "mlm_control", "Yes: BEST_SCCS against MLM control, F1 +0.0200"),
        (0.02, 0.01, "baseline", "Better than BASELINE, which was trained for fewer steps: BEST_SCCS against BASELINE"),
        (0.02, 0.06, "mlm_control", "No difference was detected: BEST_SCCS against MLM control, F1 +0.0200"),
        (-0.02, 0.01, "mlm_control", "No, it is worse: BEST_SCCS against MLM control, F1 -0.0200"),
    ],
)
def test_it_begins_with_what_the_test_says(
    compared: Compared, difference: float, p: float, reference: str, start: str
) -> None:
    found = said(compared("best_sccs", difference, p, reference))
    assert found.startswith(start)
    assert f"(95 % interval {difference - 0.01:+.4f} to {difference + 0.01:+.4f}, p = {p} after Holm)" in found
    assert ("a difference of 0.023 would have been seen" in found) == found.startswith("No difference")


def test_the_control_comes_before_baseline_and_the_best_before_the_others(compared: Compared) -> None:
    rows = [compared(model, gain, 0.01) for model, gain in (("best_sccs", 0.5), ("best_nmi", 0.4))]
    rows += [compared(model, gain, 0.01, "mlm_control") for model, gain in (("best_sccs", 0.1), ("best_nmi", 0.2))]
    assert said(*rows).startswith("Yes: BEST_NMI, the best of 2, against MLM control, F1 +0.2000")


def test_a_variant_without_control_is_answered_against_baseline(compared: Compared) -> None:
    rows = [compared("best_sccs", 0.1, 0.01, "mlm_control", "a"), compared("best_sccs", 0.2, 0.01, "baseline", "a")]
    lines = said(*rows, compared("best_sccs", 0.3, 0.01, "baseline", "b")).splitlines()[2:]
    assert lines[0].startswith("- a: Yes: BEST_SCCS against MLM control")
    assert lines[1].startswith("- b: Better than BASELINE, which was trained for fewer steps: BEST_SCCS")
    assert len(lines) == 2


def test_one_checkpoint_under_two_names_is_not_the_best_of_two(compared: Compared) -> None:
    rows = [compared(name, 0.1, 0.01, "mlm_control") for name in RECIPES]
    assert said(*rows).startswith("Yes: BEST_SCCS against MLM control")


def test_seeds_that_disagree_are_given(compared: Compared) -> None:
    row = replace(compared("best_sccs", 0.01, 0.5, "mlm_control"), of_seeds=(0.03, -0.01))
    assert "p = 0.5 after Holm; seeds disagree: +0.0300, -0.0100)" in said(row)
    assert "disagree" not in said(replace(row, of_seeds=(0.03, 0.01)))
    assert "disagree" not in said(replace(row, of_seeds=(0.0, 0.01)))


def test_what_was_never_pre_trained_is_not_said_to_be_trained_for_fewer_steps(compared: Compared) -> None:
    assert said(compared("best_sccs", 0.1, 0.01, "cnn")).startswith("Better than dilated CNN: BEST_SCCS")


def test_other_models_are_no_answer(compared: Compared) -> None:
    assert said(compared("random", 0.5, 0.01)) == "No contrastively pre-trained encoder was compared."
    assert said() == "No contrastively pre-trained encoder was compared."


def test_every_variant_has_a_line_and_labels_are_named(compared: Compared) -> None:
    rows = [compared("best_sccs", 0.1, 0.01, "mlm_control", variant) for variant in ("200 labels", "all labels")]
    rows.append(compared("supervised", 0.3, 0.01, "mlm_control", "all labels"))
    lines = said(*rows).splitlines()
    assert [line.split(":")[0] for line in lines[2:]] == ["- 200 labels", "- all labels", "- all labels"]
    assert lines[-1].endswith("It saw labelled or orthologous sites of its own in pre-training.")
