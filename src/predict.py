"""Score splice sites with a fine-tuned classifier: a whole genome, given sites, variants, or windows.

    python src/predict.py genome --model runs/demo/finetune/baseline --fasta genome.fa --output scores
    python src/predict.py sites --model MODEL --fasta genome.fa.gz --bed sites.bed --output scores
    python src/predict.py variants --model MODEL --fasta hg38.fa --vcf calls.vcf.gz --output scores
    python src/predict.py windows --model MODEL --windows windows.fa --output scores

MODEL is runs/<run>/finetune/<initialisation> for the mean of its folds, or one fold-<k> of it. genome writes every GT
and AG of both strands as BED and bedGraph, called sites as GFF3, and splice scores for minimap2 and miniprot. Called
again after a kill, it goes on; docs/predict.md describes every file.
"""

import argparse
from pathlib import Path

from simcsp import runs, storage
from simcsp.console import run_script, say
from simcsp.prediction.bigwig import require_bigwig
from simcsp.prediction.classifier import Ensemble, stored_precision
from simcsp.prediction.genes import Genes
from simcsp.prediction.genome import GenomeOptions, score_genome
from simcsp.prediction.reference_check import contigs_of
from simcsp.prediction.sites import score_sites
from simcsp.prediction.variants import VariantOptions, score_variants
from simcsp.prediction.windows import score_windows
from simcsp.sequence.annotation import read_annotation
from simcsp.sequence.assembly import identify, require_assembly, resolve_contigs
from simcsp.sequence.candidates import INTRONS
from simcsp.sequence.fasta import Genome
from simcsp.sequence.files import require_readable
from simcsp.sequence.vcf import read_header
from simcsp.training.devices import describe, make_accelerator

CACHE = runs.ROOT / "data" / "cache"
_MODEL = "runs/<run>/finetune/<initialisation> for the mean of its folds, or one fold-<k> of it"
_FILES = ("fasta", "bed", "vcf", "windows", "annotation")


def main() -> None:
    """Score what the command line names."""
    asked = _parser().parse_args()
    if asked.what == "genome":
        options = _genome_options(asked)
    accelerator = make_accelerator(stored_precision(asked.model))
    ensemble = Ensemble(asked.model, accelerator)
    if not _claim(asked, ensemble, describe(accelerator)):
        return
    with runs.unclaimed_on_error(asked.output):
        if asked.what == "windows":
            score_windows(asked.windows, ensemble, _threshold(asked, ensemble), asked.output)
            return
        genome = _genome(asked, ensemble)
        if asked.what == "genome":
            score_genome(genome, ensemble, options, asked.output)
        elif asked.what == "sites":
            score_sites(genome, asked.bed, ensemble, _threshold(asked, ensemble), asked.output)
        else:
            _variants(asked, genome, ensemble)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    every = parser.add_subparsers(dest="what", required=True, metavar="genome | sites | variants | windows")
    for name, file, help_text in (
        ("genome", None, None),
        ("sites", "bed", "BED6 of sites: the dinucleotide of each, or the intron's base next to the exon"),
        ("variants", "vcf", "VCF, plain or gzip"),
        ("windows", "windows", "FASTA, or one sequence per line; the dinucleotide of the site in the middle"),
    ):
        command = every.add_parser(name, allow_abbrev=False)
        command.add_argument("--model", type=Path, required=True, help=_MODEL)
        command.add_argument("--output", type=Path, required=True, help="folder to write to")
        if file is not None:
            command.add_argument(f"--{file}", type=Path, required=True, help=help_text)
        if name != "windows":
            command.add_argument("--fasta", type=Path, required=True, help="genome or pieces; plain, gzip or bgzip")
            command.add_argument(
                "--assembly",
                help="for instance hg38: stop if the contigs of the FASTA are not as long as in this assembly",
            )
        if name in ("genome", "variants"):
            command.add_argument(
                "--introns", nargs="+", choices=INTRONS, default=["GT-AG"],
                help="introns looked for, by their first and last two bases: with GT-AG (the default) every GT and "
                "every AG is scored as a possible splice site",
            )  # fmt: skip
        if name != "variants":
            command.add_argument(
                "--threshold", type=float,
                help="call sites of this probability and above (default: where F1 on validation windows is best)",
            )  # fmt: skip
    _add_genome_options(every.choices["genome"])
    variants = every.choices["variants"]
    variants.add_argument("--annotation", type=Path, help="GTF, GFF3, BED12, genePred: look at each gene on its strand")
    variants.add_argument(
        "--least-change", type=float, default=0.1,
        help="list sites in changed_sites.tsv whose probability changes by this or more (default: 0.1)",
    )  # fmt: skip
    return parser


