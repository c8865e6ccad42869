import re
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyfaidx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcsp.errors import InputError
from simcsp.sequence import site_motifs
from simcsp.sequence.alphabet import A, decode
from simcsp.sequence.annotation import introns_of, read_annotation
from simcsp.sequence.simulate import (
    ACCEPTOR_ROLES,
    BRANCH_ROLES,
    DONOR_ROLES,
    EXON,
    GenomeSettings,
    diverge,
    simulate_ancestor,
    write_genomes,
)

COMPLEMENT = str.maketrans("ACGT", "TGCA")
ACCEPTOR_END = 50  # nt before an acceptor that may belong to it or to its branch point


class Exon(NamedTuple):
    gene: str
    contig: str
    strand: str
    start: int  # 1-based, as written
    end: int  # closed, as written


class Species:
    """What was written, read by pyfaidx and by a few lines that share nothing with the package."""

    def __init__(self, fasta: Path, gtf: Path) -> None:
        with pyfaidx.Fasta(str(fasta), as_raw=True) as contigs:
            self.contigs: dict[str, str] = {name: contigs[name][:] for name in contigs.keys()}  # noqa: SIM118
        self.rows: dict[str, list[Exon]] = defaultdict(list)
        for line in gtf.read_text().splitlines():
            if not line.startswith("#"):
                columns = line.split("\t")
                gene = re.search(r'gene_id "([^"]+)"', columns[8])
                assert gene
                row = Exon(gene[1], columns[0], columns[6], int(columns[3]), int(columns[4]))
                self.rows[columns[2]].append(row)

    def read(self, contig: str, strand: str, first: int, last: int) -> str:
        """Bases first … last, 1-based closed, of the gene's strand."""
        forward = self.contigs[contig][first - 1 : last]
        return forward if strand == "+" else forward[::-1].translate(COMPLEMENT)

    def introns(self) -> list[str]:
        """Each intron with 10 exonic bases on both sides."""
        genes = defaultdict(list)
        for exon in self.rows["exon"]:
            genes[exon.gene].append(exon)
        found = []
        for exons in genes.values():
            exons.sort(key=lambda exon: exon.start)
            for left, right in pairwise(exons):
                found.append(self.read(left.contig, left.strand, left.end + 1 - 10, right.start - 1 + 10))
        return found

    def exons(self) -> list[str]:
        return [self.read(*exon[1:]) for exon in self.rows["exon"]]


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> list[Species]:
    """Three species of 60 genes, as by default."""
    written = write_genomes(GenomeSettings(), tmp_path_factory.mktemp("family"), seed=1)
    assert [species.name for species in written] == ["ancestor", "cousin-1", "cousin-2"]
    return [Species(species.fasta, species.gtf) for species in written]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Species:
    """One species of 300 genes, for statistics."""
    (written,) = write_genomes(GenomeSettings(genes=300, species=1), tmp_path_factory.mktemp("large"), seed=2)
    return Species(written.fasta, written.gtf)


def test_files_are_a_function_of_settings_and_seed(tmp_path: Path) -> None:
    few = GenomeSettings(genes=6, species=2)
    folders = {name: tmp_path / name for name in ("once", "again", "other_seed", "more_species")}
    write_genomes(few, folders["once"], seed=3)
    write_genomes(few, folders["again"], seed=3)
    write_genomes(few, folders["other_seed"], seed=4)
    write_genomes(GenomeSettings(genes=6, species=3), folders["more_species"], seed=3)
    names = ["ancestor.fa", "ancestor.gtf", "cousin-1.fa", "cousin-1.gtf"]
    assert sorted(path.name for path in folders["once"].iterdir()) == names
    for name in names:
        once = (folders["once"] / name).read_bytes()
        assert once == (folders["again"] / name).read_bytes()
        assert once == (folders["more_species"] / name).read_bytes()
        assert once != (folders["other_seed"] / name).read_bytes()
    cousins = [(folders["more_species"] / f"cousin-{n}.fa").read_bytes() for n in (1, 2)]
    assert cousins[0] != cousins[1]


def test_every_intron_is_gt_ag_or_gc_ag_on_both_strands(family: list[Species]) -> None:
    for species in family:
        assert {exon.strand for exon in species.rows["exon"]} == {"+", "-"}
        assert {exon.contig for exon in species.rows["exon"]} == {"chr1", "chr2"}
        pairs = Counter(intron[10:12] + intron[-12:-10] for intron in species.introns())
        assert set(pairs) <= {"GTAG", "GCAG"}
        assert pairs["GTAG"] / pairs.total() > 0.97


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0, 0), (0.3, 0.24, 0.36), (1.0, 1, 1)])
def test_share_of_gc_ag_introns_is_as_set(tmp_path: Path, share: float, least: float, most: float) -> None:
    (written,) = write_genomes(GenomeSettings(species=1, gc_ag_share=share), tmp_path, seed=6)
    introns = Species(written.fasta, written.gtf).introns()
    assert least <= np.mean([intron[10:12] == "GC" for intron in introns]) <= most


