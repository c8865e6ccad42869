"""Read every public data set at hand with the readers of this project, and print what was kept, dropped, and why.

    python benchmarks/read_real_data.py --root data/raw > counts.md

The sets, their sources and licences are listed in data/README.md; this prints the table of docs/public_data.md. A set
that is not there is named and left out. Tables that are in no published format (introns as TSV) are written out as
BED6 first.
"""

import argparse
import csv
import gzip
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from simcsp.config import ChunkConfig, CorpusSource, DataConfig, DecoyConfig, WindowSource
from simcsp.datasets.corpus import write_corpus
from simcsp.datasets.readers import READERS
from simcsp.errors import InputError
from simcsp.sequence.fasta import Genome
from simcsp.tally import Tally

_WINDOW = 100
_CHR1 = "vertebrates-chr1/hg38.chr1.partial.fa.gz"

Rows = Iterator[tuple[str, list[Tally]]]


def main() -> None:
    """Print one table row per set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("data/raw"), help="folder of the sets")
    root = parser.parse_args().root.resolve()
    print("| set | read → kept, and why not | found |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        for read in (_window_files, _genomes, _sites, _intron_tables, _other_tables, _corpora):
            for what, every in read(root, Path(name)):
                tallies = [tally for tally in every if tally.what not in ("transcripts", "contigs") or tally.dropped]
                counts, notes = ("<br>".join(filter(None, map(say, tallies))) for say in (_counts, _note))
                row = f"| {what} | {counts} | {notes} |"
                print(row.replace(f"{root}/", "").replace(f"{name}/", ""), flush=True)


def _counts(tally: Tally) -> str:
    reasons = "; ".join(f"{count:,} {reason}" for reason, count in sorted(tally.dropped.items()))
    return f"{tally.read:,} {tally.what} → {tally.kept:,}{f': {reasons}' if reasons else ''}"


def _note(tally: Tally) -> str:
    """What the reader says of the source in brackets, and what was changed."""
    said = tally.source.partition(" (")[2].removesuffix(")")
    changed = [f"{count:,} {change}" for change, count in sorted(tally.changed.items()) if "group" not in change]
    return "; ".join(filter(None, [said, *changed]))


def _attempt(what: str, read: Callable[[], list[Tally]]) -> tuple[str, list[Tally]]:
    """What was read, or the sentence it was refused with."""
    try:
        return what, read()
    except InputError as error:
        return what, [Tally("files", what, read=1, dropped=Counter({f"refused: {error}": 1}))]


def _read(root: Path, cache: Path, **source: Any) -> list[Tally]:
    data = DataConfig(root=root, window=_WINDOW)
    reader = READERS[source["format"]]
    _, tallies = reader(WindowSource(**source), data, cache, np.random.default_rng(0))
    return tallies


def _window_files(root: Path, cache: Path) -> Rows:
    for site in ("donor", "acceptor"):
        files = [Path(f"human-windows/{site.title()}_Train_{label}.txt.gz") for label in ("Positive", "Negative")]
        fields = {"format": "text", "species": "human", "site": site, "positives": files[0], "negatives": files[1]}
        yield _attempt(f"human-windows, {site}", partial(_read, root, cache, **fields))
    gue = {"format": "gue", "species": "human", "sequences": Path("gue/splice_dev.csv.gz")}
    yield _attempt("gue", partial(_read, root, cache, **gue))


def _genomes(root: Path, cache: Path) -> Rows:
    pairs = [
        ("chr1 with Ensembl CDS", "human", _CHR1, "vertebrates-chr1/ensembl.chr1.CDS.GRCh38.gtf.gz"),
        ("worm, all sources", "worm", "invertebrates/celegans.1pct.fa.gz", "invertebrates/celegans.1pct.gff3.gz"),
        ("fly", "fly", "invertebrates/dmelanogaster.1pct.fa.gz", "invertebrates/dmelanogaster.1pct.gff3.gz"),
        ("hg38 MANE on hg19 pieces", "human", "human-pieces/human.fa.gz", "annotation/chr22.MANE.refseq.GRCh38.gff.gz"),
    ]
    for what, species, fasta, annotation in pairs:
        source = {"format": "genome", "species": species, "fasta": Path(fasta), "annotation": Path(annotation)}
        yield _attempt(what, partial(_read, root, cache, **source))
    everywhere = DecoyConfig(regions=("exon", "intron", "intergenic"), nearest=10)
    source = {"format": "genome", "species": "human", "fasta": Path(_CHR1), "annotation": Path(pairs[0][3])}
    yield _attempt("chr1, decoys everywhere", partial(_read, root, cache, **source, decoys=everywhere))


def _sites(root: Path, cache: Path) -> Rows:
    source = {"format": "sites", "species": "human", "fasta": Path(_CHR1), "ignore_missing_contigs": True}
    bed = Path("annotation/human_splice_sites.hg38.bed.gz")
    yield _attempt("splice sites on chr1", partial(_read, root, cache, **source, sites=bed))
    bare = {"format": "genome", "species": "human", "fasta": Path(_CHR1), "ignore_missing_contigs": True}
    introns = Path("annotation/gencode_v26_intron.hg38.bed.gz")
    yield _attempt("GENCODE introns without strand", partial(_read, root, cache, **bare, annotation=introns))


def _intron_tables(root: Path, cache: Path) -> Rows:
    """Introns as TSV: contig, start, end, strand, and on pieces the species in the last column."""
    for assembly in ("hg38", "hg19"):
        beds = _as_bed(root / f"annotation/introns.{assembly}.tsv.gz", cache, species_column=None)
        source = {"format": "genome", "species": "human", "fasta": root / _CHR1, "ignore_missing_contigs": True}
        what = f"{assembly} introns on hg38 chr1"
        yield _attempt(what, partial(_read, cache, cache, **source, annotation=beds["all"]))
    for species, bed in sorted(
        _as_bed(root / "human-pieces/introns_on_pieces.tsv.gz", cache, species_column=5).items()
    ):
        source = {"format": "genome", "species": species, "fasta": root / f"human-pieces/{species}.fa.gz"}
        fields = {**source, "annotation": bed, "ignore_missing_contigs": True}
        yield _attempt(f"pieces of {species}", partial(_read, cache, cache, **fields))


def _as_bed(table: Path, folder: Path, *, species_column: int | None) -> dict[str, Path]:
    lines: dict[str, list[str]] = defaultdict(list)
    for row in csv.reader(_lines(table), delimiter="\t"):
        if not row[0].startswith("#"):
            species = "all" if species_column is None else row[species_column]
            lines[species].append("\t".join([*row[:3], row[4].replace(" ", "_") or ".", "0", row[3]]))
    paths = {species: folder / f"{table.name}.{species}.bed" for species in lines}
    for species, path in paths.items():
        path.write_text("\n".join(lines[species]) + "\n", encoding="utf-8")
    return paths


def _other_tables(root: Path, cache: Path) -> Rows:
    """Sets that no reader takes: what they hold, and whether their dinucleotides are where they say."""
    for name in ("eie.ce", "eie.dm"):
        tally = Tally("exon–intron–exon lines", f"invertebrates/{name}.txt.gz")
        for line in _lines(root / tally.source):
            intron = line.split()[1]
            tally.read += 1
            if not (intron.startswith("GT") and intron.endswith("AG")):
                tally.dropped["introns that are not GT–AG"] += 1
        yield f"invertebrates, {name}", [tally]
    yield "orthologous splice sites of 11 species", [_orthologues(root, cache)]
    for name in (
        "annotation/mercer_branchpoints.hg19.bed.gz",
        "variants/mfass_labels_mmsplice_pred.csv.gz",
        "variants/vexseq_CAGI5_train_with_sequences.csv.gz",
        "text/rt-polarity.neg.gz",
        "text/rt-polarity.pos.gz",
        "text/subj.objective.gz",
        "text/subj.subjective.gz",
    ):
        yield (
            f"{name.partition('/')[2]}, counted only",
            [Tally("lines", name, read=sum(1 for _ in _lines(root / name)))],
        )


def _orthologues(root: Path, cache: Path) -> Tally:
    """Whether sites projected to other species have GT or AG where the table says."""
    genomes: dict[str, Genome] = {}
    tally = Tally("projected sites", "vertebrates-chr1")
    for line in _lines(root / "vertebrates-chr1/orthologous_splice_sites.tsv.gz"):
        if line.startswith("#"):
            continue
        kind, _, _, _, species, contig, position, strand, *_ = line.split("\t")
        if species not in genomes:
            genomes[species] = Genome(root / f"vertebrates-chr1/{species}.fa.gz", cache)
        # The position is the intron's base next to the exon: of a donor its first, of an acceptor its last.
        first = int(position) - ((kind == "A") == (strand == "+"))
        letters = genomes[species].fetch(contig, first, first + 2).upper()
        wanted = {"D+": b"GT", "D-": b"AC", "A+": b"AG", "A-": b"CT"}[kind + strand]
        tally.read += 1
        if letters != wanted:
            tally.dropped["no GT (donor) or AG (acceptor)"] += 1
    return tally


def _lines(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="latin-1") as stream:
        for line in stream:
            yield line.rstrip("\n")


def _corpora(root: Path, cache: Path) -> Rows:
    for name in ("vertebrates-chr1", "human-pieces"):
        tally = Tally("nucleotides", f"{name}/*.fa.gz")
        for fasta in sorted((root / name).glob("*.fa.gz")):
            source = CorpusSource(species=fasta.name.removesuffix(".fa.gz"), sequences=fasta)
            data = DataConfig(root=root, window=_WINDOW, corpus=(source,), chunks=ChunkConfig())
            with tempfile.TemporaryDirectory() as folder:
                for one in write_corpus(data, Path(folder), cache):
                    tally.read += one.read
                    tally.dropped += one.dropped
                    tally.changed += one.changed
        yield f"corpus of {name}", [tally]


if __name__ == "__main__":
    main()
