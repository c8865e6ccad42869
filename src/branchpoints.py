"""Fine-tune encoders to find branch points, nucleotide by nucleotide, and compare them with a simple yardstick.

    python src/branchpoints.py --fasta hg19.fa.gz --branch-points mercer_dataset.hg19.bed.gz --weights splicebert.510nt
    python src/branchpoints.py --fasta … --branch-points … --weights runs/mine/pretrain/best_nmi random --window 200

Weights are checkpoints, by their published names or folders; random stands for fresh weights of the architecture of the
first of them. Folds are of whole chromosomes. Writes runs/<run>/branchpoints: table.md, table.html, scores.csv, and
the model and predictions of every fold. Killed, it goes on where it was. docs/splicebert.md has the data and the
protocol.
"""

import argparse
from pathlib import Path
from urllib.parse import quote

from simcsp import runs, storage
from simcsp.config import OptimiserConfig, as_plain
from simcsp.console import progress, run_script, say
from simcsp.datasets.branch_points import BranchPoints, chromosome_folds, cut_regions, read_regions
from simcsp.errors import InputError
from simcsp.model.encoder import initial_files
from simcsp.model.splicebert import initial_folder, published_name
from simcsp.model.yardstick import branch_point_regression
from simcsp.report.branch_points import branch_point_page, branch_point_scores
from simcsp.report.page import write_report
from simcsp.sequence.assembly import match_contigs, require_assembly
from simcsp.sequence.fasta import Genome
from simcsp.sequence.files import require_readable
from simcsp.tally import Tally
from simcsp.training.devices import describe, make_accelerator
from simcsp.training.token_classification import RANDOM, TokenTuning, finetune_folds, write_nucleotides

YARDSTICK = "logistic regression"
_MAX_UNREAD = 0.05  # share of N in a window
_CACHE = runs.ROOT / "data" / "cache"


def main() -> None:
    """Read, fine-tune, score, write."""
    asked = _parse()
    folder = runs.run_folder(asked.run) / "branchpoints"
    models, tuning, accelerator = _models(asked.weights), _tuning(asked), make_accelerator("auto")
    if not _claim(asked, models, tuning, folder, describe(accelerator)):
        return
    with runs.unclaimed_on_error(folder):
        table, tallies = _read(asked)
        folds = chromosome_folds(table, asked.folds)

    def folder_of(model: str, fold: int) -> Path:
        return folder / quote(f"model-{model}", safe="") / f"fold-{fold}"

    finetune_folds(models, table, folds, tuning, folder_of, accelerator)
    for k, fold in enumerate(progress(folds, "branchpoints: yardstick", unit="fold")):
        folder_of(YARDSTICK, k).mkdir(parents=True, exist_ok=True)
        write_nucleotides(folder_of(YARDSTICK, k), table.take(fold.test), branch_point_regression(table, fold))
    names = [*models, YARDSTICK]
    scores = branch_point_scores({(name, k): folder_of(name, k) for name in names for k in range(len(folds))})
    storage.write_text(folder / "scores.csv", scores.to_csv(index=False))
    sources = f"Branch points: {asked.branch_points.name}; genome: {asked.fasta.name}; {describe(accelerator)}."
    page = branch_point_page(scores, table=str(table), window=asked.window, sources=sources)
    write_report(folder, page, "table.md")
    runs.close_stage(folder, {"models": names, "read": [tally.as_dict() for tally in tallies]})
    say(f"{page}\nbranchpoints: written to {folder.relative_to(runs.ROOT)}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--fasta", type=Path, required=True, help="genome, plain, gzip or bgzip")
    parser.add_argument("--assembly", help="that the FASTA must turn out to have, for instance hg19")
    parser.add_argument("--branch-points", type=Path, required=True, help="BED6 with labels in its fifth column")
    parser.add_argument("--weights", nargs="+", default=["splicebert.510nt", RANDOM],
                        help="checkpoints, and random (default: %(default)s)")  # fmt: skip
    parser.add_argument("--window", type=int, default=510, help="in nt (default: %(default)s)")
    parser.add_argument("--folds", type=int, default=5, help="of whole chromosomes (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=20, help="at most (default: %(default)s)")
    parser.add_argument("--patience", type=int, default=5, help="epochs without a gain (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=8, help="introns per step (default: %(default)s)")
    parser.add_argument("--learning-rate", type=float, default=1e-5, help="highest (default: %(default)s)")
    parser.add_argument("--weight-decay", type=float, default=1e-6, help="of matrices (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of heads, random weights, order and dropout")
    parser.add_argument("--run", default="branchpoints", help="folder in runs/ (default: %(default)s)")
    return parser.parse_args()


def _models(weights: list[str]) -> dict[str, Path]:
    """Checkpoints by name; random weights have the architecture of the first."""
    found = {published_name(name) or name: initial_folder(name) for name in weights if name != RANDOM}
    if not found:
        raise InputError("random weights need an architecture", hint="Give a checkpoint in --weights, too")
    return found | ({RANDOM: next(iter(found.values()))} if RANDOM in weights else {})


def _tuning(asked: argparse.Namespace) -> TokenTuning:
    try:
        optimiser = OptimiserConfig(
            learning_rate=asked.learning_rate, batch_size=asked.batch_size, weight_decay=asked.weight_decay
        )
        return TokenTuning(optimiser=optimiser, epochs=asked.epochs, patience=asked.patience, seed=asked.seed)
    except ValueError as error:
        raise InputError(str(error)) from None


def _claim(asked: argparse.Namespace, models: dict[str, Path], tuning: TokenTuning, folder: Path, device: str) -> bool:
    """Take the output folder, or say that it is complete."""
    files = (asked.fasta, asked.branch_points)
    for path in files:
        require_readable(path)
    inputs = {str(path): storage.sha256(path) for path in files}
    for checkpoint in models.values():
        inputs |= initial_files(checkpoint)
    settings = {"models": list(models), "window": asked.window, "folds": asked.folds, "assembly": asked.assembly}
    settings |= as_plain(tuning)
    runs.lock(folder)
    state = runs.open_stage(folder, settings, {**inputs, "device": device})
    if state is runs.State.FINISHED:
        say(f"branchpoints: {folder / 'table.md'} is complete")
    return state is not runs.State.FINISHED


def _read(asked: argparse.Namespace) -> tuple[BranchPoints, list[Tally]]:
    genome, path = Genome(asked.fasta, _CACHE), asked.branch_points
    require_assembly(genome.lengths, asked.assembly, asked.fasta)
    introns, contigs = Tally("introns", path.name), Tally("contigs", asked.fasta.name)
    regions = read_regions(path, introns)
    contig_of = match_contigs(
        dict.fromkeys(region.contig for region in regions), genome.lengths, declared={}, fasta=asked.fasta, path=path,
        ignore_missing=True, tally=contigs,
    )  # fmt: skip
    table = cut_regions(regions, contig_of, genome, path, asked.window, _MAX_UNREAD, introns)
    say(f"{introns}\nbranchpoints: {table}")
    return table, [introns, contigs]


if __name__ == "__main__":
    run_script(main)
