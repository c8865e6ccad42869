"""Time of NMI beside the published scanpy recipe, and of SCCS beside sentence-transformers' evaluator.

    python benchmarks/metrics.py --scanpy-python /path/to/python      # of an environment with scanpy and leidenalg
    python benchmarks/metrics.py --rows sccs --pairs 2000

Each side runs in a fresh process that first does the same work on less, so nothing is compiled or loaded on the clock.
NMI: simulated embeddings with a weak label; one clustering each, as published (PCA to 128 components, 15 neighbours,
Leiden at resolution 1); here also with three seeds, the default. scanpy needs an interpreter of its own, because its
dependencies and those of this project exclude each other on Python 3.11; scanpy 1.11.5 needs pynndescent below 0.6
there. SCCS: a BERT with random weights on random windows, from letters to the correlation; the evaluator gets the same
weights, and its tokenizer the letters spaced.
"""

# ruff: noqa: PLC0415 - a side imports its own libraries and nothing else

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

SPACE, WARM = 1024, 1000  # width of the embeddings, rows or pairs that a side warms up on


def main() -> None:
    """Run a side if one is named, else all of them, and print Markdown rows."""
    if sys.argv[1:2] == ["side"]:
        name, work = sys.argv[2], json.loads(sys.argv[3])
        print(json.dumps(SIDES[name](work)))
        return
    options = _options()
    print(f"{os.cpu_count()} cores\n\n| what | seconds | times the peer | value |\n|---|---|---|---|")
    if "nmi" in options.rows:
        work = {"rows": options.sites}
        peer = _run("nmi_scanpy", work, options.scanpy_python) if options.scanpy_python else None
        _print("NMI, scanpy", peer, None)
        for seeds in (1, 3):
            _print(f"NMI, here, {seeds} Leiden seed(s)", _run("nmi_here", {**work, "seeds": seeds}), peer)
    if "sccs" in options.rows:
        work = {"rows": options.pairs, "model": options.model, "tokens": options.tokens}
        peer = _run("sccs_peer", work)
        _print("SCCS, sentence-transformers", peer, None)
        _print("SCCS, here", _run("sccs_here", work), peer)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="NMI and SCCS beside the libraries they are checked against.")
    parser.add_argument("--rows", nargs="+", choices=("nmi", "sccs"), default=("nmi", "sccs"))
    parser.add_argument("--sites", type=int, default=20_000, help="rows of NMI (20,000)")
    parser.add_argument("--pairs", type=int, default=20_000, help="of SCCS (20,000)")
    parser.add_argument("--tokens", type=int, default=102, help="per window of SCCS (102)")
    size = ("layers", "hidden", "heads", "intermediate")
    parser.add_argument("--model", nargs=4, type=int, default=(2, 192, 6, 384), metavar=size, help="encoder of SCCS")
    parser.add_argument("--scanpy-python", help="interpreter that has scanpy; without it that side is not measured")
    return parser.parse_args()


