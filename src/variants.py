"""Score variants by a masked language model alone: ΔP at the variant, KL at the exon's sites, KL of the context.

    python src/variants.py mfass MFASS_mmsplice.hg19.vcf.gz --fasta hg19.fa.gz --target mfass.tsv
    python src/variants.py vexseq-csv vexseq.csv.gz --fasta hg19.fa.gz --weights splicebert-human.510nt --target vex.tsv
    python src/variants.py table mine.tsv --fasta hg38.fa.gz --weights runs/demo/pretrain/baseline --target out.tsv
    python src/variants.py vcf mine.vcf.gz --annotation genes.gtf.gz --fasta hg38.fa.gz --target out.tsv

docs/splicebert.md says what the formats and scores are. With labels, the average precision is printed beside the
published one. Writes a table, one row per substitution; killed, it goes on where it was.
"""

import argparse
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score

from simcsp import runs, storage
from simcsp.console import run_script, say
from simcsp.datasets.variant_exons import VariantWindows, cut_variants, read_vcf_variants
from simcsp.datasets.variants import READERS, Variant, read_variants
from simcsp.errors import InputError
from simcsp.model.encoder import initial_files, load_checkpoint
from simcsp.model.splicebert import initial_folder, published_name
from simcsp.model.zero_shot import Effects, Variants, variant_effects
from simcsp.pieces import Array, in_pieces
from simcsp.report.splicebert import PUBLISHED_PRECISION
from simcsp.sequence.annotation import read_annotation
from simcsp.sequence.assembly import match_contigs
from simcsp.sequence.fasta import Genome
from simcsp.sequence.files import require_readable
from simcsp.sequence.transcripts import Transcript
from simcsp.sequence.vcf import Record, read_records
from simcsp.tally import Tally
from simcsp.training.devices import describe, make_accelerator

_PIECE = 200  # variants
_FARTHEST = 150  # nt from the exon that a variant of a VCF may be
_CACHE = runs.ROOT / "data" / "cache"


