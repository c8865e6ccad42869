"""Find the splice sites of a chromosome that no model has seen: language model, weight matrix, small network.

    python benchmarks/genome_scoring.py --root data/raw
    python benchmarks/genome_scoring.py --root data/raw --nucleotides 5000000

Trains all three on human windows none of which lies on the held-out sequence, then scores every GT and AG of both
strands in loci of annotated genes of human chromosome 1, and compares with the annotation. Prints a Markdown table:
top-k accuracy and average precision per nucleotide, calibration error on validation windows, nt/s. The language model
is that of genome_scoring.yaml, pre-trained and fine-tuned here; runs/genome-scoring is used again if it is there.

OpenSpliceAI is not in the table: its package on PyPI (0.0.7) holds no weights.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from small_scorers import SmallNetwork, WeightMatrix

from simcsp import runs, storage
from simcsp.command_line import parse_config
from simcsp.config import ChunkConfig, CorpusSource, DataConfig, RunConfig
from simcsp.console import run_script, say
from simcsp.datasets.corpus import write_corpus
from simcsp.datasets.exposure import exposed_windows
from simcsp.datasets.readers.text import read_records
from simcsp.datasets.splits import fold_rows
from simcsp.datasets.windows import load_windows
from simcsp.metrics.ranking import average_precision, top_k_accuracy
from simcsp.prediction.classifier import Ensemble
from simcsp.prediction.pieces import Piece, ScoredSites, score_piece
from simcsp.prediction.scorer import Scorer
from simcsp.sequence.alphabet import N, encode
from simcsp.sequence.annotation import introns_of, read_annotation
from simcsp.sequence.candidates import Candidates, first_intron_base
from simcsp.sequence.decoys import merged
from simcsp.sequence.fasta import Genome
from simcsp.sequence.files import text_lines
from simcsp.sequence.sites import ACCEPTOR, DONOR, SITE_NAMES, splice_sites
from simcsp.stages import stage_folder
from simcsp.tally import Tally
from simcsp.training.devices import make_accelerator

CONFIG = Path(__file__).with_suffix(".yaml")
CACHE = runs.ROOT / "data" / "cache"
_FASTA, _GENES = "vertebrates-chr1/hg38.chr1.partial.fa.gz", "vertebrates-chr1/ensembl.chr1.CDS.GRCh38.gtf.gz"
_SITES, _INTRONS = "annotation/human_splice_sites.hg38.bed.gz", "annotation/gencode_v26_intron.hg38.bed.gz"
_CONTIG = "chr1"
_MOST_N = 0.1  # share of a locus; where the sequence is not at hand there is nothing else

Place = tuple[int, bool, int]  # site type, reverse strand, first base of the intron


class Truth(NamedTuple):
    """Annotated sites, and places near which nothing is known for sure."""

    sites: set[Place]
    doubtful: set[Place]


def main() -> None:
    """Train, score and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("data/raw"), help="folder of the public sets")
    parser.add_argument("--nucleotides", type=int, default=600_000, help="to score, in loci drawn at random")
    asked = parser.parse_args()
    root = asked.root.resolve()
    config = _train(root)
    table = load_windows(stage_folder(config, "prepare") / "windows")
    fold = fold_rows(table, config.split, 0)
    accelerator = make_accelerator(config.precision)
    home = stage_folder(config, "finetune") / "baseline"
    single, ensemble = Ensemble(home / "fold-0", accelerator), Ensemble(home, accelerator)
    matrix, network = WeightMatrix(table, fold), SmallNetwork(table, fold)
    rows: list[tuple[str, Scorer, int, float]] = [
        ("position weight matrix", matrix, matrix.parameters, matrix.error),
        ("convolutional network", network, network.parameters, network.error),
        ("language model, one fold", single, single.parameters, single.calibration_errors[1]),
        ("language model, mean of the folds", ensemble, ensemble.parameters, ensemble.calibration_errors[1]),
    ]
    genome = Genome(root / _FASTA, CACHE)
    pieces = _pieces(genome, root, asked.nucleotides)
    truth = _truth(root)
    say(f"{sum(p.end - p.start for p in pieces):,} nt of {_CONTIG} in {len(pieces)} loci, {len(fold.train):,} "
        f"training windows of {table.tokens.shape[1]} nt\n")  # fmt: skip
    say("| model | parameters | top-k donor | top-k acceptor | AP donor | AP acceptor | ECE | nt/s |")
    say("|---|---|---|---|---|---|---|---|")
    for name, scorer, parameters, error in rows:
        say(_row(name, scorer, parameters, error, genome, pieces, truth))
    say(f"\nsites among them: {_sizes(truth, pieces)}")


def _train(root: Path) -> RunConfig:
    """Make the windows and the language model, unless they are there."""
    folder = runs.ROOT / "data" / "raw" / "genome-scoring"
    if not (folder / "acceptor-negative.txt").exists():
        _write_windows(root, folder)
    arguments = ["--config", str(CONFIG), "--data.root", str(folder)]
    for stage in ("prepare", "pretrain", "finetune"):
        subprocess.run([sys.executable, str(runs.ROOT / "src" / f"{stage}.py"), *arguments], check=True)
    return parse_config("", arguments)


