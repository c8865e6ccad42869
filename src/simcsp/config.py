"""Settings of a run: typed, documented, refused when they make no sense.

One YAML file per run states only how it differs from the defaults here; every field can be overridden on the
command line (``--finetune.learning_rate 1e-4``). Unknown keys are errors that name the nearest known one.
"""

import dataclasses
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from simcsp.metrics.nmi import NmiSettings
from simcsp.sequence.simulate import GenomeSettings

Pooling = Literal["cls", "mean", "site"]

_SEEDS = 2**32  # what scikit-learn and UMAP take


def _require(condition: bool, problem: str) -> None:  # noqa: FBT001
    if not condition:
        raise ValueError(problem)


def _require_folder_name(value: str, name: str) -> None:
    _require(
        re.fullmatch(r"\w[\w.-]*", value) is not None,
        f"{name} is a folder name: letters, digits, . _ - and none of . - in front",
    )


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
        _require(0 < self.ratio < float("inf"), "decoys.ratio must be above 0: a classifier needs both labels")
        _require(bool(self.regions), "decoys.regions must name at least one of exon, intron, intergenic")
        _require(len(set(self.regions)) == len(self.regions), "decoys.regions names a region twice")
        _require(self.nearest >= 1, "decoys.nearest must be at least 1: a splice site is no decoy")
        _require(
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
        _require(not missing, f"a source of format {self.format!r} needs {', '.join(missing)}")
        own = {"format", "species", *needed, *possible}
        foreign = [f.name for f in dataclasses.fields(self) if f.name not in own and getattr(self, f.name) != f.default]
        _require(not foreign, f"a source of format {self.format!r} has no {', '.join(foreign)}")
        _require(
            self.format != "sites" or self.decoys == DecoyConfig() or self.min_score is not None,
            "decoys of a source of format 'sites' are those it names, unless it has a min_score",
        )
        _require(
            self.format != "sites" or self.decoys.regions == DecoyConfig().regions,
            "a source of format 'sites' knows no exons: it has no decoys.regions",
        )
        _require(
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
        _require(bool(self.others), "a source of orthologues has others: a genome for each of the other species")


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
        _require(self.format == "genome" or not given, f"a source of format 'text' has no {', '.join(given)}")


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
        _require(self.length >= 64, "chunks.length must be at least 64 nt")
        _require(0 <= self.max_n <= 1, "chunks.max_n is a share, 0 to 1")
        _require(0 <= self.min_entropy < 6, "chunks.min_entropy is in bits, 0 <= min_entropy < 6")


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
        _require_folder_name(self.name, "data.name")
        _require(0 <= self.seed < _SEEDS, "data.seed must be 0 to 4294967295")
        _require(self.window >= 20 and self.window % 2 == 0, "window must be an even length of at least 20 nt")
        _require(0 <= self.max_unread < 1, "max_unread is a share, 0 <= max_unread < 1")
        _require(0 <= self.min_gt_ag <= 1, "min_gt_ag is a share, 0 to 1")

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
        _require(self.folds >= 2 and 2 * self.folds + self.pretraining <= 126, "folds must be 2 to 63")
        _require(self.pretraining >= 0, "pretraining must not be negative")
        _require(0 <= self.seed < _SEEDS, "split.seed must be 0 to 4294967295")
        _require(20 <= self.shared <= 200, "split.shared must be 20 to 200 nt")


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """The encoder, from scratch or from a checkpoint.

    Attributes:
        init: `scratch`; or a published SpliceBERT, which is fetched once: `splicebert.510nt` (or `510nt`),
            `splicebert.1024nt` (`1024nt`), `splicebert-human.510nt`; or a folder with a Hugging Face checkpoint of
            SpliceBERT's vocabulary. The other architecture fields apply to `scratch` only.
        architecture: `bert` (SpliceBERT's) or `modernbert` (rotary positions, local attention).
        hidden: width.
        layers: number of transformer layers.
        heads: attention heads.
        intermediate: width of the feed-forward part.
        local_attention: span in tokens of ModernBERT's local layers; every third layer is global.
        dropout: of hidden states while training; it also makes the two views of SimCSP.
        pooling: `cls`, `mean` (of the nucleotides) or `site` (the two central nucleotides side by side).
        layer: hidden state that is pooled; 0 is the embedding, -1 the last layer.
        drop_layers: top layers that BASELINE lacks: they take part in masked language modelling, or come with the
            checkpoint, and are removed before contrastive training.
    """

    init: str = "scratch"
    architecture: Literal["bert", "modernbert"] = "modernbert"
    hidden: int = 128
    layers: int = 4
    heads: int = 4
    intermediate: int = 256
    local_attention: int = 64
    dropout: float = 0.1
    pooling: Pooling = "site"
    layer: int = -1
    drop_layers: int = 0

    def __post_init__(self) -> None:
        _require(self.drop_layers >= 0, "drop_layers must not be negative")
        _require(self.heads > 0 and self.layers > 0, "heads and layers must be above 0")
        _require(self.intermediate > 0 and self.local_attention > 0, "intermediate and local_attention must be above 0")
        even = self.hidden > 0 and self.hidden % (2 * self.heads) == 0
        _require(even, "hidden must be a multiple of twice the heads: rotary positions turn pairs of numbers")
        _require(0 <= self.dropout < 1, "dropout is a share, 0 <= dropout < 1")


@dataclass(frozen=True, kw_only=True)
class OptimiserConfig:
    """AdamW with linear warm-up and linear decay to zero.

    Attributes:
        learning_rate: highest rate.
        warmup: share of the steps over which the rate rises.
        weight_decay: decoupled decay of matrices; biases and norms have none.
        max_grad_norm: gradients are clipped to this norm.
        batch_size: windows per step.
    """

    learning_rate: float = 1e-3
    warmup: float = 0.1
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    batch_size: int = 64

    def __post_init__(self) -> None:
        _require(0 < self.learning_rate < float("inf"), "learning_rate must be above 0")
        _require(0 <= self.warmup < 1, "warmup is a share of the steps, 0 <= warmup < 1")
        _require(self.weight_decay >= 0, "weight_decay must not be negative")
        _require(self.max_grad_norm > 0, "max_grad_norm must be above 0: at 0 nothing is learned")
        _require(self.batch_size >= 2, "batch_size must be at least 2")


@dataclass(frozen=True, kw_only=True)
class ViewConfig:
    """What tells the second view of a pair from the first, beside dropout; by default nothing.

    Attributes:
        shift: the second view is moved by up to this many nt, to either side; `site` pools the same nucleotides in
            both. Labelled windows and orthologues are cut to what both views can show, 2 `shift` nt less.
        mutated: share of the nucleotides outside of the core that are others in the second view. MLM asks for what
            they were.
        core: nt in the middle, the site's dinucleotide among them, that are never mutated.
    """

    shift: int = 0
    mutated: float = 0.0
    core: int = 40

    def __post_init__(self) -> None:
        _require(self.shift >= 0, "views.shift must not be negative")
        _require(0 <= self.mutated < 1, "views.mutated is a share, 0 <= mutated < 1")
        _require(self.core >= 0 and self.core % 2 == 0, "views.core is an even number of nt: the site is its middle")


@dataclass(frozen=True, kw_only=True)
class PhaseConfig(OptimiserConfig):
    """One phase of pre-training.

    Attributes:
        steps: optimiser steps; 0 skips the phase.
        mlm_weight: weight of masked language modelling in the loss.
        mlm_weight_end: its weight at the last step, reached on a straight line; constant if not given.
        contrastive_weight: weight of SimCSP in the loss.
        contrastive_weight_end: likewise.
        temperature: of the contrastive softmax.
        positives: what belongs together: `window`, two views of one window of the corpus; `label`, windows of one site
            type and label (supervised contrast) of `data.labelled` and `split.pretraining`; `orthologue`, windows of
            one site in two species of `data.orthologues`.
        hard_negative_weight: with `label`, weight of decoys among the negatives of splice sites of their type, and the
            other way round.
        views: what tells two views apart, beside dropout.
        chunk: windows in one forward pass, so that a batch of any size fits into memory; 0 takes all windows of a
            process at once. It decides the dropout: set it if runs on one and on several devices are to agree.
        evaluate_every: steps between measurements of SCCS and NMI.
        save_every: steps between checkpoints for resuming.
    """

    steps: int = 1000
    mlm_weight: float = 1.0
    mlm_weight_end: float | None = None
    contrastive_weight: float = 0.0
    contrastive_weight_end: float | None = None
    temperature: float = 0.05
    positives: Literal["window", "label", "orthologue"] = "window"
    hard_negative_weight: float = 1.0
    views: ViewConfig = ViewConfig()
    chunk: int = 0
    evaluate_every: int = 100
    save_every: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self.steps >= 0, "steps must not be negative")
        _require(self.evaluate_every > 0 and self.save_every > 0, "evaluate_every and save_every must be above 0")
        starts, ends = (self.mlm_weight, self.contrastive_weight), (self.mlm_weight_end, self.contrastive_weight_end)
        _require(min(*starts, *(end or 0 for end in ends)) >= 0, "loss weights must not be negative")
        _require(self.has_mlm or self.has_contrast, "one of the loss weights must be above 0")
        _require(self.temperature > 0, "temperature must be above 0")
        _require(self.hard_negative_weight > 0, "hard_negative_weight must be above 0")
        _require(
            self.has_contrast or (self.positives == "window" and self.views == ViewConfig()),
            "positives and views are SimCSP's: contrastive_weight must be above 0",
        )
        _require(
            self.positives == "label" or self.hard_negative_weight == 1,
            "hard_negative_weight is of decoys and splice sites: positives must be label",
        )
        _require(
            self.positives != "label" or self.batch_size >= 4,
            "batch_size must be at least 4 for positives of one label: donors, acceptors, and decoys of each",
        )
        _require(self.chunk >= 0, "chunk must not be negative; 0 takes all windows at once")

    @property
    def has_mlm(self) -> bool:
        """Whether masked language modelling has a weight at any step."""
        return self.mlm_weight > 0 or bool(self.mlm_weight_end)

    @property
    def has_contrast(self) -> bool:
        """Whether SimCSP has a weight at any step."""
        return self.contrastive_weight > 0 or bool(self.contrastive_weight_end)

    @property
    def windows_per_step(self) -> int:
        """Windows that the encoder reads in a step: both views, and those of MLM where it has windows of its own."""
        apart = self.positives != "window" and self.has_mlm
        return self.batch_size * (1 + self.has_contrast + apart)


PRETRAINED = ("baseline", "best_sccs", "best_nmi")  # encoders that every pre-training leaves
CNN = "cnn"  # a convolutional network: a reference without an encoder
UNTRAINED = ("random", CNN)  # what fine-tuning makes itself
KEPT = "kept"  # stands for the encoders that `pretrain.keep_measured` keeps


@dataclass(frozen=True, kw_only=True)
class RecipeConfig(PhaseConfig):
    """Another way to go on from BASELINE, beside the contrastive phase.

    Attributes:
        name: of the encoder that it leaves; `finetune.initialisations` may name it.
        keep: which of its encoders that is: the `last`, or the one with the best SCCS or NMI.
    """

    name: str
    keep: Literal["last", "sccs", "nmi"] = "last"

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(
            re.fullmatch("[a-z][a-z0-9_]*", self.name) is not None,
            "the name of a recipe has small letters, digits and _, a letter first",
        )
        taken = {*PRETRAINED, *UNTRAINED, KEPT, "contrast", "logistic_regression"}
        _require(self.name not in taken, f"no recipe can be called {self.name!r}: that means something else")
        _require(self.steps > 0, "the steps of a recipe must be above 0")


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """Two phases: one that ends in BASELINE, and one that starts from it.

    Attributes:
        baseline: masked language modelling that ends in BASELINE; with `steps: 0` BASELINE is the encoder as
            it was initialised.
        contrast: SimCSP, or both losses; its checkpoints with the best SCCS and NMI become BEST_SCCS and
            BEST_NMI.
        mask_share: share of nucleotides that MLM asks for.
        soft_masked_weight: weight in the MLM loss of bases written in lower case (repeats); 1 counts them in full.
        balance: `nucleotides` draws every place of the corpus equally often, `species` every species.
        lengths: shortest and longest window of pre-training in nt, for instance [64, 1024]; one length is drawn per
            batch. Without it all windows are as long as `data.window`.
        also: more recipes that start from BASELINE as the contrastive phase does, each with a name and settings of its
            own: the compute-matched control of MLM alone, joint losses, and so on.
        keep_measured: keep the encoder of every measurement of both phases, as `baseline-<step>` and
            `contrast-<step>`, to be fine-tuned as well.
    """

    baseline: PhaseConfig = PhaseConfig()
    contrast: PhaseConfig = PhaseConfig(mlm_weight=0.0, contrastive_weight=1.0)
    mask_share: float = 0.15
    soft_masked_weight: float = 1.0
    balance: Literal["nucleotides", "species"] = "nucleotides"
    lengths: tuple[int, int] | None = None
    also: tuple[RecipeConfig, ...] = ()
    keep_measured: bool = False

    def __post_init__(self) -> None:
        names = [recipe.name for recipe in self.also]
        _require(len(set(names)) == len(names), "two recipes of pretrain.also have one name")
        _require(self.contrast.steps > 0, "contrast.steps must be above 0: BEST_SCCS and BEST_NMI come from it")
        _require(0 < self.mask_share < 1, "mask_share is a share, 0 < mask_share < 1")
        _require(0 <= self.soft_masked_weight <= 1, "soft_masked_weight is a share, 0 to 1")
        if self.lengths is not None:
            shortest, longest = self.lengths
            _require(20 <= shortest <= longest, "lengths must be 20 or more nt, the shortest first")

    @property
    def encoders(self) -> tuple[str, ...]:
        """Names of all encoders that pre-training leaves, but for the kept ones."""
        return (*PRETRAINED, *(recipe.name for recipe in self.also))

    @property
    def kept(self) -> tuple[str, ...]:
        """Names of the encoders kept along the way; the last of the first phase is BASELINE."""
        if not self.keep_measured:
            return ()
        before, after = self.baseline, self.contrast
        looks = [("baseline", step) for step in range(before.evaluate_every, before.steps, before.evaluate_every)]
        looks += [("contrast", step) for step in range(after.evaluate_every, after.steps, after.evaluate_every)]
        return tuple(f"{phase}-{step}" for phase, step in (*looks, ("contrast", after.steps)))


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig(OptimiserConfig):
    """Fine-tuning to tell splice sites from decoys.

    Attributes:
        initialisations: what to start from: encoders that pre-training leaves (`baseline`, `best_sccs`, `best_nmi`,
            recipes by their names, `kept` for all that were kept along the way), `random` weights of the same
            architecture, or `cnn`, a small dilated convolutional network.
        epochs: at most.
        patience: epochs without a better validation AUROC before a fold stops.
        labels: training windows used per fold, drawn at random; 0 uses all.
        head_dropout: on the pooled embedding, before the classifier.
        frozen: train the classifier only; each encoder embeds every window once, without dropout.
        parallel: folds trained at the same time, each in a process with its share of the threads, and with a GPU of its
            own if there are as many. With other threads sums differ in the last bits, so it belongs to the settings
            that a run is held to.
        follow: measure SCCS and NMI of the validation windows after every epoch, too.
    """

    learning_rate: float = 5e-4
    initialisations: tuple[str, ...] = ("baseline", "best_sccs", "best_nmi", "random")
    epochs: int = 3
    patience: int = 2
    labels: int = 0
    head_dropout: float = 0.1
    frozen: bool = False
    parallel: int = 1
    follow: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self.epochs > 0 and self.patience > 0, "epochs and patience must be above 0")
        _require(self.labels >= 0, "labels must not be negative; 0 uses all")
        _require(0 <= self.head_dropout < 1, "head_dropout is a share, 0 <= head_dropout < 1")
        _require(self.parallel > 0, "parallel must be above 0")
        _require(
            "baseline" in self.initialisations,
            "initialisations must hold baseline: the others are compared with it",
        )
        _require(len(set(self.initialisations)) == len(self.initialisations), "initialisations names one twice")
        _require(not (self.frozen and CNN in self.initialisations), "cnn has no pre-trained encoder to freeze")


