import re
from typing import Any

import pytest

from simcsp.config import PhaseConfig, PretrainConfig, RecipeConfig
from simcsp.report.model_card import Card, Kind, model_card, pretraining_of


def card(kind: Kind = "sequence", pooling: str = "cls", **more: Any) -> Card:
    return Card(
        name="demo: classifier best_nmi",
        kind=kind,
        pooling=pooling,
        window=200,
        licence="cc-by-4.0",
        facts={"assemblies": "hg38.fa.gz (hg38)", "windows": "1,000 of 200 nt"},
        metrics=[("f1", "donor", 0.91234, "test part of fold 0")],
        difference=1.5e-6,
        **more,
    )


@pytest.mark.parametrize(
    ("kind", "library", "pipeline"),
    [
        ("sequence", "transformers", "text-classification"),
        ("token", "transformers", "token-classification"),
        ("embedder", "sentence-transformers", "feature-extraction"),
    ],
)
def test_the_hub_can_read_what_it_is(kind: Kind, library: str, pipeline: str) -> None:
    _, head, _ = model_card(card(kind)).split("---\n", 2)
    read = dict(line.split(": ") for line in head.splitlines() if ": " in line)
    assert (read["license"], read["library_name"], read["pipeline_tag"]) == ("cc-by-4.0", library, pipeline)


@pytest.mark.parametrize(
    ("kind", "pooling"), [("sequence", "cls"), ("token", "site"), ("token", "mean"), ("embedder", "mean")]
)
def test_the_code_it_shows_is_python(kind: Kind, pooling: str) -> None:
    (code,) = re.findall(r"```python\n(.+?)```", model_card(card(kind, pooling)), flags=re.DOTALL)
    compile(code, "card", "exec")


def test_a_card_names_data_metrics_limits_and_sources() -> None:
    text = model_card(card(initial="Training started from splicebert.510nt."))
    for needed in (
        "| f1 | donor | 0.912 | test part of fold 0 |",
        "**assemblies**: hg38.fa.gz (hg38)",
        "Not for diagnosis",
        "the largest difference measured is 1.5e-06",
        "## Sources\n\nTraining started from splicebert.510nt.",
    ):
        assert needed in text
    assert "## Sources" not in model_card(card())


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ("random", "none"),
        ("baseline", "9 steps with weights 1 MLM"),
        ("baseline-4", "9 steps with weights 1 MLM, as it was after 4"),
        ("best_nmi", "BASELINE, then 5 steps with weights 0.5 to 0 MLM and 1 SimCSP, the best NMI"),
        ("contrast-2", "BASELINE, then 5 steps with weights 0.5 to 0 MLM and 1 SimCSP, as it was after 2"),
        ("mlm_control", "BASELINE, then 7 steps with weights 1 MLM"),
        ("supervised", "BASELINE, then 6 steps with weights 1 SimCSP "
         "(which saw labels of windows), the best SCCS"),
        ("orthologues", "BASELINE, then 3 steps with weights 1 MLM and 1 SimCSP (which saw orthologous sites)"),
    ],
)  # fmt: skip
def test_each_encoder_is_said_to_be_of_its_own_recipe(model: str, text: str) -> None:
    supervised = RecipeConfig(
        name="supervised", steps=6, mlm_weight=0, contrastive_weight=1, positives="label", keep="sccs"
    )
    pretrain = PretrainConfig(
        baseline=PhaseConfig(steps=9),
        contrast=PhaseConfig(steps=5, mlm_weight=0.5, mlm_weight_end=0, contrastive_weight=1),
        also=(
            RecipeConfig(name="mlm_control", steps=7),
            supervised,
            RecipeConfig(name="orthologues", steps=3, contrastive_weight=1, positives="orthologue"),
        ),
    )
    assert pretraining_of(model, pretrain) == text.replace("BASELINE", "9 steps with weights 1 MLM")