def _add_genome_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--site-fraction", type=float, default=0.001,
        help="fraction of all GT and AG of this genome that are real splice sites, as you expect it; the default "
        "threshold and the splice scores depend on it (default: 0.001, about that of human)",
    )  # fmt: skip
    command.add_argument(
        "--least", type=float, default=0.0, help="leave candidates of a lower probability out of all files (default: 0)"
    )
    command.add_argument("--bigwig", action="store_true", help="write bigWig beside bedGraph; needs pyBigWig")


def _genome_options(asked: argparse.Namespace) -> GenomeOptions:
    if asked.bigwig:
        require_bigwig()
    return GenomeOptions(
        introns=tuple(asked.introns),
        site_fraction=asked.site_fraction,
        threshold=asked.threshold,
        least=asked.least,
        bigwig=asked.bigwig,
    )


def _claim(asked: argparse.Namespace, ensemble: Ensemble, device: str) -> bool:
    """Take the output folder, or say that it is complete."""
    files = {name: path for name in _FILES if (path := getattr(asked, name, None)) is not None}
    for path in files.values():
        require_readable(path)
    paths = {"model", "output", *_FILES}
    settings = {name: value for name, value in vars(asked).items() if name not in paths}
    hashes = {name: storage.sha256(path) for name, path in files.items()}
    runs.lock(asked.output)
    state = runs.open_stage(asked.output, settings, {**hashes, **ensemble.identity, "device": device})
    if state is runs.State.FINISHED:
        say(f"predict: {asked.output} is complete")
        return False
    say(f"predict: {ensemble}")
    for doubt in ensemble.doubts:
        say(f"warning: {doubt}")
    return True


def _genome(asked: argparse.Namespace, ensemble: Ensemble) -> Genome:
    genome = Genome(asked.fasta, CACHE)
    require_assembly(genome.lengths, asked.assembly, asked.fasta)
    found = identify(genome.lengths)
    trained_on = ensemble.assemblies  # none if its windows came without coordinates
    if found is not None and trained_on and not {found, "unknown"} & set(trained_on):
        say(f"predict: this FASTA is {found}; the classifier was trained on {', '.join(trained_on)}")
    return genome


def _threshold(asked: argparse.Namespace, ensemble: Ensemble) -> float:
    if asked.threshold is not None:
        return float(asked.threshold)
    best = ensemble.threshold()
    say(f"predict: sites are called at probability {best.probability:.4f}, validation F1 {best.f1:.3f}")
    return best.probability


def _variants(asked: argparse.Namespace, genome: Genome, ensemble: Ensemble) -> None:
    header = read_header(asked.vcf)
    named = contigs_of(asked.vcf, header, genome)
    genes = Genes()
    if asked.annotation is not None:
        transcripts = read_annotation(asked.annotation).transcripts
        contigs, missing = resolve_contigs((one.contig for one in transcripts), genome.lengths, path=asked.annotation)
        say(f"predict: {len(contigs):,} contigs of the annotation are in the FASTA, {len(missing):,} are not")
        genes = Genes(one._replace(contig=contigs[one.contig]) for one in transcripts if one.contig in contigs)
    options = VariantOptions(tuple(asked.introns), asked.least_change)
    score_variants(genome, asked.vcf, header, named, genes, ensemble, options, asked.output)


if __name__ == "__main__":
    run_script(main)