@dataclass(frozen=True, kw_only=True)
class PublishedConfig:
    """Quirks of the published code, to reproduce its numbers; each is off unless asked for.

    Attributes:
        minus_strand_offset: for NMI, pool windows of the minus strand one nucleotide upstream of the site, as the
            published embedding code does (SpliceBERT's fetch_embedding.py, SimCSP's embedding_gen.py).
        logit_threshold: call splice sites at logit 0.5, a probability of 0.622 (SpliceBERT's
            predict_by_splicebert.py), for F1, precision, recall, accuracy and MCC.
        doubled_special_tokens: measure SCCS on `[CLS]` of windows framed twice by special tokens and cut to 400
            tokens, as SimCSP's S3 pairs are.
        unspaced_contrast: contrast `[CLS] [UNK] [SEP]` with itself, which is what SpliceBERT's tokenizer made of the
            un-spaced windows that SimCSP's pretrain.py gave it; no nucleotide reaches the contrastive phase.
    """

    minus_strand_offset: bool = False
    logit_threshold: bool = False
    doubled_special_tokens: bool = False
    unspaced_contrast: bool = False


Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """Search for the settings of the contrastive phase with the highest SCCS on the selection part.

    Attributes:
        trials: contrastive trainings from BASELINE, those that are stopped early included.
        startup: trials that are drawn at random and run to their end before the search learns from them.
        learning_rate: lowest and highest, on a log scale.
        temperature: likewise.
        dropout: lowest and highest.
        mlm_weight: likewise; that of SimCSP is 1.
        batch_size: choices.
        drop_layers: choices; top layers that BASELINE is cut by.
        pooling: choices.
    """

    trials: int = 20
    startup: int = 5
    learning_rate: Range = (3e-5, 1e-3)
    temperature: Range = (0.02, 0.2)
    dropout: Range = (0.05, 0.3)
    mlm_weight: Range = (0.0, 1.0)
    batch_size: tuple[int, ...] = (32, 64, 128)
    drop_layers: tuple[int, ...] = (0, 1)
    pooling: tuple[Pooling, ...] = ("cls", "mean", "site")

    def __post_init__(self) -> None:
        _require(self.trials > 0 and self.startup > 0, "search.trials and search.startup must be above 0")
        for name in ("learning_rate", "temperature", "dropout", "mlm_weight"):
            low, high = getattr(self, name)
            positive = name in {"learning_rate", "temperature"}
            _require((low > 0 if positive else low >= 0) and low <= high, f"search.{name} is a range, the lowest first")
        _require(self.dropout[1] < 1, "search.dropout is a range of shares, below 1")
        for name in ("batch_size", "drop_layers", "pooling"):
            _require(bool(getattr(self, name)), f"search.{name} must name a choice")
        _require(min(self.batch_size) >= 2, "search.batch_size must be at least 2")
        _require(min(self.drop_layers) >= 0, "search.drop_layers must not be negative")


