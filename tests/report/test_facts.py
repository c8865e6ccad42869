"""What a report says of its run."""

from simcsp.config import EncoderConfig, PretrainConfig, RecipeConfig, RunConfig, SplitConfig
from simcsp.report.facts import encoder_in_words, seen_with_labels


def test_labels_that_any_recipe_saw_are_named() -> None:
    supervised = RecipeConfig(name="supervised", contrastive_weight=1, positives="label")
    split = SplitConfig(pretraining=2)
    seen = seen_with_labels(RunConfig(split=split, pretrain=PretrainConfig(also=(supervised,))), {"labelled": 1234})
    assert list(seen.values()) == ["1,234 (labelled)"]
    assert seen_with_labels(RunConfig(split=split), {"labelled": 1234}) == {}


def test_the_encoder_is_the_one_that_was_kept_whatever_the_configuration_says_of_its_shape() -> None:
    config = RunConfig(encoder=EncoderConfig(init="510nt", drop_layers=1, layers=4, hidden=128))
    stored = {"model_type": "bert", "num_hidden_layers": 5, "hidden_size": 512}
    assert encoder_in_words(config, stored) == "bert from 510nt, 5 layers of 512, without 1 on top, pooling site"