def main() -> None:
    """Read, score, write."""
    asked = _parse()
    tally = Tally("variants", asked.file.name)
    genome = Genome(asked.fasta, _CACHE)
    variants = _variants(asked, genome, tally)
    contig_of = _contigs(variants, asked.file, genome)
    cut = cut_variants(variants, contig_of, genome, asked.file, asked.window, tally)
    say(str(tally))
    table = _table(cut, _scores(asked, cut))
    storage.write_text(asked.target, table.to_csv(sep="\t", index=False))
    record = storage.read_json(_pieces(asked) / runs.RECORD)  # version, settings, hashes of inputs, device, libraries
    storage.write_json(asked.target.with_name(f"{asked.target.name}.json"), {**record, "read": tally.as_dict()})
    shutil.rmtree(_pieces(asked))
    if "label" in table and (missing := table.label.isna().sum()):
        say(f"variants: {missing:,} of {len(table):,} have no label and are no part of the average precision")
    if "label" in table and table.label.nunique() > 1:
        say(_precision(table[table.label.notna()].astype({"label": int}), asked))
    say(f"variants: {len(table):,} written to {asked.target}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("form", choices=(*READERS, "vcf"), help="of the file")
    parser.add_argument("file", type=Path, help="variants, plain or gzip")
    parser.add_argument("--fasta", type=Path, required=True, help="the genome they are on")
    parser.add_argument("--annotation", type=Path, help="of a VCF: transcripts, whose internal exons are looked at")
    parser.add_argument("--weights", default="splicebert.510nt", help="name or folder (default: %(default)s)")
    parser.add_argument("--window", type=int, default=510, help="in nt (default: %(default)s)")
    parser.add_argument("--target", type=Path, required=True, help="table to write")
    asked = parser.parse_args()
    for path in (asked.file, asked.fasta, asked.annotation):
        if path is not None:
            require_readable(path)
    return asked


def _contigs(named: Iterable[Variant | Record | Transcript], path: Path, genome: Genome) -> dict[str, str]:
    """Names in a file → contigs of the FASTA, whichever of their names they have."""
    return match_contigs(
        dict.fromkeys(one.contig for one in named), genome.lengths, declared={}, fasta=genome.path, path=path,
        ignore_missing=True, tally=Tally("contigs", genome.path.name),
    )  # fmt: skip


def _variants(asked: argparse.Namespace, genome: Genome, tally: Tally) -> list[Variant]:
    if asked.form != "vcf":
        return read_variants(asked.file, asked.form, tally)
    if asked.annotation is None:
        raise InputError("a VCF does not say which strand and exon to look at", hint="Give --annotation")
    transcripts = read_annotation(asked.annotation).transcripts
    contig_of = _contigs(transcripts, asked.annotation, genome)
    placed = [one._replace(contig=contig_of[one.contig]) for one in transcripts if one.contig in contig_of]
    named = _contigs(read_records(asked.file), asked.file, genome)
    found = read_vcf_variants(asked.file, placed, named, _FARTHEST, tally)
    if not found:
        raise InputError("no variant can be scored", path=asked.file, hint=f"Dropped {tally.reasons}")
    return found


def _scores(asked: argparse.Namespace, cut: VariantWindows) -> Array:
    """Effects in columns, ``(n, 4)``; their pieces stay beside the target until it is written."""
    checkpoint = initial_folder(asked.weights)
    model = load_checkpoint(checkpoint, dropout=0.0, tokens=asked.window + 2)
    accelerator = make_accelerator("fp32")
    folder = _pieces(asked)
    runs.lock(folder)
    inputs = {str(path): storage.sha256(path) for path in (asked.file, asked.fasta, asked.annotation) if path}
    inputs |= initial_files(checkpoint)
    runs.open_stage(folder, _settings(asked), {**inputs, "device": describe(accelerator)})

    def compute(rows: slice) -> Array:
        part = Variants(cut.windows[rows], cut.place[rows], cut.alternative[rows], cut.donor[rows], cut.acceptor[rows])
        return np.stack(variant_effects(model, part, accelerator), axis=1)

    return in_pieces(folder, len(cut.variants), _PIECE, compute, "variants")


def _pieces(asked: argparse.Namespace) -> Path:
    target: Path = asked.target
    return target.with_name(f"{target.name}.pieces")


def _settings(asked: argparse.Namespace) -> dict[str, object]:
    return {"form": asked.form, "weights": asked.weights, "window": asked.window, "annotation": str(asked.annotation)}


def _table(cut: VariantWindows, scores: Array) -> pd.DataFrame:
    columns = {
        "id": [one.name for one in cut.variants],
        "contig": [one.contig for one in cut.variants],
        "position": [one.position + 1 for one in cut.variants],
        "ref": [one.ref for one in cut.variants],
        "alt": [one.alt for one in cut.variants],
        "exon": [f"{one.exon[0]}-{one.exon[1]}" for one in cut.variants],
        "strand": [one.strand for one in cut.variants],
        "at_site": [one.at_site for one in cut.variants],
        **dict(zip(Effects._fields, scores.T, strict=True)),
        "kl": scores[:, 1] + scores[:, 2],
    }
    table = pd.DataFrame(columns)
    labels = pd.array([one.label for one in cut.variants], dtype="Int64")
    return table.assign(label=labels) if (~labels.isna()).any() else table


def _precision(table: pd.DataFrame, asked: argparse.Namespace) -> str:
    """Average precision of each score, all variants and those that change no dinucleotide of a site."""
    lines = ["average precision (published)"]
    for name, part in (("all", table), ("without sites", table[~table.at_site])):
        for score, values in (("−ΔP", -part.delta_p), ("KL", part.kl), ("KL context", part.kl_context)):
            known = values.notna()
            value = average_precision_score(part.label[known], values[known])
            published = PUBLISHED_PRECISION.get((asked.form, published_name(asked.weights), name, score))
            lines.append(f"  {name}, {score}: {value:.3f} ({published or '–'}), {int(known.sum()):,} variants")
        lines.append(f"  {name}, share of label 1: {part.label.mean():.3f}")
    return "\n".join(lines)


if __name__ == "__main__":
    run_script(main)
