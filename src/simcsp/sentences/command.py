"""``evaluate.py sentences``: SCCS and NMI of a sentence encoder on labelled sentences, with and without its training.

python src/evaluate.py sentences rotten_tomatoes/train.parquet --encoder sentence-transformers/all-MiniLM-L6-v2
python src/evaluate.py sentences subj.objective.gz subj.subjective.gz --encoder FOLDER --run subj
"""

import argparse
from pathlib import Path

import numpy as np

from simcsp import runs, storage
from simcsp.console import say
from simcsp.metrics.layers import Sites, embedding_scores
from simcsp.metrics.nmi import NmiSettings
from simcsp.metrics.sccs import ceiling
from simcsp.report.markdown import markdown_table
from simcsp.sentences.encoder import embed_sentences, load_sentence_encoder, untrain
from simcsp.sentences.labelled import Sentences, read_sentences
from simcsp.sequence.sites import DONOR

_SHOWN = {
    "sccs": "SCCS", "nmi": "NMI", "nmi_seed_sd": "SD over seeds", "ami": "AMI", "clusters": "clusters",
    "probe_auroc": "linear probe, AUROC",
}  # fmt: skip


def score_sentences(arguments: list[str]) -> None:
    """Score the encoder that the command line names; print a table and write it to runs/<run>/sentences.json.

    Raises:
        InputError: on files that cannot be read, or an encoder that cannot be loaded.
    """
    options = _options(arguments)
    sentences = read_sentences(options.files)
    say(str(sentences.tally))
    encoder = load_sentence_encoder(options.encoder)
    trained = _scores(embed_sentences(encoder, sentences.texts), sentences, options.seed)
    untrain(encoder, options.seed)
    untrained = _scores(embed_sentences(encoder, sentences.texts), sentences, options.seed)
    found = {"as it is": trained, "random weights": untrained}
    target = runs.run_folder(options.run) / "sentences.json"
    storage.write_json(
        target,
        {
            "encoder": options.encoder,
            "seed": options.seed,
            "files": {str(path): storage.sha256(path) for path in options.files},
            "sentences": sentences.tally.as_dict(),
            "scores": found,
            "environment": runs.environment(),
        },
    )
    say(_table(found))
    share = float(np.bincount(sentences.labels).max() / sentences.labels.size)
    say(f"SCCS cannot exceed {ceiling(np.arange(1000) < 500):.3f}; the commonest label is that of {share:.0%}")
    say(f"evaluate: written to {target.relative_to(runs.ROOT)}")


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="evaluate.py sentences", description="SCCS and NMI on labelled sentences.", allow_abbrev=False
    )
    parser.add_argument("files", nargs="+", type=Path, help="one table with text and label, or one file per class")
    parser.add_argument("--encoder", required=True, help="folder, or name on the Hugging Face hub")
    parser.add_argument("--run", default="sentences", help="folder in runs/ (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of pairs, clusters and random weights (default: 0)")
    return parser.parse_args(arguments)


def _scores(vectors: np.ndarray, sentences: Sentences, seed: int) -> dict[str, float]:
    """As of windows of one site type, every sentence a group of its own."""
    n = len(sentences.labels)
    sites = Sites(sentences.labels, np.full(n, DONOR), np.arange(n).astype(str))
    scores = embedding_scores(vectors, sites, NmiSettings(), seed)
    return {name: scores[name] for name in (*_SHOWN, "ari", "homogeneity")}


def _table(found: dict[str, dict[str, float]]) -> str:
    rows = [[name, *(f"{scores[score]:.3f}" for score in _SHOWN)] for name, scores in found.items()]
    return markdown_table(["encoder", *_SHOWN.values()], rows)