def test_lengths_follow_the_settings(large: Species) -> None:
    introns = np.array([len(intron) - 20 for intron in large.introns()])
    exons = np.array([len(exon) for exon in large.exons()])
    per_gene = np.array(list(Counter(exon.gene for exon in large.rows["exon"]).values()))
    assert np.median(introns) == pytest.approx(300, rel=0.1)
    assert introns.min() >= 60
    assert np.median(exons) == pytest.approx(124, rel=0.06)
    assert np.median(per_gene) == pytest.approx(9, abs=1)
    # Human means over medians are 6,938 / 1,747, 159 / 124 and 11.3 / 9.
    assert (introns.mean() - 60) / (np.median(introns) - 60) == pytest.approx(6938 / 1747, rel=0.25)
    assert exons.mean() / np.median(exons) == pytest.approx(159 / 124, rel=0.1)
    assert per_gene.mean() / np.median(per_gene) == pytest.approx(11.3 / 9, rel=0.15)


def test_default_species_stay_near_a_megabase(family: list[Species]) -> None:
    for species in family:
        assert 0.5e6 < sum(map(len, species.contigs.values())) < 1.2e6


def frequencies(sequences: list[str]) -> np.ndarray:
    letters = np.array([list(sequence) for sequence in sequences])
    return np.stack([(letters == letter).mean(axis=0) for letter in "ACGT"], axis=1)


def test_sites_have_the_published_frequencies(large: Species) -> None:
    introns = large.introns()
    donors = frequencies([intron[7:16] for intron in introns if intron[11] == "T"])
    # Clearing AG from the exclusion zone takes a little A and G away from the tract.
    acceptors = frequencies([intron[-25:-8] for intron in introns])
    assert len(introns) > 2500
    assert np.abs(donors - site_motifs.DONOR).max() < 0.035
    assert np.abs(acceptors - site_motifs.ACCEPTOR).max() < 0.045


def test_no_ag_lies_just_before_an_acceptor(family: list[Species]) -> None:
    for species in family:
        # No branch point is nearer than 18 nt, so the last 18 nt but AG itself lie in every exclusion zone.
        assert all("AG" not in intron[:-10][-18:-2] for intron in species.introns())


def test_exclusion_zone_reaches_from_branch_point_to_acceptor() -> None:
    ancestor = simulate_ancestor(GenomeSettings(genes=40), np.random.default_rng(7))
    for genome in (ancestor, diverge(ancestor, 0.3, np.random.default_rng(8))):
        branches = np.flatnonzero(genome.roles == BRANCH_ROLES[5])
        ends = np.flatnonzero(genome.roles == ACCEPTOR_ROLES[14]) + 1
        distances = ends - branches
        assert distances.min() >= 18
        assert distances.max() <= 44
        assert (genome.tokens[branches] == A).all()
        for branch, end in zip(branches, ends, strict=True):
            assert decode(genome.tokens[branch:end]).index("AG") == end - branch - 2


def test_species_differ_by_the_divergence_outside_sites(family: list[Species]) -> None:
    ancestor, *cousins = ([intron[16 : -10 - ACCEPTOR_END] for intron in each.introns()] for each in family)
    before = np.array(list("".join(ancestor)))
    for cousin in cousins:
        after = np.array(list("".join(cousin)))
        changed = before != after
        assert changed.mean() == pytest.approx(0.05, abs=0.002)
        kinds = Counter(frozenset(pair) for pair in zip(before[changed], after[changed], strict=True))
        transitions = kinds[frozenset("AG")] + kinds[frozenset("CT")]
        assert transitions / kinds.total() == pytest.approx(2 / 3, abs=0.02)


def test_sites_drift_more_slowly_than_introns_but_do_drift() -> None:
    ancestor = simulate_ancestor(GenomeSettings(genes=200), np.random.default_rng(9))
    derived = diverge(ancestor, 0.2, np.random.default_rng(10))
    at_donors = np.isin(ancestor.roles, DONOR_ROLES)
    drift = (ancestor.tokens != derived.tokens)[at_donors].mean()
    # A redrawn position changes with probability 1 − Σp², the mean over the nine rows being the expectation.
    expected = 0.2 * (1 - (site_motifs.DONOR**2).sum(axis=1)).mean()
    assert drift == pytest.approx(expected, abs=0.01)
    assert drift < 0.1


