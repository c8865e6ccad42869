"""Embed the selection part with every pre-trained encoder, and score the embeddings: SCCS, NMI, linear probe.

    python src/embed.py --config configs/demo.yaml
    python src/embed.py layers --config configs/demo.yaml --run probe --encoder.init CHECKPOINT

The first reads runs/<run>/pretrain; writes runs/<run>/encoders: scores.csv (one row per encoder and metric), layers.csv
(one row per encoder, layer and pooling), and per encoder the embeddings, and the clusters and UMAP layouts of some
windows, in every layer, too. What is finished is not repeated. Runs that share pre-training share this, too.

`layers` needs only prepared data. It scores every layer and pooling of one encoder, that of `encoder.init`: layers.csv
and layers.png in runs/<run>/layers.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from accelerate import Accelerator
from numpy.typing import NDArray
from transformers import PreTrainedModel

from simcsp import runs, storage
from simcsp.command_line import parse_config
from simcsp.config import RunConfig, as_plain
from simcsp.console import progress, run_script, say
from simcsp.datasets.splits import selection_rows
from simcsp.datasets.windows import WindowTable, load_windows
from simcsp.metrics.layers import Sites, embedding_scores, layer_scores
from simcsp.metrics.nmi import cluster
from simcsp.metrics.probe import held_out_probabilities
from simcsp.metrics.sccs import sccs
from simcsp.model.embedding import embed, embed_layers
from simcsp.model.encoder import initial_files, load_checkpoint, load_encoder
from simcsp.model.published import embed_doubly_framed, embed_sites_off_by_one
from simcsp.model.splicebert import initial_folder
from simcsp.report.figures import layer_maps
from simcsp.report.layout import PICTURED, umap_layout
from simcsp.stages import enter_stage, finished_before, stage_folder
from simcsp.training.devices import describe, make_accelerator

Row = dict[str, object]
Floats = NDArray[np.float32]


def main() -> None:
    """Score the encoders of the run, or the one encoder that is asked for."""
    if sys.argv[1:2] == ["layers"]:
        _score_one(parse_config(__doc__, sys.argv[2:]))
    else:
        _score_encoders(parse_config(__doc__, stage="encoders"))


def _score_encoders(config: RunConfig) -> None:
    accelerator = make_accelerator(config.precision)
    if not enter_stage(config, "encoders", {"device": describe(accelerator)}):
        return
    folder, names = stage_folder(config, "encoders"), config.pretrain.encoders
    rows, selection = _selection(config)
    for name in progress([name for name in names if not (folder / name).exists()], "embed", unit="encoder"):
        checkpoint = stage_folder(config, "pretrain") / name
        encoder = load_checkpoint(checkpoint, dropout=config.encoder.dropout, tokens=config.longest_input)
        with storage.whole_folder(folder / name) as target:
            _score_encoder(name, encoder, rows, selection, config, accelerator, target)
    for file in (runs.SCORES, runs.LAYERS):
        parts = [pd.read_csv(folder / name / file, dtype={"layer": str}) for name in names]
        storage.write_text(folder / file, pd.concat(parts).to_csv(index=False))
    runs.close_stage(folder, {"encoders": list(names)})
    say(f"embed: {len(names)} encoders scored, written to {folder.relative_to(runs.ROOT)}")


def _score_encoder(
    name: str,
    encoder: PreTrainedModel,
    rows: NDArray[np.intp],
    selection: WindowTable,
    config: RunConfig,
    accelerator: Accelerator,
    target: Path,
) -> None:
    """Write what is known of one encoder: scores, layers, embeddings, and what the UMAP figure is drawn from."""
    vectors = _site_embeddings(encoder, selection, config, accelerator)
    scores = embedding_scores(vectors, _sites(selection), config.nmi, config.seed)
    if config.published.doubled_special_tokens:
        paired = embed_doubly_framed(encoder, selection.tokens, layer=config.encoder.layer, accelerator=accelerator)
        scores["sccs"] = sccs(paired, selection.label, config.seed).value
    listed = [{"model": name, "metric": metric, "value": value} for metric, value in scores.items()]
    pd.DataFrame(listed).to_csv(target / runs.SCORES, index=False)
    states = embed_layers(encoder, selection.tokens, accelerator)
    layers = _layer_rows(name, states, selection, config)
    pd.DataFrame(layers).to_csv(target / runs.LAYERS, index=False)
    np.save(target / "embeddings.npy", vectors)
    some = np.sort(np.random.default_rng(config.seed).permutation(len(rows))[:PICTURED])
    layout = _layout(vectors, rows, some, selection, config)
    layout.to_csv(target / runs.LAYOUT, index=False)
    every = _layer_layouts(states[config.encoder.pooling], layout, some, selection, config)
    every.to_csv(target / runs.LAYER_LAYOUTS, index=False)


def _layout(
    vectors: Floats, rows: NDArray[np.intp], some: NDArray[np.intp], selection: WindowTable, config: RunConfig
) -> pd.DataFrame:
    """Some windows with their cluster and their place in the UMAP figure; the clusters are those of all windows."""
    facts = {name: getattr(selection, name)[some] for name in ("origin", "label", "site_type", "species")}
    return pd.DataFrame({"row": rows[some], **facts}).join(_places(vectors, some, config))


def _places(vectors: Floats, some: NDArray[np.intp], config: RunConfig) -> pd.DataFrame:
    across, up = umap_layout(vectors[some], config.seed).T
    clusters = cluster(vectors, config.nmi, config.seed)[some]
    return pd.DataFrame({"cluster": clusters, "umap_1": across, "umap_2": up})


def _layer_layouts(
    states: Floats, layout: pd.DataFrame, some: NDArray[np.intp], selection: WindowTable, config: RunConfig
) -> pd.DataFrame:
    """The same windows in every layer above the embedding, with what a linear probe of the layer says of them."""
    depth = states.shape[1] - 1
    parts = []
    for layer in range(1, depth + 1):
        vectors, pooled = states[:, layer], layer == config.encoder.layer % (depth + 1)
        places = layout[["cluster", "umap_1", "umap_2"]] if pooled else _places(vectors, some, config)
        probe = held_out_probabilities(vectors, *_sites(selection), seed=config.seed)[some]
        parts.append(places.assign(row=layout.row, layer=layer, pooled=pooled, probe=probe))
    return pd.concat(parts)


def _score_one(config: RunConfig) -> None:
    accelerator = make_accelerator(config.precision)
    folder = runs.run_folder(config.run) / "layers"
    settings = {name: as_plain(getattr(config, name)) for name in ("seed", "precision", "encoder", "nmi")}
    files = {**initial_files(initial_folder(config.encoder.init)), "device": describe(accelerator)}
    inputs = {**finished_before(config, "pretrain"), **files}
    runs.lock(folder)
    if runs.open_stage(folder, settings, inputs) is not runs.State.FINISHED:
        with runs.unclaimed_on_error(folder):
            encoder = load_encoder(config.encoder, config.longest_input, config.seed)
        _, selection = _selection(config)
        states = embed_layers(encoder, selection.tokens, accelerator)
        layers = pd.DataFrame(_layer_rows("encoder", states, selection, config))
        storage.write_text(folder / runs.LAYERS, layers.to_csv(index=False))
        with storage.whole_file(folder / "layers.png") as partial:
            layer_maps(layers).savefig(partial, format="png")
        runs.close_stage(folder, {"rows": len(layers)})
    say(f"embed: {(folder / runs.LAYERS).relative_to(runs.ROOT)} is complete")


def _selection(config: RunConfig) -> tuple[NDArray[np.intp], WindowTable]:
    """Rows of the selection part in the table of windows, and the windows."""
    table = load_windows(stage_folder(config, "prepare") / "windows")
    rows = selection_rows(table, config.split)
    return rows, table.take(rows)


def _layer_rows(name: str, states: Mapping[str, Floats], selection: WindowTable, config: RunConfig) -> list[Row]:
    rows = layer_scores(states, _sites(selection), config.nmi, config.seed)
    total = sum(pooled.shape[1] + 1 for pooled in states.values())
    return [{"model": name, **row} for row in progress(rows, f"embed: layers of {name}", unit="layer", total=total)]


def _sites(table: WindowTable) -> Sites:
    return Sites(table.label, table.site_type, table.group)


def _site_embeddings(
    encoder: PreTrainedModel, table: WindowTable, config: RunConfig, accelerator: Accelerator
) -> Floats:
    how = config.encoder
    if config.published.minus_strand_offset:
        reverse = np.char.endswith(table.origin, ":-")
        return embed_sites_off_by_one(encoder, table.tokens, reverse, layer=how.layer, accelerator=accelerator)
    return embed(encoder, table.tokens, pooling=how.pooling, layer=how.layer, accelerator=accelerator)


if __name__ == "__main__":
    run_script(main)