def _write_windows(root: Path, folder: Path) -> None:
    """Write the human windows of 602 nt that do not occur on the held-out sequence, by their central 64 nt."""
    names = [(site, label) for site in ("donor", "acceptor") for label in ("positive", "negative")]
    files = {
        f"{site}-{label}": root / f"human-windows/{site.title()}_Train_{label.title()}.txt.gz" for site, label in names
    }
    records = {name: [record.letters for record in read_records(path)] for name, path in files.items()}
    with TemporaryDirectory() as temporary:
        source = CorpusSource(species="human", sequences=root / _FASTA)
        data = DataConfig(corpus=(source,), chunks=ChunkConfig(min_entropy=0.0))
        write_corpus(data, Path(temporary), CACHE)
        for name, letters in records.items():
            windows = np.stack([encode(one).tokens for one in letters])
            exposed = exposed_windows(windows, Path(temporary)).exposed
            kept = [one.decode() for one, known in zip(letters, exposed, strict=True) if not known]
            say(f"{name}: {len(letters):,} windows, {len(kept):,} of them not on {_CONTIG}")
            storage.write_text(folder / f"{name}.txt", "".join(f"{text}\n" for text in kept))


def _pieces(genome: Genome, root: Path, nucleotides: int) -> list[Piece]:
    """Loci of annotated genes without a long run of N, drawn at random until there are so many nucleotides."""
    loci = merged(one.span for one in read_annotation(root / _GENES).transcripts)
    pieces: list[Piece] = []
    for row in np.random.default_rng(0).permutation(len(loci)).tolist():
        start, end = loci[row]
        tokens = encode(genome.fetch(_CONTIG, start, end)).tokens
        if np.count_nonzero(tokens == N) > _MOST_N * tokens.size:
            continue
        left = nucleotides - sum(piece.end - piece.start for piece in pieces)
        if left <= 0:
            break
        pieces.append(Piece(_CONTIG, start, min(end, start + left)))
    return sorted(pieces)


def _truth(root: Path) -> Truth:
    """Sites of both annotations, and ends of GENCODE's introns, which have no strand, that are in neither."""
    introns, _ = introns_of(read_annotation(root / _GENES).transcripts, "Ensembl")
    annotated = splice_sites(introns)
    columns = np.array([(site.position, site.strand == "-", site.site_type) for site in annotated])
    sites = set(_places(Candidates(columns[:, 0], columns[:, 1].astype(bool), columns[:, 2].astype(np.uint8))))
    doubtful: set[Place] = set()
    for contig, start, _, kind, _, strand in _columns(root / _SITES):
        if contig == _CONTIG:
            sites.add((SITE_NAMES.index(kind), strand == "-", int(start)))
    for contig, start, end, *_ in _columns(root / _INTRONS):
        if contig == _CONTIG:
            left, right = int(start), int(end) - 1
            doubtful |= {(DONOR, False, left), (ACCEPTOR, False, right), (DONOR, True, right), (ACCEPTOR, True, left)}
    return Truth(sites, doubtful - sites)


def _columns(path: Path) -> Iterator[list[str]]:
    return (line.split("\t") for _, line in text_lines(path) if line)


def _places(sites: Candidates) -> list[Place]:
    bases = first_intron_base(sites).tolist()
    return list(zip(sites.site_type.tolist(), sites.reverse.tolist(), bases, strict=True))


def _row(
    name: str, scorer: Scorer, parameters: int, error: float, genome: Genome, pieces: list[Piece], truth: Truth
) -> str:
    begun = time.perf_counter()
    scored = [score_piece(genome, piece, scorer, ("GT-AG",), Tally("candidates", _CONTIG)) for piece in pieces]
    rate = sum(piece.end - piece.start for piece in pieces) / (time.perf_counter() - begun)
    cells = [_measures(scored, site_type, pieces, truth) for site_type in (DONOR, ACCEPTOR)]
    values = " | ".join(f"{value:.3f}" for pair in zip(*cells, strict=True) for value in pair)
    return f"| {name} | {parameters:,} | {values} | {error:.3f} | {rate:,.0f} |"


def _measures(scored: list[ScoredSites], site_type: int, pieces: list[Piece], truth: Truth) -> tuple[float, float]:
    """Top-k accuracy and average precision of one type; sites that are no candidates are missed by all."""
    places = [place for piece in scored for place in _places(piece.sites)]
    scores = np.concatenate([piece.probability for piece in scored])
    labels = np.array([place in truth.sites for place in places], dtype=np.uint8)
    used: NDArray[np.bool_] = np.array([place[0] == site_type and place not in truth.doubtful for place in places])
    missed = max(0, len(_inside(truth.sites, site_type, pieces)) - int(labels[used].sum()))
    return (
        top_k_accuracy(labels[used], scores[used], missed),
        average_precision(labels[used], scores[used], missed),
    )


def _inside(sites: set[Place], site_type: int, pieces: list[Piece]) -> list[Place]:
    return [
        site for site in sites if site[0] == site_type and any(p.start <= site[2] < p.end for p in pieces)
    ]  # fmt: skip


def _sizes(truth: Truth, pieces: list[Piece]) -> str:
    return ", ".join(
        f"{len(_inside(truth.sites, site_type, pieces)):,} {SITE_NAMES[site_type]}s" for site_type in (DONOR, ACCEPTOR)
    )


if __name__ == "__main__":
    run_script(main)
