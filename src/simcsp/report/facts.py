"""What was run on what data, in words."""

from collections.abc import Mapping
from typing import Any

from simcsp.config import PhaseConfig, RunConfig, as_plain
from simcsp.datasets.pairs import FOLDERS
from simcsp.report.figures import TITLES
from simcsp.report.recipes import views_in_words, weights_in_words
from simcsp.report.run_files import RunFiles


def facts(config: RunConfig, files: RunFiles) -> dict[str, str]:
    """Name → value, in the order in which they are read."""
    manifest, environment = files.manifest, files.record["environment"]
    split, phases = manifest["split"], config.pretrain
    quirks = [name.replace("_", " ") for name, asked in as_plain(config.published).items() if asked]
    kept = {TITLES["best_" + metric.removeprefix("validation/")]: step for metric, step in files.kept.items()}
    return {
        "data": f"{config.data.name}: {manifest['windows']:,} windows of {config.data.window} nt, "
        f"corpus of {manifest['corpus nucleotides']:,} nt",
        "split": f"{config.split.folds} folds, {split['groups']:,} groups kept together, "
        f"{split['groups in several parts']} groups and "
        f"{split['identical windows in several parts']} identical windows in several parts",
        "encoder": encoder_in_words(config, files.architecture),
        "pre-training": f"{phases.baseline.steps:,} steps of MLM, then {_contrast(phases.contrast)}",
        "kept": ", ".join(f"{model} from step {step}" for model, step in kept.items()),
        "read without labels": ", ".join(str(source.sequences) for source in config.data.corpus),
        "of the windows, read without labels": _exposure(manifest["exposure"]),
        **seen_with_labels(config, manifest),
        **({"published quirks": ", ".join(quirks)} if quirks else {}),
        "fine-tuning": f"at most {config.finetune.epochs} epochs, "
        f"{config.finetune.labels or 'all'} training windows per fold",
        "seed": str(config.seed),
        "code": f"version {files.record['version']}, commit {environment['code']}",
        "machine": f"{environment['platform']}, {environment['processors']} processors, "
        f"torch {environment['libraries']['torch']}",
    }


def encoder_in_words(config: RunConfig, architecture: Mapping[str, Any]) -> str:
    """What BASELINE is: a checkpoint has a shape of its own, and layers may have been removed."""
    removed = f", without {config.encoder.drop_layers} on top" if config.encoder.drop_layers else ""
    return (
        f"{architecture['model_type']} from {config.encoder.init}, {architecture['num_hidden_layers']} layers of "
        f"{architecture['hidden_size']}{removed}, pooling {config.encoder.pooling}"
    )


def seen_with_labels(config: RunConfig, manifest: Mapping[str, Any]) -> dict[str, str]:
    """Windows whose labels pre-training has seen, if any."""
    phases = (config.pretrain.baseline, config.pretrain.contrast, *config.pretrain.also)
    found = {phase.positives for phase in phases}
    sets = [folder for positives, folder in FOLDERS.items() if positives in found]
    said = ", ".join(f"{manifest[name]:,} ({name})" for name in sets)
    return {"windows seen with labels, none akin to those of a fold": said} if sets else {}


def _contrast(phase: PhaseConfig) -> str:
    """Length, weights and pairs of the contrastive phase."""
    mlm, contrastive = weights_in_words(phase)
    pairs = f", pairs by {phase.positives}" if phase.positives != "window" else ""
    views = views_in_words(phase.views)
    said = pairs + (f", second views {views}" if views else "")
    return f"{phase.steps:,} steps with weights {mlm} MLM and {contrastive} SimCSP{said}"


def _exposure(record: Mapping[str, Any]) -> str:
    """How many windows were seen in pre-training, and in which species of the corpus."""
    species = ", ".join(f"{name} ({count:,})" for name, count in record["by species of the corpus"].items())
    share = record["windows"] / record["of"]
    return f"{record['windows']:,} of {record['of']:,} ({share:.1%}){' in the corpus of ' + species if species else ''}"