def _run(side: str, work: dict[str, Any], python: str = sys.executable) -> dict[str, float]:
    command = [python, __file__, "side", side, json.dumps(work)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{side} ended with status {done.returncode}\n{done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _print(what: str, found: dict[str, float] | None, peer: dict[str, float] | None) -> None:
    if found is None:
        print(f"| {what} | not measured | | |", flush=True)
        return
    times = f"{peer['seconds'] / found['seconds']:.1f}" if peer else ""
    parts = ", ".join(f"{name} {value:.1f} s" for name, value in found.items() if name not in ("seconds", "value"))
    seconds = f"{found['seconds']:.1f}" + (f" ({parts})" if parts else "")
    print(f"| {what} | {seconds} | {times} | {found['value']:.3f} |", flush=True)


# --- sides -----------------------------------------------------------------------------------------------------------


def _embeddings(rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings of 40 loose clusters with a weak label, as those of a language model are; labels and site types."""
    rng = np.random.default_rng(0)
    labels, site_types, cluster = (rng.integers(0, k, rows) for k in (2, 2, 20))
    centres = rng.normal(size=(2, 20, 64))
    hidden = rng.normal(size=(rows, 64)) * 1.2 + centres[site_types, cluster]
    hidden[:, 0] += 2.0 * labels
    noise = 0.3 * rng.normal(size=(rows, SPACE))
    return (hidden @ rng.normal(size=(64, SPACE)) / 8 + noise).astype(np.float32), labels, site_types


def _nmi_here(work: dict[str, Any]) -> dict[str, float]:
    from simcsp.metrics.clustering import leiden, neighbour_graph
    from simcsp.metrics.nmi import NmiSettings, nmi

    settings = NmiSettings(seeds=work["seeds"])
    vectors, labels, site_types = _embeddings(work["rows"])
    nmi(vectors[:WARM], labels[:WARM], site_types[:WARM], settings, seed=0)
    start = time.perf_counter()
    value = nmi(vectors, labels, site_types, settings, seed=0).value
    seconds = time.perf_counter() - start
    start = time.perf_counter()
    graph = neighbour_graph(vectors, components=128, neighbours=15)
    middle = time.perf_counter()
    leiden(graph, seed=0)
    return {"seconds": seconds, "value": value, "graph": middle - start, "Leiden": time.perf_counter() - middle}


def _nmi_scanpy(work: dict[str, Any]) -> dict[str, float]:
    import anndata
    import scanpy
    from sklearn.metrics import normalized_mutual_info_score

    vectors, labels, site_types = _embeddings(work["rows"])

    def measured(rows: int) -> dict[str, float]:
        times = [time.perf_counter()]
        data = anndata.AnnData(vectors[:rows])
        scanpy.pp.pca(data, n_comps=128, random_state=0)
        times.append(time.perf_counter())
        scanpy.pp.neighbors(data, use_rep="X_pca")
        times.append(time.perf_counter())
        scanpy.tl.leiden(data)
        found = data.obs["leiden"].to_numpy()
        each = [
            normalized_mutual_info_score(labels[:rows][chosen], found[chosen])
            for chosen in (site_types[:rows] == kind for kind in (0, 1))
        ]
        times.append(time.perf_counter())
        parts = dict(zip(("PCA", "neighbours", "Leiden"), np.diff(times).tolist(), strict=True))
        return {"seconds": times[-1] - times[0], "value": float(np.mean(each)), **parts}

    measured(min(4 * WARM + 200, work["rows"]))  # below 4,096 rows scanpy takes another, exact way to the neighbours
    return measured(work["rows"])


def _pairs(work: dict[str, Any]) -> tuple[list[str], np.ndarray]:
    rng = np.random.default_rng(0)
    letters = np.array(list("ACGT"))[rng.integers(4, size=(2 * work["rows"], work["tokens"] - 2))]
    return ["".join(row) for row in letters], rng.integers(0, 2, 2 * work["rows"])


def _checkpoint(work: dict[str, Any], folder: Path) -> None:
    """The same weights for both sides: that of peers.py, which knows nothing of this project."""
    from one_side import Work
    from peers import _published

    layers, hidden, heads, intermediate = work["model"]
    shape = Work(layers=layers, hidden=hidden, heads=heads, intermediate=intermediate, tokens=work["tokens"])
    _published(shape, folder)


def _sccs_here(work: dict[str, Any]) -> dict[str, float]:
    from simcsp.metrics.sccs import sccs
    from simcsp.model.embedding import embed
    from simcsp.model.encoder import load_checkpoint
    from simcsp.sequence.alphabet import encode
    from simcsp.training.devices import make_accelerator

    windows, labels = _pairs(work)
    accelerator = make_accelerator("auto")
    with tempfile.TemporaryDirectory() as name:
        _checkpoint(work, Path(name))
        encoder = load_checkpoint(Path(name), dropout=0.1, tokens=work["tokens"])

    def measured(rows: int) -> float:
        tokens = encode("".join(windows[:rows]).encode()).tokens.reshape(rows, -1)
        vectors = embed(encoder, tokens, pooling="cls", layer=-1, accelerator=accelerator)
        return sccs(vectors, labels[:rows], seed=0).value

    measured(min(WARM, len(windows)))
    start = time.perf_counter()
    value = measured(len(windows))
    return {"seconds": time.perf_counter() - start, "value": value}


def _sccs_peer(work: dict[str, Any]) -> dict[str, float]:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.evaluation import EmbeddingSimilarityEvaluator
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    windows, labels = _pairs(work)
    spaced = [" ".join(window) for window in windows]
    with tempfile.TemporaryDirectory() as name:
        _checkpoint(work, Path(name))
        transformer = Transformer(name, max_seq_length=work["tokens"])
        pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode="cls")
        model = SentenceTransformer(modules=[transformer, pooling])

    def measured(rows: int) -> float:
        first, second = np.random.default_rng(0).permutation(rows).reshape(-1, 2).T  # the pairs drawn here
        evaluator = EmbeddingSimilarityEvaluator(
            [spaced[row] for row in first],
            [spaced[row] for row in second],
            (labels[first] == labels[second]).astype(float).tolist(),
            main_similarity="cosine",
            write_csv=False,
        )
        return float(evaluator(model)["spearman_cosine"])

    measured(min(WARM, len(windows)))
    start = time.perf_counter()
    value = measured(len(windows))
    return {"seconds": time.perf_counter() - start, "value": value}


SIDES = {"nmi_here": _nmi_here, "nmi_scanpy": _nmi_scanpy, "sccs_here": _sccs_here, "sccs_peer": _sccs_peer}

if __name__ == "__main__":
    main()
