"""Errors of the parser in words: what they say of the file, the line, the setting and its value."""

from pathlib import Path

import pytest

from simcsp.command_line import parse_config
from simcsp.errors import InputError

SOURCE = "    - {species: x, sequences: x.fa}\n"
SITES = "format: genome, species: x, fasta: x.fa, annotation: x.gtf"


def said(folder: Path, text: str, *arguments: str, name: str = "my.yaml") -> str:
    """The error of a configuration with this content, without the folder it is in."""
    (folder / name).write_text(text)
    with pytest.raises(InputError) as caught:
        parse_config("A stage.", ["--config", str(folder / name), *arguments])
    return str(caught.value).replace(f"{folder}/", "").removesuffix(" See --help-settings for every setting.")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            f"data:\n  corpus:\n{SOURCE}    - species: x\n      annotaton: x.gtf\n",
            "line 5: data.corpus.annotaton (entry 2): there is no such key. Did you mean annotation?",
        ),
        (
            f"data:\n  corpus:\n{SOURCE}    - species: x\n",
            "line 4: data.corpus.sequences (entry 2): has no value, and needs one.",
        ),
        (
            f"data:\n  windows:\n    - {{{SITES}}}\n    - {{format: bed, species: x}}\n",
            'line 4: data.windows.format (entry 2): "bed" is not one of genome, sites, text, spliceator, gue, nt.',
        ),
        (
            f"data: {{windows: [{{{SITES}, decoys: {{ratoi: 1}}}}]}}",
            "line 1: data.windows.decoys.ratoi (entry 1): there is no such key. Did you mean ratio?",
        ),
        (
            f"data: {{windows: [{{{SITES}, decoys: {{ratio: 0}}}}]}}",
            "line 1: decoys.ratio must be above 0: a classifier needs both labels.",
        ),
        (
            f"data:\n  windows:\n    - {{{SITES}, site: both}}\n",
            'line 3: data.windows.site (entry 1): "both" is not one of donor, acceptor.',
        ),
        ("data:\n  corpus: {species: x}\n", "line 2: data.corpus: this is not a list, such as [a, b]."),
        ("data:\n  corpus: [x]\n", 'line 2: data.corpus: "x" is no set of keys and values.'),
        ("seed: 1\ndata:\n  window: many\n", 'line 3: data.window: "many" is not a whole number.'),
        (
            "seed: 1\ndata:\n  window: 201\n",
            "line 3: data.window is 201, but must be an even length of at least 20 nt.",
        ),
        (
            "pretrain:\n  contrast:\n    mlm_weight_end: no\n",
            'line 3: pretrain.contrast.mlm_weight_end: "False" is not a number.',
        ),
        ("search:\n  dropout: [0.1]\n", "line 2: search.dropout: must be a list of 2 values."),
        ("data:\n  root: 5\n", "line 2: data.root: this is no path; put it in quotes if it is."),
        ("data:\n  simulate:\n    gene: 3\n", "line 3: data.simulate.gene: there is no such key. Did you mean genes?"),
        ("data:\n  simulate:\n    genes: 0\n", "line 3: genes is 0, must be at least 1."),
        ("finetune:\n  learning_rate: fast\n", 'line 2: finetune.learning_rate: "fast" is not a number.'),
        ("compile: perhaps\n", 'line 1: compile: "perhaps" is not true or false.'),
        ("run: 5\n", 'line 1: run: "5" is not text: put it in quotes.'),
        ("pretrain:\n  lengths: [1, 2, 3]\n", "line 2: pretrain.lengths: must be a list of 2 values."),
        ("fintune:\n  epochs: 3\n", "line 2: fintune.epochs: there is no such key. Did you mean finetune.epochs?"),
        ("window: 100\n", "line 1: window: there is no such key. Did you mean data.window?"),
        ("seed: null\n", "line 1: seed: has no value, and needs one."),
        ("seed: 1\nencoder: 5\n", "line 2: encoder: this is no set of keys and values."),
        ("data:\n  simulate: 5\n", "line 2: data.simulate: this is no set of keys and values."),
        (
            "finetune:\n  initialisations: [baseline, best_scss, bset]\n",
            'line 2: finetune.initialisations: there is no "best_scss" and no "bset"; '
            "there are baseline, best_sccs, best_nmi, random, cnn, kept.",
        ),
    ],
)
def test_an_error_names_file_line_and_setting(tmp_path: Path, text: str, sentence: str) -> None:
    assert said(tmp_path, text) == f"my.yaml, {sentence}"


def test_no_line_is_named_where_several_may_be_meant(tmp_path: Path) -> None:
    text = "pretrain:\n  baseline: {steps: 5}\n  contrast: {steps: -5}\n"
    assert said(tmp_path, text) == "my.yaml: steps must not be negative."
    assert said(tmp_path, "encoder:\n  heads: 3\n  layers: 0\n") == "my.yaml: heads and layers must be above 0."


def test_of_several_files_the_one_at_fault_is_named(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("seed: 1\nsplit: {folds: x}\ndata: {window: 201}\n")
    assert said(tmp_path, "base: base.yaml\nsplit: {folds: 4}\n").startswith('base.yaml, line 2: split.folds: "x" is')
    (tmp_path / "base.yaml").write_text("seed: 1\ndata: {window: 202}\n")
    assert said(tmp_path, "base: base.yaml\n\ndata: {window: 201}\n").startswith("my.yaml, line 3: data.window is 201")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--data.window", "many"), 'data.window: "many" is not a whole number.'),
        (("--data.window=201",), "data.window is 201, but must be an even length of at least 20 nt."),
        (("--data.corpus", "[{species: x}]"), "data.corpus.sequences: has no value, and needs one."),
        (("--data.window",), "--data.window: a value is missing."),
        (("--encoder", "5"), 'encoder: "5" is no set of keys and values.'),
        (("--data.corpus.species", "x"), 'data.corpus: "species" is no set of keys and values.'),
    ],
)
def test_a_file_is_not_blamed_for_an_override(tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    text = f"data:\n  window: 100\n  corpus:\n{SOURCE}"
    assert said(tmp_path, text, *arguments) == f"configuration: {sentence}"


def test_a_file_is_not_blamed_where_an_override_of_the_same_section_may_be_meant(tmp_path: Path) -> None:
    sentence = said(tmp_path, "encoder:\n  hidden: 96\n", "--encoder.heads", "5")
    assert sentence.startswith("configuration: hidden ")


def test_what_is_not_known_of_the_parser_is_left_as_it_is(tmp_path: Path) -> None:
    assert said(tmp_path, "seed: 1\n", "--print-config=x") == 'configuration: Invalid option "x" for --print-config.'
