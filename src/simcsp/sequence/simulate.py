"""A small simulated genome with known splice sites, in several related species.

It is written as FASTA and GTF and enters through the same door as a real genome. A gene is a row of exons and
introns; every intron has a U2-type donor, a branch point, a polypyrimidine tract and an acceptor drawn from
published human frequencies (`site_motifs`), and no AG between branch point and acceptor (AG exclusion zone,
Gooding et al. 2006, Genome Biol 7:R1). Decoys need no making: every other GT and AG is one. Derived species are
copies of the ancestor with substitutions; at the sites a substitution draws again from the site's own
frequencies, so that sites stay sites (purifying selection) while their sequence drifts.

Left out: insertions and deletions (an orthologous base has the same coordinate in every species), reading
frames, untranslated regions, alternative splicing, U12 introns, dependence between positions of a site,
isochores, faster mutation at CpG, slower mutation of exons.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simcsp.errors import InputError
from simcsp.sequence import site_motifs as motifs
from simcsp.sequence.alphabet import A, G, Tokens, encode
from simcsp.sequence.background import REPEAT_LENGTH, markov_sequence, scatter_repeats, substitute
from simcsp.sequence.simulated_genome import Genome, Locus, Positions, Roles, SimulatedSpecies, write_species

ENHANCER_SPACING = 40  # nt of exon for each planted enhancer, chosen
SHORTEST_EXON = 30  # nt, chosen

# What a position is, and so which frequencies it is drawn from: a row of _FREQUENCIES.
# Rows 0 and 1 are not independent positions but Markov sequence, and their frequencies are not used.
BACKGROUND, EXON, TRACT = 0, 1, 2
DONOR_ROLES = 3 + np.arange(len(motifs.DONOR))
GC_DONOR_ROLES = DONOR_ROLES[-1] + 1 + np.arange(len(motifs.DONOR_GC))
BRANCH_ROLES = GC_DONOR_ROLES[-1] + 1 + np.arange(len(motifs.BRANCH_POINT))
ACCEPTOR_ROLES = BRANCH_ROLES[-1] + 1 + np.arange(len(motifs.ACCEPTOR))
_UNIFORM = np.full((2, 4), 0.25)
_FREQUENCIES = np.vstack(
    [_UNIFORM, motifs.TRACT[None], motifs.DONOR, motifs.DONOR_GC, motifs.BRANCH_POINT, motifs.ACCEPTOR]
)
_IN_EXCLUSION_ZONE = np.isin(
    np.arange(len(_FREQUENCIES)),
    [TRACT, *BRANCH_ROLES[motifs.BRANCH_BEFORE :], *ACCEPTOR_ROLES[: motifs.ACCEPTOR_INTRONIC - 2]],
)

_RANGES: dict[str, tuple[float, float]] = {
    "genes": (1, math.inf),
    "species": (1, math.inf),
    "contigs": (1, math.inf),
    "divergence": (0, 0.75),  # beyond it less than chance is left of the ancestor
    "gc": (0.1, 0.9),
    "exon_gc": (0.1, 0.9),
    "exon_length": (SHORTEST_EXON, math.inf),
    "exon_spread": (0, 3),  # beyond 3 single pieces outweigh the rest of the genome
    "intron_spread": (0, 3),
    "shortest_intron": (60, math.inf),  # donor, branch point and acceptor need 55
    "exons_per_gene": (2, math.inf),
    "exons_per_gene_spread": (0, 3),
    "intergenic_length": (2 * REPEAT_LENGTH, math.inf),
    "repeat_share": (0, 1),
    "gc_ag_share": (0, 1),
}


@dataclass(frozen=True)
class GenomeSettings:
    """What the simulated genome looks like. The lengths have a log-normal law, given by median and spread.

    The spread (standard deviation of the logarithm) is √(2 ln(mean / median)) of the human lengths in Piovesan
    et al. (2019), BMC Res Notes 12:315, Table 2.

    Attributes:
        genes: genes of each species.
        species: number of species; the first is the ancestor, the others derive from it independently.
        contigs: sequences the genes are spread over.
        divergence: share of sites at which a derived species differs from the ancestor, away from splice sites.
            Chosen near human–baboon: 0.059, Liu et al. (2003), Genome Res 13:358, Table 1.
        gc: share of G and C in introns and between genes. Human genome: 0.409, Piovesan et al. (2019), BMC Res
            Notes 12:106.
        exon_gc: share of G and C in exons. Human mRNA: 0.488, same paper, Table 3.
        exon_length: median, nt. Human, exons that are not last: 124.
        exon_spread: from mean 159 and median 124 nt.
        intron_length: median, nt. Chosen: the human 1,747 would make the genome too large to be handy.
        intron_spread: from mean 6,938 and median 1,747 nt.
        shortest_intron: nt; the law of the introns starts here. Chosen; at least 60.
        exons_per_gene: median; a gene has at least two. Human: 9.
        exons_per_gene_spread: from mean 11.3 and median 9.
        intergenic_length: mean nt between genes, half to one and a half times that. Chosen.
        repeat_share: share of the genome that interspersed repeats are scattered over. Alu in human: 0.1,
            Batzer & Deininger (2002), Nat Rev Genet 3:370.
        gc_ag_share: share of GC–AG introns.
    """

    genes: int = 60
    species: int = 3
    contigs: int = 2
    divergence: float = 0.05
    gc: float = 0.41
    exon_gc: float = 0.49
    exon_length: int = 124
    exon_spread: float = 0.71
    intron_length: int = 300
    intron_spread: float = 1.66
    shortest_intron: int = 60
    exons_per_gene: int = 9
    exons_per_gene_spread: float = 0.67
    intergenic_length: int = 2000
    repeat_share: float = 0.1
    gc_ag_share: float = motifs.GC_AG_SHARE

    def __post_init__(self) -> None:
        for name, (least, most) in _RANGES.items():
            if not least <= getattr(self, name) <= most:
                most_words = "" if most == math.inf else f" and at most {most}"
                raise InputError(f"{name} is {getattr(self, name)}, must be at least {least}{most_words}")
        if self.contigs > self.genes:
            raise InputError(f"{self.genes} genes are too few for {self.contigs} contigs")
        if self.intron_length <= self.shortest_intron:
            raise InputError("intron_length, the median, must be more than shortest_intron")


def write_genomes(settings: GenomeSettings, folder: Path, seed: int) -> list[SimulatedSpecies]:
    """Simulate all species and write ``<name>.fa`` and ``<name>.gtf`` of each into ``folder``.

    The same settings and seed give the same bytes. A gene has the same ``gene_id`` in every species. Species k
    is a function of (settings, seed, k), whatever the number of species.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ancestor = simulate_ancestor(settings, np.random.default_rng([seed, 0]))
    written = [write_species("ancestor", ancestor, folder)]
    for number in range(1, settings.species):
        derived = diverge(ancestor, settings.divergence, np.random.default_rng([seed, number]))
        written.append(write_species(f"cousin-{number}", derived, folder))
    return written


