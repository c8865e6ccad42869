"""Where sequences and labelled windows come from, and how they are split."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from simcsp.config.checks import SEEDS, require, require_folder_name
from simcsp.sequence.simulate import GenomeSettings

Region = Literal["exon", "intron", "intergenic"]


@dataclass(frozen=True, kw_only=True)
class DecoyConfig:
    """Which GT and AG of a genome serve as decoys.

    Attributes:
        ratio: decoys per splice site of the same type, as far as there are any.
        regions: where they may lie: in exons or introns of the same locus, read on its strand, or between the loci
            of a contig, on either strand.
        nearest: least distance in nt to the nearest annotated splice site of the same type and strand.
        farthest: largest such distance; 0 sets no limit.
    """

    ratio: float = 1.0
    regions: tuple[Region, ...] = ("exon", "intron")
    nearest: int = 1
    farthest: int = 0

    def __post_init__(self) -> None:
        require(0 < self.ratio < float("inf"), "decoys.ratio must be above 0: a classifier needs both labels")
        require(bool(self.regions), "decoys.regions must name at least one of exon, intron, intergenic")
        require(len(set(self.regions)) == len(self.regions), "decoys.regions names a region twice")
        require(self.nearest >= 1, "decoys.nearest must be at least 1: a splice site is no decoy")
        require(
            self.farthest == 0 or self.farthest >= self.nearest,
            "decoys.farthest must not be below decoys.nearest; 0 sets no limit",
        )


SiteName = Literal["donor", "acceptor"]
ClassName = Literal["donor", "acceptor", "neither"]

# Of each format: the fields it needs, and those it may have.
_FIELDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "genome": (("fasta", "annotation"), ("tags", "decoys", "ignore_missing_contigs", "assembly")),
    "sites": (("fasta", "sites"), ("min_score", "decoys", "ignore_missing_contigs", "assembly")),
    "text": (("site", "positives", "negatives"), ("any_decoy", "groups")),
    "spliceator": (("site", "positives", "negatives"), ("any_decoy", "groups")),
    "gue": (("sequences",), ("classes", "groups")),
    "nt": (("sequences",), ("site", "classes", "groups")),
}


@dataclass(frozen=True, kw_only=True)
class WindowSource:
    """One source of labelled windows; docs/data.md has an example of each format.

    Attributes:
        format: reader to use: `genome` (FASTA + GTF, GFF3, BED12, genePred or BED6 introns), `sites` (FASTA + BED6 of
            labelled sites), `text` (one sequence per record), `spliceator` (its training tables and benchmarks),
            `gue` (CSV of sequence and class), `nt` (FASTA with the label in the header).
        species: name of the species.
        fasta: genome, plain, gzip or bgzip.
        assembly: name that the FASTA must turn out to have, for instance hg38; any if not given.
        annotation: transcripts or introns, plain or gzip; the content decides which of the formats it is.
        tags: only transcripts with one of these GTF/GFF3 tags, for instance MANE_Select; all if empty.
        decoys: which other GT and AG are decoys.
        ignore_missing_contigs: skip annotation on contigs that the FASTA lacks (counted) instead of stopping.
        sites: BED6 of sites whose names say what they are, as in SpliceBERT's `...|GT(donor)`.
        min_score: the BED holds what a splice-site finder found, with its scores: sites of at least this score are
            splice sites, and decoys are drawn from GT and AG that it does not list, by `decoys` (but for `regions`).
        site: what all windows of the source are centred on.
        positives: file of windows with a splice site at the centre.
        negatives: file of windows with a decoy at the centre.
        any_decoy: keep negatives without GT or AG at the site, as studies of Spliceator's sets did; the dinucleotide
            alone tells them from splice sites.
        sequences: file of windows with a label each.
        classes: what the labels 0, 1, 2 of `sequences` mean; with `site`, 0 is a decoy and 1 a splice site.
        groups: table of `file`, `index0`, `cluster`: windows of one cluster stay in one part of a split.
    """

    format: Literal["genome", "sites", "text", "spliceator", "gue", "nt"]
    species: str
    fasta: Path | None = None
    assembly: str | None = None
    annotation: Path | None = None
    tags: tuple[str, ...] = ()
    decoys: DecoyConfig = DecoyConfig()
    ignore_missing_contigs: bool = False
    sites: Path | None = None
    min_score: float | None = None
    site: SiteName | None = None
    positives: Path | None = None
    negatives: Path | None = None
    any_decoy: bool = False
    sequences: Path | None = None
    classes: tuple[ClassName, ...] = ("acceptor", "donor", "neither")
    groups: Path | None = None

    def __post_init__(self) -> None:
        needed, possible = _FIELDS[self.format]
        missing = [name for name in needed if getattr(self, name) is None]
        require(not missing, f"a source of format {self.format!r} needs {', '.join(missing)}")
        own = {"format", "species", *needed, *possible}
        foreign = [f.name for f in fields(self) if f.name not in own and getattr(self, f.name) != f.default]
        require(not foreign, f"a source of format {self.format!r} has no {', '.join(foreign)}")
        require(
            self.format != "sites" or self.decoys == DecoyConfig() or self.min_score is not None,
            "decoys of a source of format 'sites' are those it names, unless it has a min_score",
        )
        require(
            self.format != "sites" or self.decoys.regions == DecoyConfig().regions,
            "a source of format 'sites' knows no exons: it has no decoys.regions",
        )
        require(
            {"donor", "acceptor"} <= set(self.classes) and len(set(self.classes)) == len(self.classes),
            "classes must name donor and acceptor once each",
        )


@dataclass(frozen=True, kw_only=True)
class OrthologueSource:
    """A table of the same splice sites in several species; docs/data.md describes it.

    Attributes:
        species: name of the reference, whose columns the table calls `<species>_chrom` and so on.
        table: of aligned sites, tab-separated, plain or gzip.
        fasta: genome of the reference.
        others: genomes of the other species, whose file names begin with what the table calls them (mm10.fa.gz).
    """

    species: str
    table: Path
    fasta: Path
    others: tuple[Path, ...]

    def __post_init__(self) -> None:
        require(bool(self.others), "a source of orthologues has others: a genome for each of the other species")


@dataclass(frozen=True, kw_only=True)
class CorpusSource:
    """One source of unlabelled sequence for pre-training.

    Attributes:
        format: `genome` (FASTA) or `text` (one sequence per record, read on the strand given).
        species: name of the species.
        sequences: the file, plain, gzip or bgzip.
        assembly: as for windows.
        annotation: as for windows; with it, the pre-mRNA of every gene is taken, on its strand; without it,
            everything, and both strands are drawn.
        hold_out: contigs left out of the corpus, by any of their names (chr21, 21, NC_000021.9).
        ignore_missing_contigs: as for windows.
    """

    format: Literal["genome", "text"] = "genome"
    species: str
    sequences: Path
    assembly: str | None = None
    annotation: Path | None = None
    hold_out: tuple[str, ...] = ()
    ignore_missing_contigs: bool = False

    def __post_init__(self) -> None:
        given = [name for name in ("annotation", "assembly", "hold_out") if getattr(self, name)]
        require(self.format == "genome" or not given, f"a source of format 'text' has no {', '.join(given)}")


@dataclass(frozen=True, kw_only=True)
class ChunkConfig:
    """Stretches of the corpus that pre-training should not see; each source is judged in chunks of one length.

    Attributes:
        length: of a chunk in nt.
        max_n: largest share of N; longer runs of N than ten always end a region.
        min_entropy: least entropy of a chunk's trinucleotides in bits, at most 6; below lie microsatellites and the
            like. 0 keeps everything.
    """

    length: int = 512
    max_n: float = 0.05
    min_entropy: float = 4.0

    def __post_init__(self) -> None:
        require(self.length >= 64, "chunks.length must be at least 64 nt")
        require(0 <= self.max_n <= 1, "chunks.max_n is a share, 0 to 1")
        require(0 <= self.min_entropy < 6, "chunks.min_entropy is in bits, 0 <= min_entropy < 6")


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """What is read, and how it is cut.

    Attributes:
        name: of the prepared set, in data/prepared.
        seed: of the simulation and of the decoys; the run's seed is another one, so that runs with several seeds
            share their data.
        root: folder that relative paths of the sources start from.
        window: window length in nt, even; the site's dinucleotide is at its centre.
        max_unread: largest share of N a window may have.
        min_gt_ag: smallest share of annotated introns that must be GT–AG in the FASTA; less means another
            assembly.
        simulate: write this simulated genome into `root` first.
        corpus: unlabelled sources.
        chunks: what of them is left out.
        windows: labelled sources: choices and cross-validation.
        labelled: labelled sources for pre-training with labels. What shares a group or sequence with `windows` or
            `transfer` is left out of them.
        orthologues: tables of sites in several species for pre-training; the same is left out.
        transfer: labelled sources of other species: the models of every fold are scored on them, and nothing is trained
            or chosen there. What shares sequence with `windows` is left out of them.
    """

    name: str = "demo"
    seed: int = 0
    root: Path = Path("data/raw")
    window: int = 200
    max_unread: float = 0.05
    min_gt_ag: float = 0.5
    simulate: GenomeSettings | None = None
    corpus: tuple[CorpusSource, ...] = ()
    chunks: ChunkConfig = ChunkConfig()
    windows: tuple[WindowSource, ...] = ()
    labelled: tuple[WindowSource, ...] = ()
    orthologues: tuple[OrthologueSource, ...] = ()
    transfer: tuple[WindowSource, ...] = ()

    def __post_init__(self) -> None:
        require_folder_name(self.name, "data.name")
        require(0 <= self.seed < SEEDS, "data.seed must be 0 to 4294967295")
        require(
            self.window >= 20 and self.window % 2 == 0,
            f"data.window is {self.window}, but must be an even length of at least 20 nt",
        )
        require(0 <= self.max_unread < 1, "max_unread is a share, 0 <= max_unread < 1")
        require(0 <= self.min_gt_ag <= 1, "min_gt_ag is a share, 0 to 1")

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that the sources name, sorted, as they name it."""
        paths: set[Path] = set()
        for source in (*self.corpus, *self.windows, *self.labelled, *self.transfer, *self.orthologues):
            paths |= {value for value in vars(source).values() if isinstance(value, Path)}
        paths |= {other for source in self.orthologues for other in source.others}
        return tuple(sorted(paths))