def test_no_divergence_gives_the_ancestor() -> None:
    ancestor = simulate_ancestor(GenomeSettings(genes=3), np.random.default_rng(11))
    np.testing.assert_array_equal(diverge(ancestor, 0.0, np.random.default_rng(12)).tokens, ancestor.tokens)


def test_genes_do_not_overlap_and_span_their_exons(family: list[Species]) -> None:
    for species in family:
        genes = sorted(species.rows["gene"], key=lambda gene: (gene.contig, gene.start))
        assert len({gene.gene for gene in genes}) == len(genes) == 60
        for left, right in pairwise(genes):
            assert left.contig < right.contig or left.end + 500 < right.start
        assert species.rows["transcript"] == species.rows["gene"]
        for gene in genes:
            exons = [exon for exon in species.rows["exon"] if exon.gene == gene.gene]
            assert min(exon.start for exon in exons) == gene.start
            assert max(exon.end for exon in exons) == gene.end
            assert gene.end + 500 <= len(species.contigs[gene.contig])
            assert gene.start > 500


def test_orthologous_genes_have_the_same_name_and_exons_in_every_species(family: list[Species]) -> None:
    assert family[0].rows == family[1].rows == family[2].rows


def test_strands_are_equally_likely(large: Species) -> None:
    assert np.mean([gene.strand == "+" for gene in large.rows["gene"]]) == pytest.approx(0.5, abs=0.1)


def test_annotation_reader_finds_every_intron(tmp_path: Path) -> None:
    (written,) = write_genomes(GenomeSettings(genes=10, species=1), tmp_path, seed=13)
    transcripts, _, *_ = read_annotation(written.gtf)
    introns, tally = introns_of(transcripts, "simulated")
    species = Species(written.fasta, written.gtf)
    assert len(transcripts) == 10
    assert not tally.dropped
    read = [species.read(intron.contig, intron.strand, intron.start + 1 - 10, intron.end + 10) for intron in introns]
    assert sorted(read) == sorted(species.introns())


def gc(sequence: str) -> float:
    return (sequence.count("G") + sequence.count("C")) / len(sequence)


def test_exons_are_richer_in_gc_than_introns(large: Species) -> None:
    introns = "N".join(intron[16 : -10 - ACCEPTOR_END] for intron in large.introns())
    # Repeats have the G+C share of exons, enhancers less.
    assert gc(introns) == pytest.approx(0.41, abs=0.01)
    assert gc("".join(large.exons())) == pytest.approx(0.49, abs=0.03)


def test_enhancers_abound_in_exons(large: Species) -> None:
    exons, introns = "N".join(large.exons()), "N".join(large.introns())
    for word in site_motifs.ENHANCERS:
        assert exons.count(word) / len(exons) > 5 * introns.count(word) / len(introns)


@pytest.mark.parametrize(
    ("name", "value"),
    [("genes", 0), ("species", 0), ("contigs", 0), ("contigs", 61), ("divergence", -0.1), ("divergence", 0.8),
     ("gc", 0.0), ("exon_gc", 1.0), ("exon_length", 29), ("intron_length", 60), ("shortest_intron", 59),
     ("exon_spread", -1.0), ("intron_spread", 3.5), ("exons_per_gene", 1), ("exons_per_gene_spread", float("nan")),
     ("intergenic_length", 100), ("repeat_share", 1.1), ("gc_ag_share", 2.0)],
)  # fmt: skip
def test_settings_refuse_nonsense(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=name):
        GenomeSettings(**{name: value})


@settings(max_examples=25, deadline=None)
@given(
    st.builds(
        GenomeSettings,
        genes=st.integers(2, 4),
        contigs=st.integers(1, 2),
        exon_length=st.integers(30, 60),
        exon_spread=st.floats(0, 1),
        intron_length=st.integers(61, 80),
        intron_spread=st.floats(0, 1),
        exons_per_gene=st.integers(2, 4),
        gc=st.floats(0.1, 0.9),
        gc_ag_share=st.floats(0, 1),
        repeat_share=st.floats(0, 1),
    ),
    st.integers(0, 2**32 - 1),
)
def test_any_settings_give_sites_where_exons_end(chosen: GenomeSettings, seed: int) -> None:
    genome = simulate_ancestor(chosen, np.random.default_rng(seed))
    assert len(genome.tokens) == len(genome.roles) == genome.loci[-1].end
    for locus in genome.loci:
        assert (np.diff(locus.exons) >= 30).all()
        for (_, start), (end, _) in pairwise(locus.exons):
            intron = decode(genome.tokens[start:end])
            assert len(intron) >= 60
            assert intron[:2] in ("GT", "GC")
            assert intron[-2:] == "AG"
            assert not (genome.roles[start:end] == EXON).any()
