import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from simcsp.command_line import parse_config
from simcsp.config import RunConfig, as_plain
from simcsp.errors import InputError

ROOT = Path(__file__).resolve().parents[1]
Parse = Callable[..., RunConfig]
CONFIGS = sorted([*ROOT.glob("configs/**/*.yaml"), *ROOT.glob("tests/configs/*.yaml")])


@pytest.fixture
def parse(tmp_path: Path) -> Parse:
    """``parse(yaml, *arguments)``: what a script with this configuration file and these arguments would run."""

    def call(text: str | bytes, *arguments: str) -> RunConfig:
        path = tmp_path / "config.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return parse_config("A stage.", ["--config", str(path), *arguments])

    return call


def leaves(content: object, prefix: str = "") -> dict[str, object]:
    if isinstance(content, dict):
        return {name: value for k, v in content.items() for name, value in leaves(v, f"{prefix}{k}.").items()}
    if isinstance(content, list):
        return {name: value for k, v in enumerate(content) for name, value in leaves(v, f"{prefix}{k}.").items()}
    return {prefix: content}


@pytest.mark.parametrize("path", CONFIGS, ids=[str(path.relative_to(ROOT)) for path in CONFIGS])
def test_every_configuration_loads_and_says_what_its_file_says(path: Path) -> None:
    config = leaves(as_plain(parse_config("A stage.", ["--config", str(path)])))
    written = leaves(yaml.safe_load(path.read_text()))
    written.pop("base.", None)
    assert {name: str(config[name]) for name in written} == {
        name: str(float(value)) if isinstance(config[name], float) else str(value)  # type: ignore[arg-type]
        for name, value in written.items()
    }


def test_there_are_configurations_to_load() -> None:
    assert {"demo.yaml", "human.yaml", "tiny.yaml"} <= {path.name for path in CONFIGS}


def test_nothing_given_means_the_defaults() -> None:
    assert parse_config("A stage.", []) == RunConfig()


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("rn: x", "run"),
        ("finetune: {learning_rat: 1}", "learning_rate"),
        ("pretrain: {contrast: {temprature: 1}}", "temperature"),
        ("nmi: {neighbors: 3}", "neighbours"),
        ("data: {simulate: {gene: 3}}", "genes"),
        ("data: {corpus: [{species: x, sequence: a}]}", "sequences"),
        ("data: {windows: [{format: text, species: x, site: donor, positives: p, negatives: n, group: g}]}", "groups"),
    ],
)
def test_unknown_key_is_an_error_that_names_the_nearest(parse: Parse, text: str, nearest: str) -> None:
    with pytest.raises(InputError, match=rf"config\.yaml, line 1: .*there is no such key\. Did you mean {nearest}\?$"):
        parse(text)


@pytest.mark.parametrize("argument", ["--finetune.learning_rat=1", "--finetune.learning_rates=1"])
def test_unknown_option_is_an_error_and_never_taken_for_an_abbreviation(argument: str) -> None:
    with pytest.raises(InputError, match=r"no such option\. Did you mean --finetune\.learning_rate\?$"):
        parse_config("A stage.", [argument])


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("--dryrun", "--dry-run"),
        ("--print_config", "--print-config"),
        ("--windw", "--data.window"),
        ("--pretrian.contrast.steps", "--pretrain.contrast.steps"),
    ],
)
def test_options_are_suggested_as_they_are_written(written: str, meant: str) -> None:
    with pytest.raises(InputError, match=rf"{written}: there is no such option\. Did you mean {meant}\?$"):
        parse_config("A stage.", [written, "1"], stage="pretrain")