def simulate_ancestor(settings: GenomeSettings, rng: np.random.Generator) -> Genome:
    """Lay out genes and draw their sequence."""
    loci, roles = _lay_out(settings, rng)
    tokens = markov_sequence(roles.size, settings.gc, rng)
    scatter_repeats(tokens, settings.repeat_share, settings.exon_gc, rng)  # G+C-rich, as Alu is
    exonic = np.flatnonzero(roles == EXON)
    tokens[exonic] = markov_sequence(exonic.size, settings.exon_gc, rng)
    _plant_enhancers(tokens, roles, rng)
    at_sites = np.flatnonzero(roles >= TRACT)
    tokens[at_sites] = motifs.draw(_FREQUENCIES[roles[at_sites]], rng)
    _clear_exclusion_zones(tokens, roles, rng)
    return Genome(tokens, roles, loci)


def diverge(ancestor: Genome, divergence: float, rng: np.random.Generator) -> Genome:
    """A species that differs from the ancestor at a share ``divergence`` of the sites outside splice sites.

    Within splice sites and branch points the same share of positions is drawn again from the frequencies of
    that position, which often gives the same nucleotide back.
    """
    tokens = substitute(ancestor.tokens, divergence, rng)
    at_sites = np.flatnonzero(ancestor.roles >= TRACT)
    tokens[at_sites] = ancestor.tokens[at_sites]
    renewed = at_sites[rng.random(at_sites.size) < divergence]
    tokens[renewed] = motifs.draw(_FREQUENCIES[ancestor.roles[renewed]], rng)
    _clear_exclusion_zones(tokens, ancestor.roles, rng)
    return Genome(tokens, ancestor.roles, ancestor.loci)