@dataclass(frozen=True, kw_only=True)
class BudgetConfig:
    """A number of labels, and how they are learned from.

    Attributes:
        labels: training windows used per fold; 0 uses all.
        epochs: as in `finetune`: few labels need more of them.
        batch_size: likewise.
    """

    labels: int
    epochs: int
    batch_size: int

    def __post_init__(self) -> None:
        FinetuneConfig(labels=self.labels, epochs=self.epochs, batch_size=self.batch_size)


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """Runs that are compared together: every seed with every number of labels.

    Attributes:
        seeds: each pre-trains, and fine-tunes, once more.
        budgets: numbers of labels; a study needs at least one.
    """

    seeds: tuple[int, ...] = (0, 1, 2)
    budgets: tuple[BudgetConfig, ...] = ()

    def __post_init__(self) -> None:
        _require(bool(self.seeds), "study.seeds must name at least one")
        _require(len(set(self.seeds)) == len(self.seeds), "study.seeds names one twice")
        labels = [budget.labels for budget in self.budgets]
        _require(len(set(labels)) == len(labels), "study.budgets names one number of labels twice")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything one run needs.

    Attributes:
        run: name of the folder in runs/.
        pretrained: run whose pre-training this one shares; its own if empty. Both need the same settings of it.
        seed: every random choice follows from it.
        precision: `bf16` autocast, `fp32`, or `auto`: bf16 where the processor has it.
        compile: let torch.compile fuse the layers while training. Meant for GPUs, where it needs Triton; on the CPU it
            needs a C++ compiler and gains nothing.
        processes: that share every batch of pre-training, one per device; 0 takes all visible GPUs.
        data: sources and windows.
        split: parts for choices and for cross-validation.
        encoder: the model.
        pretrain: its two phases.
        finetune: the classifier.
        nmi: how the clusters are made.
        published: quirks of the published code.
        search: for the settings of the contrastive phase (src/search.py).
        study: several runs of this configuration (src/compare.py).
    """

    run: str = "demo"
    pretrained: str = ""
    seed: int = 0
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    compile: bool = False
    processes: int = 0
    data: DataConfig = field(default_factory=DataConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)
    nmi: NmiSettings = field(default_factory=NmiSettings)
    published: PublishedConfig = PublishedConfig()
    search: SearchConfig = SearchConfig()
    study: StudyConfig = StudyConfig()

    def __post_init__(self) -> None:
        _require_folder_name(self.run, "run")
        _require_folder_name(self.pretrained or self.run, "pretrained")
        _require(0 <= self.seed < _SEEDS, "seed must be 0 to 4294967295")
        phases = (self.pretrain.baseline, self.pretrain.contrast, *self.pretrain.also)
        _require(
            not self.compile or not any(phase.chunk and phase.has_contrast for phase in phases),
            "compile does not go with chunk in a contrastive phase: compiled passes may not repeat their dropout",
        )
        _require(
            bool(self.data.labelled or self.split.pretraining) or not any(p.positives == "label" for p in phases),
            "positives of one label need labels: name sources in data.labelled, or set split.pretraining",
        )
        _require(
            bool(self.data.orthologues) or not any(phase.positives == "orthologue" for phase in phases),
            "positives of two species need data.orthologues",
        )
        _require(
            min((self.data.window, *(self.pretrain.lengths or ()))) - 4 * max(p.views.shift for p in phases) >= 20,
            "views.shift moves the site too near to the end of a window: it needs four times as many nt and 20",
        )
        _require(
            not (self.pretrain.keep_measured and self.encoder.drop_layers),
            "keep_measured does not go with drop_layers: encoders kept of the first phase still have those layers",
        )
        _require(self.processes >= 0, "processes must not be negative; 0 takes all visible GPUs")
        _require(
            not self.published.minus_strand_offset or self.encoder.pooling == "site",
            "published.minus_strand_offset moves the site that is pooled: encoder.pooling must be site",
        )
        _require(
            not self.published.unspaced_contrast or self.encoder.pooling == "cls",
            "published.unspaced_contrast leaves no site to pool: encoder.pooling must be cls",
        )
        _require(
            not self.published.unspaced_contrast or not any(phase.has_contrast and phase.has_mlm for phase in phases),
            "published.unspaced_contrast leaves no nucleotide to mask: mlm_weight must be 0 where SimCSP is on",
        )
        _require(
            not self.published.unspaced_contrast or all(phase.views == ViewConfig() for phase in phases),
            "published.unspaced_contrast leaves no nucleotide to shift or mutate: it does not go with views",
        )
        _require(
            KEPT not in self.finetune.initialisations or self.pretrain.keep_measured,
            "finetune.initialisations names kept, but pretrain.keep_measured is off",
        )
        known = (*self.pretrain.encoders, *self.pretrain.kept, *UNTRAINED, KEPT)
        unknown = [name for name in self.finetune.initialisations if name not in known]
        _require(not unknown, f"finetune.initialisations: there is no {unknown}; there are {', '.join(known)}")

    @property
    def initialisations(self) -> tuple[str, ...]:
        """What is fine-tuned, with the names of the encoders that were kept along the way."""
        parts = [self.pretrain.kept if name == KEPT else (name,) for name in self.finetune.initialisations]
        return tuple(dict.fromkeys(name for part in parts for name in part))

    @property
    def longest_input(self) -> int:
        """Tokens of the longest window that the encoder will see, with ``[CLS]`` and ``[SEP]``, once or twice."""
        lengths: tuple[int, ...] = self.pretrain.lengths or ()
        return max((self.data.window, *lengths)) + (4 if self.published.doubled_special_tokens else 2)


def as_plain(config: Any) -> Any:
    """A dataclass as nested dicts, lists, strings and numbers, for YAML and JSON."""
    if dataclasses.is_dataclass(config):
        return {f.name: as_plain(getattr(config, f.name)) for f in dataclasses.fields(config)}
    if isinstance(config, list | tuple):
        return [as_plain(item) for item in config]
    return str(config) if isinstance(config, Path) else config