def test_key_like_no_other_leads_to_the_help(parse: Parse) -> None:
    with pytest.raises(InputError, match=r"zzqqxx: there is no such key\. See --help"):
        parse("zzqqxx: 1")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("seed: abc", "seed"),
        ("seed: true", "seed"),
        ("seed: 1.5", "seed"),
        ("finetune: {epochs: two}", "finetune.epochs"),
        ("precision: fp16", "precision"),
        ("finetune: {initialisations: [baseline, worst]}", "finetune.initialisations"),
        ("data: {windows: 5}", "data.windows"),
        ("data: {windows: [5]}", "data.windows"),
        ("data: {corpus: [{species: x}]}", "sequences"),
        ("encoder: 5", "encoder"),
        ("seed: null", "seed"),
        ("split: {folds: null}", "split.folds"),
        ("encoder: null", "encoder"),
        ("data: {simulate: {genes: null}}", "data.simulate.genes"),
        ("data: {corpus: [{species: null, sequences: a}]}", "data.corpus"),
        ("finetune: {initialisations: null}", "finetune.initialisations"),
    ],
)
def test_wrong_type_is_an_error_that_names_the_setting(parse: Parse, text: str, named: str) -> None:
    with pytest.raises(InputError, match=named) as caught:
        parse(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("split: {folds: 1}", "folds must be 2 to 63"),
        ("encoder: {heads: 0}", "heads and layers must be above 0"),
        ("run: ..", "run is a folder name"),
        ("data: {windows: [{format: text, species: x}]}", "needs site, positives, negatives"),
        ("nmi: {published: true, neighbours: 3}", "the published NMI has"),
    ],
)
def test_value_that_makes_no_sense_is_an_input_error(parse: Parse, text: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        parse(text)


def test_optional_settings_may_be_null(parse: Parse) -> None:
    config = parse("data: {simulate: null, corpus: [{species: x, sequences: a, annotation: null}]}")
    assert config.data.simulate is None
    assert config.data.corpus[0].annotation is None


@pytest.mark.parametrize("written", ["1e-5", "1.0e-05", "0.00001", "'1e-5'"])
def test_small_rate_is_a_number_however_it_is_written(parse: Parse, written: str) -> None:
    rate = parse(f"finetune: {{learning_rate: {written}}}").finetune.learning_rate
    assert isinstance(rate, float)
    assert rate == 1e-5


def test_command_line_wins_over_the_file_and_leaves_the_rest(parse: Parse) -> None:
    text = "seed: 1\nfinetune: {epochs: 7, batch_size: 16}\n"
    config = parse(text, "--finetune.epochs", "9", "--seed=2", "--finetune.initialisations", "[baseline]")
    assert (config.seed, config.finetune.epochs, config.finetune.batch_size) == (2, 9, 16)
    assert config.finetune.initialisations == ("baseline",)


def test_a_configuration_builds_on_others_and_changes_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "low").mkdir()
    (tmp_path / "bottom.yaml").write_text("run: bottom\nseed: 1\nfinetune: {epochs: 7, labels: 5}\n")
    (tmp_path / "middle.yaml").write_text("base: bottom.yaml\nrun: middle\nfinetune: {labels: 6}\n")
    (tmp_path / "low" / "top.yaml").write_text("base: ../middle.yaml\nrun: top\n")
    for given in (["--config", str(tmp_path / "low" / "top.yaml")], [f"--config={tmp_path / 'low' / 'top.yaml'}"]):
        config = parse_config("", [*given, "--seed", "3"])
        assert (config.run, config.seed, config.finetune.epochs, config.finetune.labels) == ("top", 3, 7, 6)


def test_configurations_that_build_on_each_other_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("base: b.yaml\n")
    (tmp_path / "b.yaml").write_text("base: a.yaml\n")
    with pytest.raises(InputError, match="builds on itself"):
        parse_config("", ["--config", str(tmp_path / "a.yaml")])


@pytest.mark.parametrize("words", [("--base", "x.yaml"), ("--base=x.yaml",)])
def test_a_base_on_the_command_line_is_refused(parse: Parse, words: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="--base is read from a YAML file only"):
        parse("run: top\n", *words)


def test_a_missing_base_is_named(parse: Parse) -> None:
    with pytest.raises(InputError, match=r"nowhere\.yaml"):
        parse("base: nowhere.yaml")


def test_paths_are_left_as_they_were_written(parse: Parse) -> None:
    config = parse("data: {root: data/raw, corpus: [{species: x, sequences: a/b.fa}]}")
    assert config.data.root / config.data.corpus[0].sequences == Path("data/raw/a/b.fa")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [1,\nb: {", r"config\.yaml, line 2: this is no YAML: expected the node content"),
        ("run: a\n  b: c: d\n", r"config\.yaml, line 2: this is no YAML: mapping values are not allowed here\.$"),
        ("a: !x 1", r"config\.yaml, line 1: this is no YAML"),
        ("a: \x00", r"config\.yaml: this is no YAML"),
        ("seed: 1\ndata:\n\twindow: 5\n", r"config\.yaml, line 3: YAML allows no tab here\. Write spaces"),
        ("run:\tx\n  seed: 1\n", r"config\.yaml, line 1: YAML allows no tab here"),
        ("", r"config\.yaml: the file is empty\.$"),
        ("# seed: 1\n", r"config\.yaml: the file holds no settings"),
        ("- run", r"config\.yaml: the file holds no settings"),
        ("just words", r"config\.yaml: the file holds no settings"),
        (b"\xff\xfe\x00\x80", r"config\.yaml: the configuration is not text in UTF-8"),
    ],
)
def test_malformed_file_is_one_sentence(parse: Parse, text: str | bytes, problem: str) -> None:
    with pytest.raises(InputError, match=problem) as caught:
        parse(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["nowhere.yaml", "folder"])
