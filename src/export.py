"""Write a model of a run as a folder that others open without this project: weights, tokenizer, model card.

    python src/export.py classifier best_nmi --config configs/demo.yaml
    python src/export.py classifier best_nmi --fold 2 --licence cc-by-4.0 --target my-model --config configs/demo.yaml
    python src/export.py classifier best_nmi --onnx --config configs/demo.yaml
    python src/export.py embedder best_sccs --pooling mean --config configs/demo.yaml

A classifier is that of one fold, the first unless --fold says another, and its probabilities are not calibrated;
src/predict.py takes the mean of calibrated folds. It opens in AutoModelForSequenceClassification if it pools [CLS]; if
it pools site or mean, then in AutoModelForTokenClassification, and the model card says how its logits make that of a
window. The embedder opens in SentenceTransformer. With --onnx the folder of a classifier holds model.onnx, too. Logits
and embeddings of each are compared with those here before the folder takes its place.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from simcsp import runs, storage
from simcsp.command_line import OPTIONS, parse_config
from simcsp.config import CNN, RunConfig
from simcsp.console import run_script, say
from simcsp.datasets.splits import selection_rows
from simcsp.datasets.windows import load_windows
from simcsp.download.catalogue import SETS
from simcsp.errors import InputError
from simcsp.model.encoder import load_checkpoint, load_classifier
from simcsp.model.export import (
    classifier_difference,
    embedder_difference,
    export_classifier,
    export_embedder,
    task_of,
)
from simcsp.model.onnx import onnx_difference, require_onnx, write_onnx
from simcsp.model.splicebert import published_name
from simcsp.report.model_card import Card, Kind, model_card, pretraining_of
from simcsp.sequence.alphabet import with_special_tokens
from simcsp.stages import finished_before, stage_folder

_COMPARED = 16  # windows that logits or embeddings are compared on
_ARCHITECTURE = "config.json"  # a folder without it is that of the convolutional network, or none of a model
_ROUNDING = 1e-3  # a larger difference is a fault, not rounding


def main() -> None:
    """Export what the command line names."""
    asked, config = _parse(sys.argv[1:])
    if asked.model == CNN:
        raise InputError(
            "the convolutional network is a reference without an encoder and is not exported",
            hint="Give another initialisation",
        )
    if asked.onnx and asked.what == "embedder":
        raise InputError("an embedder is not exported as ONNX", hint="Leave --onnx out, or export a classifier")
    if asked.onnx:
        require_onnx()
    finished_before(config, "report")
    target = asked.target or runs.run_folder(config.run) / "export" / f"{asked.what}-{asked.model}"
    if target.exists():
        raise InputError("something is there already", path=target, hint="Move it away, or give another --target")
    with storage.whole_folder(target) as folder:
        write = _export_classifier if asked.what == "classifier" else _export_embedder
        card = write(asked, config, folder)
        if not card.difference <= _ROUNDING:
            raise RuntimeError(f"the exported model differs by {card.difference:g}")
        storage.write_text(folder / "README.md", model_card(card))
        storage.write_json(folder / "export.json", {"from": f"{config.run}: {asked.model}", **runs.environment()})
        storage.write_checksums(folder)
    say(f"export: {_what(asked, config)} written to {target}")
    values = "logits" if asked.what == "classifier" else "embeddings"
    say(f"export: {values} of {_COMPARED} windows differ by {card.difference:.1e} at most from those of the model here")


def _parse(arguments: list[str]) -> tuple[argparse.Namespace, RunConfig]:
    parser = argparse.ArgumentParser(prog="export.py", description=__doc__, epilog=OPTIONS, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("what", choices=("classifier", "embedder"))
    parser.add_argument("model", help="an initialisation of the run, but cnn; an embedder is not random")
    parser.add_argument(
        "--fold", type=int, default=0, help="number of the fold whose classifier is written (default: %(default)s)"
    )
    parser.add_argument("--pooling", choices=("cls", "mean"), help="of an embedder (default: that of the run)")
    parser.add_argument("--onnx", action="store_true", help="model.onnx beside the weights of a classifier")
    parser.add_argument("--licence", default="unknown", help="of the model, as the Hugging Face hub calls it")
    parser.add_argument("--target", type=Path, help="folder (default: runs/<run>/export/<what>-<model>)")
    asked, rest = parser.parse_known_args(arguments)
    return asked, parse_config(__doc__, rest)


def _export_classifier(asked: argparse.Namespace, config: RunConfig, folder: Path) -> Card:
    how, source = config.encoder, _existing(stage_folder(config, "finetune"), asked.model, f"fold-{asked.fold}/best")
    classifier = load_classifier(source, pooling=how.pooling, layer=how.layer, tokens=config.longest_input)
    windows = _some_windows(config)
    export_classifier(classifier, folder)
    difference = classifier_difference(classifier, folder, windows)
    if asked.onnx:
        write_onnx(classifier, folder, windows)
        fewer_and_shorter = windows[:3, 1:-1]
        difference = max(difference, *(onnx_difference(classifier, folder, w) for w in (windows, fewer_and_shorter)))
    scores = _scores(config, asked.model, str(asked.fold), f"test part of fold {asked.fold}")
    return _card(asked, config, classifier.encoder, task_of(how.pooling), how.pooling, difference, scores)


def _export_embedder(asked: argparse.Namespace, config: RunConfig, folder: Path) -> Card:
    how, source = config.encoder, _existing(stage_folder(config, "pretrain"), asked.model)
    encoder, pooling = load_checkpoint(source, dropout=0.0, tokens=config.longest_input), asked.pooling or how.pooling
    export_embedder(encoder, folder, pooling=pooling, layer=how.layer)
    windows = _some_windows(config)
    difference = embedder_difference(encoder, folder, windows, pooling=pooling, layer=how.layer)
    scores = _scores(config, asked.model, "selection", f"selection part, pooling {how.pooling}")
    return _card(asked, config, encoder, "embedder", pooling, difference, scores)


def _existing(stage: Path, model: str, below: str = "") -> Path:
    """The folder of a model; if the run has none of that name (or no such fold), those that it has are named."""
    folder = stage / model / below
    if not (folder / _ARCHITECTURE).exists():
        there = sorted(path.relative_to(stage).parts[0] for path in stage.glob(str(Path("*", below, _ARCHITECTURE))))
        hint = f"Give one of {', '.join(there)}" if there else "Give another --fold"
        raise InputError("the run has no such model", path=folder, hint=hint)
    return folder


def _what(asked: argparse.Namespace, config: RunConfig) -> str:
    which = f" of fold {asked.fold} (--fold 0 to {config.split.folds - 1})" if asked.what == "classifier" else ""
    return f"{asked.what} {asked.model}{which}"


def _some_windows(config: RunConfig) -> Tensor:
    table = load_windows(stage_folder(config, "prepare") / "windows")
    rows = selection_rows(table, config.split)[:_COMPARED]
    return torch.from_numpy(with_special_tokens(table.tokens[rows])).long()


def _scores(config: RunConfig, model: str, fold: str, on: str) -> list[tuple[str, str, float, str]]:
    table = pd.read_csv(stage_folder(config, "evaluation") / runs.SCORES, dtype={"fold": str})
    found = table[(table.model == model) & (table.fold == fold)]
    return [(row.metric, row.site, float(row.value), on) for row in found.itertuples()]


def _card(
    asked: argparse.Namespace,
    config: RunConfig,
    encoder: Any,
    kind: Kind,
    pooling: str,
    difference: float,
    metrics: list[tuple[str, str, float, str]],
) -> Card:
    initial = published_name(config.encoder.init) if asked.model != "random" else None
    public = SETS["splicebert-models"]
    return Card(
        name=f"{config.run}: {asked.what} {asked.model}",
        kind=kind,
        pooling=pooling,
        window=config.data.window,
        licence=asked.licence,
        facts=_facts(asked, config, encoder.config),
        metrics=metrics,
        difference=difference,
        onnx=asked.onnx,
        initial=f"Training started from {initial}, {public.licence} ({public.licence_url}): {public.citation}."
        if initial
        else "",
    )


def _facts(asked: argparse.Namespace, config: RunConfig, architecture: Any) -> dict[str, str]:
    manifest = storage.read_json(stage_folder(config, "prepare") / "manifest.json")
    record = storage.read_json(stage_folder(config, "finetune") / runs.RECORD)
    assemblies = [f"{path} ({found['assembly']})" for path, found in manifest["assemblies"].items()]
    sources = [f"{one['source']}: {one['kept']:,} {one['what']}" for one in manifest["sources"]]
    initial = "random weights" if asked.model == "random" else config.encoder.init
    tuning = config.finetune
    return {
        "assemblies": ", ".join(assemblies) or "none: windows came without coordinates",
        "sources": "; ".join(sources),
        "windows": f"{manifest['windows']:,} of {config.data.window} nt; split by {config.split.by}",
        "encoder": f"{architecture.model_type}, {architecture.num_hidden_layers} layers of width "
        f"{architecture.hidden_size}, from {initial}",
        "pre-training": pretraining_of(asked.model, config.pretrain),
        "fine-tuning": f"at most {tuning.epochs} epochs, {tuning.labels or 'all'} windows per fold, learning rate "
        f"{tuning.learning_rate:g}{', encoder frozen' if tuning.frozen else ''}"
        if asked.what == "classifier"
        else "none",
        "seed": str(config.seed),
        "code": f"SimCSP {record['version']}, commit {record['environment']['code']}",
    }


if __name__ == "__main__":
    run_script(main)