def _log_normal(median: float, spread: float, count: int, rng: np.random.Generator) -> Positions:
    return np.rint(rng.lognormal(math.log(median), spread, count)).astype(np.int64)


def _lay_out(settings: GenomeSettings, rng: np.random.Generator) -> tuple[tuple[Locus, ...], Roles]:
    """Choose contig, strand and exons of every gene, and the role of every position."""
    exon_counts = np.maximum(
        2, _log_normal(settings.exons_per_gene, settings.exons_per_gene_spread, settings.genes, rng)
    )
    contigs = np.sort(np.arange(settings.genes) % settings.contigs)
    loci, start = [], 0
    for number, (count, contig) in enumerate(zip(exon_counts.tolist(), contigs.tolist(), strict=True), 1):
        pieces = np.empty(2 * count + 1, dtype=np.int64)  # flank, exon, intron, …, exon, flank
        pieces[[0, -1]] = rng.uniform(0.25, 0.75, 2) * settings.intergenic_length
        pieces[1::2] = np.maximum(SHORTEST_EXON, _log_normal(settings.exon_length, settings.exon_spread, count, rng))
        pieces[2:-1:2] = settings.shortest_intron + _log_normal(
            settings.intron_length - settings.shortest_intron, settings.intron_spread, count - 1, rng
        )
        ends = start + pieces.cumsum()
        strand = "+-"[rng.integers(2)]
        exons = np.stack([ends[:-1:2], ends[1::2]], axis=1)
        loci.append(Locus(f"SIMG{number:05d}", f"chr{contig + 1}", strand, start, int(ends[-1]), exons))
        start = int(ends[-1])
    return tuple(loci), _roles(loci, settings.gc_ag_share, rng)


def _roles(loci: list[Locus], gc_ag_share: float, rng: np.random.Generator) -> Roles:
    roles = np.full(loci[-1].end, BACKGROUND, dtype=np.uint8)
    for first, last in np.concatenate([locus.exons for locus in loci]):
        roles[first:last] = EXON
    starts = np.concatenate([locus.exons[:-1, 1] for locus in loci])
    ends = np.concatenate([locus.exons[1:, 0] for locus in loci])
    distances = np.rint(rng.normal(*motifs.BRANCH_DISTANCE_MEAN_SPREAD, ends.size)).astype(np.int64)
    branches = ends - distances.clip(*motifs.BRANCH_DISTANCE)
    for branch, end in zip(branches, ends, strict=True):
        roles[branch:end] = TRACT
    is_gc_ag = rng.random(starts.size) < gc_ag_share
    for anchors, motif, before in (
        (starts[~is_gc_ag], DONOR_ROLES, motifs.DONOR_EXONIC),
        (starts[is_gc_ag], GC_DONOR_ROLES, motifs.DONOR_EXONIC),
        (branches, BRANCH_ROLES, motifs.BRANCH_BEFORE),
        (ends, ACCEPTOR_ROLES, motifs.ACCEPTOR_INTRONIC),
    ):
        roles[anchors[:, None] - before + np.arange(motif.size)] = motif
    return roles


def _plant_enhancers(tokens: Tokens, roles: Roles, rng: np.random.Generator) -> None:
    """Overwrite random places within exons with splicing enhancers."""
    words = np.stack([encode(word.encode()).tokens for word in motifs.ENHANCERS])
    size = words.shape[1]
    # No intron is shorter than an enhancer, so two exonic ends mean that all between is exon.
    places = np.flatnonzero((roles[: 1 - size] == EXON) & (roles[size - 1 :] == EXON))
    chosen = rng.choice(places, size=places.size // ENHANCER_SPACING, replace=False)
    tokens[chosen[:, None] + np.arange(size)] = words[rng.integers(len(words), size=chosen.size)]


def _clear_exclusion_zones(tokens: Tokens, roles: Roles, rng: np.random.Generator) -> None:
    """Draw again, in place, until no AG lies between a branch point and its acceptor."""
    zone = np.flatnonzero(_IN_EXCLUSION_ZONE[roles])
    zone = zone[:-1][np.diff(zone) == 1]  # first positions of pairs that lie in the zone
    while (found := zone[(tokens[zone] == A) & (tokens[zone + 1] == G)]).size:
        pairs = np.union1d(found, found + 1)
        tokens[pairs] = motifs.draw(_FREQUENCIES[roles[pairs]], rng)