def test_missing_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=f"{name}: the configuration cannot be read"):
        parse_config("A stage.", ["--config", str(tmp_path / name)])


@pytest.mark.parametrize("words", [[], ["--dry-run"]])
def test_a_stage_needs_a_configuration(words: list[str]) -> None:
    with pytest.raises(InputError, match=r"^no configuration is given\. Give --config FILE\.yaml"):
        parse_config("A stage.", words, stage="pretrain")


@pytest.mark.parametrize("word", ["--help", "--help-settings", "--print-config"])
def test_a_stage_shows_its_settings_without_one(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        parse_config("A stage.", [word], stage="pretrain")
    assert exit_.value.code == 0
    assert capsys.readouterr().out


def test_argument_without_a_name_is_refused() -> None:
    with pytest.raises(InputError, match=r"configs/demo\.yaml: belongs to no option \(a file: --config FILE\.yaml\)"):
        parse_config("A stage.", ["configs/demo.yaml"])


def test_help_is_short_and_names_the_long_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        parse_config("A stage.", ["--help"])
    assert exit_.value.code == 0
    shown = capsys.readouterr().out
    assert len(shown.splitlines()) < 15
    for name in ("A stage.", "--config", "--SECTION.SETTING", "--print-config", "--help-settings"):
        assert name in shown
    assert "--dry-run" not in shown  # it is of stages
    with pytest.raises(SystemExit):
        parse_config("A stage.", ["--help"], stage="pretrain")
    assert "--dry-run" in capsys.readouterr().out


def test_the_long_help_documents_every_section_and_succeeds(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        parse_config("A stage.", ["--help-settings"])
    assert exit_.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "A stage." in shown
    assert ".help" not in shown
    for name in ("--seed", "--finetune.learning_rate", "--pretrain.contrast.temperature", "--nmi.seeds"):
        assert name in shown
    assert "gradients are clipped to this norm" in shown


def test_the_long_help_begins_as_the_short_one_does(capsys: pytest.CaptureFixture[str]) -> None:
    description = "A stage.\n\n    python src/stage.py --seed 1\n    python src/stage.py --seed 2\n"
    shown = []
    for word in ("--help", "--help-settings"):
        with pytest.raises(SystemExit):
            parse_config(description, [word])
        shown.append(capsys.readouterr().out)
    short, long = shown
    assert description in short
    assert long.startswith(short.rstrip())
    assert long.count("usage:") == 1


@pytest.mark.parametrize(
    ("settings", "field", "meaning"),
    [
        ("data.simulate", "divergence", "share of sites at which a derived species differs"),
        ("data.corpus", "hold_out", "contigs left out of the corpus"),
        ("data.windows, data.labelled, data.transfer", "min_score", "the BED holds what a splice-site finder found"),
        ("data.windows, data.labelled, data.transfer", "decoys.nearest", "least distance in nt"),
        ("data.orthologues", "others", "genomes of the other species"),
        ("pretrain.also", "keep", "which of its encoders that is"),
        ("study.budgets", "validation", "validation windows used per fold"),
    ],
)
def test_the_long_help_describes_what_lists_hold(
    capsys: pytest.CaptureFixture[str], settings: str, field: str, meaning: str
) -> None:
    with pytest.raises(SystemExit):
        parse_config("A stage.", ["--help-settings"])
    _, found, behind = capsys.readouterr().out.partition(f"\nkeys of {settings}:\n")
    assert found
    shown, _, _ = behind.partition("\nkeys of ")
    assert re.search(rf"^    {field} .*?{meaning.replace(' ', chr(92) + 's+')}", shown, re.MULTILINE | re.DOTALL)


def test_printed_settings_can_be_read_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    demo = ["--config", str(ROOT / "configs" / "demo.yaml"), "--seed", "5"]
    with pytest.raises(SystemExit) as exit_:
        parse_config("A stage.", [*demo, "--print-config"])
    assert exit_.value.code == 0
    (tmp_path / "printed.yaml").write_text(capsys.readouterr().out)
    printed = parse_config("A stage.", ["--config", str(tmp_path / "printed.yaml")])
    assert printed == parse_config("A stage.", demo)
    assert json.loads(json.dumps(as_plain(printed)))["seed"] == 5
