import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from simcsp.config import (
    BudgetConfig,
    CorpusSource,
    DataConfig,
    DecoyConfig,
    EncoderConfig,
    FinetuneConfig,
    OptimiserConfig,
    OrthologueSource,
    PhaseConfig,
    PretrainConfig,
    PublishedConfig,
    RecipeConfig,
    RunConfig,
    SearchConfig,
    SplitConfig,
    StudyConfig,
    ViewConfig,
    WindowSource,
    as_plain,
)

GENOME: dict[str, Any] = {"format": "genome", "species": "x", "fasta": Path("x.fa"), "annotation": Path("x.gtf")}
TEXT: dict[str, Any] = {
    "format": "text",
    "species": "x",
    "site": "donor",
    "positives": Path("p"),
    "negatives": Path("n"),
}

SITES: dict[str, Any] = {"format": "sites", "species": "x", "fasta": Path("x.fa"), "sites": Path("x.bed")}
LABELS: dict[str, Any] = {"contrastive_weight": 1.0, "positives": "label"}


@pytest.mark.parametrize(
    ("cls", "fields", "problem"),
    [
        (WindowSource, {**GENOME, "fasta": None}, "a source of format 'genome' needs fasta"),
        (WindowSource, {"format": "text", "species": "x"}, "needs site, positives, negatives"),
        (DecoyConfig, {"ratio": 0}, "decoys.ratio must be above 0"),
        (DataConfig, {"window": 41}, r"data\.window is 41, but must be an even length"),
        (DataConfig, {"window": 18}, "at least 20 nt"),
        (DataConfig, {"max_unread": 1}, "max_unread"),
        (DataConfig, {"min_gt_ag": 1.1}, "min_gt_ag"),
        (WindowSource, {**GENOME, "positives": Path("p")}, "a source of format 'genome' has no positives"),
        (WindowSource, {**TEXT, "fasta": Path("x.fa")}, "a source of format 'text' has no fasta"),
        (
            CorpusSource,
            {"format": "text", "species": "x", "sequences": Path("s"), "annotation": Path("a")},
            "'text' has no annotation",
        ),
        (DataConfig, {"name": "../x"}, "data.name is a folder name"),
        (DataConfig, {"seed": -1}, "data.seed must be 0 to 4294967295"),
        (SplitConfig, {"folds": 1}, "folds must be 2 to 63"),
        (SplitConfig, {"folds": 64}, "folds must be 2 to 63"),
        (SplitConfig, {"seed": -1}, "split.seed must be 0 to 4294967295"),
        (SplitConfig, {"seed": 2**32}, "split.seed must"),
        (EncoderConfig, {"hidden": 30, "heads": 4}, "hidden must be a multiple of twice the heads"),
        (EncoderConfig, {"hidden": 0}, "hidden"),
        (EncoderConfig, {"heads": 0}, "heads"),
        (EncoderConfig, {"layers": 0}, "layers"),
        (EncoderConfig, {"dropout": 1.0}, "dropout is a share"),
        (OptimiserConfig, {"learning_rate": 0}, "learning_rate must be above 0"),
        (OptimiserConfig, {"learning_rate": float("nan")}, "learning_rate must be above 0"),
        (OptimiserConfig, {"warmup": 1}, "warmup is a share"),
        (OptimiserConfig, {"weight_decay": -0.1}, "weight_decay"),
        (OptimiserConfig, {"max_grad_norm": 0}, "max_grad_norm"),
        (OptimiserConfig, {"batch_size": 1}, "batch_size must be at least 2"),
        (PhaseConfig, {"batch_size": 1}, "batch_size must be at least 2"),
        (PhaseConfig, {"steps": -1}, "steps must not be negative"),
        (PhaseConfig, {"evaluate_every": 0}, "evaluate_every"),
        (PhaseConfig, {"save_every": 0}, "save_every"),
        (PhaseConfig, {"mlm_weight": -1}, "loss weights must not be negative"),
        (PhaseConfig, {"mlm_weight": 0}, "one of the loss weights must be above 0"),
        (PhaseConfig, {"temperature": 0}, "temperature must be above 0"),
        (PhaseConfig, {"contrastive_weight_end": -1}, "loss weights must not be negative"),
        (PhaseConfig, {"positives": "label"}, "positives and views are SimCSP's"),
        (PhaseConfig, {"views": ViewConfig(shift=1)}, "positives and views are SimCSP's"),
        (PhaseConfig, {"hard_negative_weight": 0}, "hard_negative_weight must be above 0"),
        (PhaseConfig, {"contrastive_weight": 1, "hard_negative_weight": 2}, "positives must be label"),
        (PhaseConfig, {**LABELS, "batch_size": 3}, "batch_size must be at least 4"),
        (ViewConfig, {"shift": -1}, "views.shift"),
        (ViewConfig, {"mutated": 1}, "views.mutated is a share"),
        (ViewConfig, {"core": 3}, "views.core is an even number"),
        (OrthologueSource, {"species": "x", "table": Path("t"), "fasta": Path("f"), "others": ()}, "has others"),
        (RunConfig, {"pretrain": PretrainConfig(contrast=PhaseConfig(**LABELS))}, "positives of one label need labels"),
        (
            RunConfig,
            {"pretrain": PretrainConfig(contrast=PhaseConfig(**LABELS | {"positives": "orthologue"}))},
            "need data.orthologues",
        ),
        (
            RunConfig,
            {"pretrain": PretrainConfig(contrast=PhaseConfig(contrastive_weight=1, views=ViewConfig(shift=46)))},
            "views.shift moves the site too near",
        ),
        (SplitConfig, {"pretraining": -1}, "pretraining must not be negative"),
        (WindowSource, {**SITES, "decoys": DecoyConfig(ratio=2)}, "unless it has a min_score"),
        (WindowSource, {**SITES, "min_score": 1, "decoys": DecoyConfig(regions=("exon",))}, "knows no exons"),
        (PretrainConfig, {"contrast": PhaseConfig(steps=0)}, "contrast.steps must be above 0"),
        (PretrainConfig, {"mask_share": 0}, "mask_share is a share"),
        (FinetuneConfig, {"batch_size": 1}, "batch_size must be at least 2"),
        (FinetuneConfig, {"epochs": 0}, "epochs"),
        (FinetuneConfig, {"patience": 0}, "patience"),
        (FinetuneConfig, {"labels": -1}, "labels and validation must not be negative"),
        (FinetuneConfig, {"validation": -1}, "labels and validation must not be negative"),
        (FinetuneConfig, {"head_dropout": 1}, "head_dropout is a share"),
        (FinetuneConfig, {"parallel": 0}, "parallel must be above 0"),
        (FinetuneConfig, {"initialisations": ("best_nmi",)}, "initialisations must hold baseline"),
        (RunConfig, {"seed": -1}, "seed must be 0 to 4294967295"),
        (RunConfig, {"run": ""}, "run is a folder name"),
        (RunConfig, {"run": ".."}, "run is a folder name"),
        (RunConfig, {"run": "a/b"}, "run is a folder name"),
        (RunConfig, {"run": "-x"}, "run is a folder name"),
        (
            RunConfig,
            {"encoder": EncoderConfig(pooling="cls"), "published": PublishedConfig(minus_strand_offset=True)},
            "encoder.pooling must be site",
        ),
        (EncoderConfig, {"drop_layers": -1}, "drop_layers must not be negative"),
        (RecipeConfig, {"name": "best_sccs"}, "no recipe can be called 'best_sccs'"),
        (RecipeConfig, {"name": "cnn"}, "no recipe can be called 'cnn'"),
        (RecipeConfig, {"name": "contrast-40"}, "small letters, digits and _"),
        (RecipeConfig, {"name": "a", "steps": 0}, "steps of a recipe must be above 0"),
        (PretrainConfig, {"also": (RecipeConfig(name="a"), RecipeConfig(name="a"))}, "two recipes"),
        (FinetuneConfig, {"initialisations": ("baseline", "baseline")}, "names one twice"),
        (FinetuneConfig, {"initialisations": ("baseline", "cnn"), "frozen": True}, "cnn has no pre-trained encoder"),
        (RunConfig, {"finetune": FinetuneConfig(initialisations=("baseline", "kept"))}, "keep_measured is off"),
        (
            RunConfig,
            {"encoder": EncoderConfig(drop_layers=1), "pretrain": PretrainConfig(keep_measured=True)},
            "keep_measured does not go with drop_layers",
        ),
        (RunConfig, {"pretrained": "a/b"}, "pretrained is a folder name"),
        (RunConfig, {"finetune": FinetuneConfig(initialisations=("baseline", "joint"))}, 'there is no "joint"; there'),
        (RunConfig, {"published": PublishedConfig(unspaced_contrast=True)}, "encoder.pooling must be cls"),
        (
            RunConfig,
            {
                "encoder": EncoderConfig(pooling="cls"),
                "published": PublishedConfig(unspaced_contrast=True),
                "pretrain": PretrainConfig(contrast=PhaseConfig(contrastive_weight=1.0)),
            },
            "mlm_weight must be 0",
        ),
        (
            RunConfig,
            {
                "encoder": EncoderConfig(pooling="cls"),
                "published": PublishedConfig(unspaced_contrast=True),
                "pretrain": PretrainConfig(contrast=PhaseConfig(mlm_weight=0, mlm_weight_end=1, contrastive_weight=1)),
            },
            "mlm_weight must be 0",
        ),
        (
            RunConfig,
            {
                "encoder": EncoderConfig(pooling="cls"),
                "published": PublishedConfig(unspaced_contrast=True),
                "pretrain": PretrainConfig(
                    contrast=PhaseConfig(mlm_weight=0, contrastive_weight=1, views=ViewConfig(shift=1))
                ),
            },
            "does not go with views",
        ),
        (SearchConfig, {"trials": 0}, "search.trials"),
        (SearchConfig, {"learning_rate": (0, 1)}, "search.learning_rate is a range"),
        (SearchConfig, {"mlm_weight": (1, 0)}, "search.mlm_weight is a range"),
        (SearchConfig, {"dropout": (0, 1)}, "below 1"),
        (SearchConfig, {"pooling": ()}, "search.pooling must name a choice"),
        (SearchConfig, {"batch_size": (1,)}, "search.batch_size"),
        (SearchConfig, {"drop_layers": (-1,)}, "search.drop_layers"),
        (StudyConfig, {"seeds": ()}, "study.seeds must name"),
        (StudyConfig, {"seeds": (1, 1)}, "study.seeds names one twice"),
        (StudyConfig, {"budgets": 2 * (BudgetConfig(labels=1, epochs=1, batch_size=2),)}, "one number of labels twice"),
        (BudgetConfig, {"labels": -1, "epochs": 1, "batch_size": 2}, "labels and validation must not be negative"),
    ],
)
def test_nonsense_is_refused_when_built(cls: type, fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        cls(**fields)


@pytest.mark.parametrize(
    ("cls", "fields"),
    [
        (WindowSource, GENOME),
        (WindowSource, TEXT),
        (CorpusSource, {"species": "x", "sequences": Path("x.fa")}),
        (DataConfig, {"window": 20, "max_unread": 0, "min_gt_ag": 1, "name": "human-100_v1.2"}),
        (SplitConfig, {"folds": 2}),
        (EncoderConfig, {"hidden": 32, "heads": 4, "dropout": 0}),
        (OptimiserConfig, {"warmup": 0, "weight_decay": 0, "batch_size": 2}),
        (PhaseConfig, {"steps": 0, "mlm_weight": 0, "contrastive_weight": 0.1}),
        (PhaseConfig, {"mlm_weight": 0, "contrastive_weight_end": 0.1, "views": ViewConfig(shift=1)}),
        (WindowSource, {**SITES, "min_score": 0.5, "decoys": DecoyConfig(ratio=2)}),
        (
            RunConfig,
            {
                "pretrain": PretrainConfig(
                    contrast=PhaseConfig(contrastive_weight=1, positives="label", views=ViewConfig(shift=45))
                ),
                "split": SplitConfig(pretraining=1),
            },
        ),
        (FinetuneConfig, {"initialisations": ("baseline",), "labels": 0, "head_dropout": 0}),
        (RunConfig, {"run": "Demo-200_b.1"}),
    ],
)
def test_the_limits_themselves_are_accepted(cls: type, fields: dict[str, Any]) -> None:
    built = cls(**fields)
    assert {name: getattr(built, name) for name in fields} == fields


def test_kept_encoders_are_those_of_every_measurement_but_the_baseline() -> None:
    baseline, contrast = PhaseConfig(steps=50, evaluate_every=20), PhaseConfig(steps=25, evaluate_every=10)
    also = (RecipeConfig(name="joint"),)
    pretrain = PretrainConfig(baseline=baseline, contrast=contrast, also=also, keep_measured=True)
    assert pretrain.kept == ("baseline-20", "baseline-40", "contrast-10", "contrast-20", "contrast-25")
    assert pretrain.encoders == ("baseline", "best_sccs", "best_nmi", "joint")
    finetune = FinetuneConfig(initialisations=("joint", "kept", "baseline", "contrast-10"))
    config = RunConfig(pretrain=pretrain, finetune=finetune)
    assert config.initialisations == ("joint", *pretrain.kept, "baseline")
    assert RunConfig().pretrain.kept == ()


def test_settings_cannot_be_changed_after_they_were_checked() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        RunConfig().seed = 1  # type: ignore[misc]


def test_plain_settings_hold_only_what_json_and_yaml_know() -> None:
    plain = as_plain(RunConfig(data=DataConfig(windows=(WindowSource(**TEXT),))))
    assert plain["data"]["windows"][0]["positives"] == "p"
    assert plain["finetune"]["initialisations"] == ["baseline", "best_sccs", "best_nmi", "random"]
    assert plain["data"]["simulate"] is None
    assert not list(strangers(plain))


def strangers(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for item in (*value.keys(), *value.values()):
            yield from strangers(item)
    elif isinstance(value, list):
        for item in value:
            yield from strangers(item)
    elif type(value) not in (str, int, float, bool, type(None)):
        yield value


def every_setting(cls: type, prefix: str = "") -> Iterator[tuple[str, dataclasses.Field[Any], type]]:
    """Dotted name, field and dataclass of every setting, those of listed sources included."""
    for f in dataclasses.fields(cls):
        name = f"{prefix}{f.name}"
        yield name, f, cls
        for part in (f.type, *get_args(f.type)):
            if isinstance(part, type) and dataclasses.is_dataclass(part):
                yield from every_setting(part, f"{name}.")


SETTINGS = list(every_setting(RunConfig))


def test_walk_over_the_settings_reaches_sources_and_phases() -> None:
    names = {name for name, _, _ in SETTINGS}
    assert {"data.windows.positives", "data.simulate.genes", "pretrain.contrast.temperature", "nmi.seeds"} <= names


def test_no_setting_could_choose_a_checkpoint_on_test_data() -> None:
    word = re.compile(r"(^|[^a-z])test", flags=re.IGNORECASE)
    assert word.search("validation_or_test")
    assert [name for name, _, _ in SETTINGS if word.search(name)] == []
    assert [name for name, f, _ in SETTINGS if any(word.search(str(value)) for value in get_args(f.type))] == []


@pytest.mark.parametrize(("name", "field", "cls"), SETTINGS, ids=[name for name, _, _ in SETTINGS])
def test_every_setting_is_documented(name: str, field: dataclasses.Field[Any], cls: type) -> None:
    documented = "".join(base.__doc__ or "" for base in cls.__mro__ if dataclasses.is_dataclass(base))
    assert f"\n        {field.name}: " in documented
