"""What the report of a run says of it."""

import report
from simcsp.config import PretrainConfig, RecipeConfig, RunConfig, SplitConfig


def test_labels_that_any_recipe_saw_are_named() -> None:
    supervised = RecipeConfig(name="supervised", contrastive_weight=1, positives="label")
    split = SplitConfig(pretraining=2)
    seen = report._seen_with_labels(
        RunConfig(split=split, pretrain=PretrainConfig(also=(supervised,))), {"labelled": 1234}
    )
    assert list(seen.values()) == ["1,234 (labelled)"]
    assert report._seen_with_labels(RunConfig(split=split), {"labelled": 1234}) == {}