@dataclass(frozen=True, kw_only=True)
class SplitConfig:
    """Parts: one for choices during pre-training, the others for cross-validation.

    Attributes:
        folds: k; each fold trains on 70 %, validates on 10 % and tests on 20 % when k is 5.
        seed: of the assignment to parts.
        by: what stays together: `group` (the gene or table of groups that a source gives, else sequence clusters),
            `chromosome`, `species`, `cluster` (of similar sequence), or `label`: nothing, the published split
            stratified by label, whose scores gain from the same genes and homologues on both sides.
        clusters: how sequence clusters are found: `kmers` (built in) or `mmseqs2` (must be installed).
        shared: windows with an identical stretch of this many nt, on either strand, are in one cluster of `kmers`.
        pretraining: further parts, as large as half a test part, that pre-training may see the labels of; they are in
            no fold and no choice is made on them.
    """

    folds: int = 5
    seed: int = 0
    by: Literal["group", "chromosome", "species", "cluster", "label"] = "group"
    clusters: Literal["kmers", "mmseqs2"] = "kmers"
    shared: int = 50
    pretraining: int = 0

    def __post_init__(self) -> None:
        require(self.folds >= 2 and 2 * self.folds + self.pretraining <= 126, "folds must be 2 to 63")
        require(self.pretraining >= 0, "pretraining must not be negative")
        require(0 <= self.seed < SEEDS, "split.seed must be 0 to 4294967295")
        require(20 <= self.shared <= 200, "split.shared must be 20 to 200 nt")
