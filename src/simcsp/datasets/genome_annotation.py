"""A genome and its annotation, opened together and checked against each other."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from simcsp.errors import InputError
from simcsp.sequence.alphabet import Tokens
from simcsp.sequence.annotation import Interval, Intron, Transcript, introns_of, read_annotation
from simcsp.sequence.assembly import explain_mismatch, match_contigs, require_assembly
from simcsp.sequence.fasta import Genome, nucleotides
from simcsp.sequence.sites import intron_ends
from simcsp.tally import Tally

CANONICAL = "GT-AG"

OnContig = TypeVar("OnContig", Transcript, Intron)


class Locus(NamedTuple):
    """Genes of one strand and contig whose spans overlap; ``name`` is the first of them."""

    contig: str
    span: Interval
    strand: str
    name: str


class Contig(NamedTuple):
    """One contig with everything annotated on it.

    Attributes:
        name: as in the FASTA.
        tokens: ``(length,)`` forward strand.
        transcripts: in the order of the annotation.
        introns: distinct introns.
        loci: by strand and start.
        group_of: gene → group, named after one of its genes; genes whose spans overlap on either strand, or are
            nearer than ``apart``, share one.
        untagged: transcripts that lack the tags asked for.
    """

    name: str
    tokens: Tokens
    transcripts: list[Transcript]
    introns: list[Intron]
    loci: list[Locus]
    group_of: dict[str, str]
    untagged: list[Transcript]


class AnnotatedGenome:
    """FASTA plus annotation of the same assembly; contigs are called as in the FASTA.

    Args:
        fasta: the genome.
        annotation: its annotation.
        cache: folder for the FASTA index.
        tags: only transcripts with one of these tags of GTF or GFF3; all if empty.
        assembly: name that the FASTA must turn out to have; any if None.
        ignore_missing_contigs: drop (and count) transcripts on contigs the FASTA lacks instead of stopping.
        apart: nt between the spans of genes of different groups; with the length of a window, no two windows of
            different groups overlap.

    Raises:
        InputError: if the FASTA is of another assembly than it should be, if contigs are missing or of another
            length than the annotation declares, or if an annotated exon ends beyond its contig.
    """

    def __init__(
        self,
        fasta: Path,
        annotation: Path,
        cache: Path,
        *,
        tags: Sequence[str] = (),
        assembly: str | None = None,
        ignore_missing_contigs: bool = False,
        apart: int = 0,
    ) -> None:
        self.fasta, self.annotation, self.apart = fasta, annotation, apart
        transcripts, transcript_tally, declared, untagged = read_annotation(annotation, tags)
        self.genome = Genome(fasta, cache)
        require_assembly(self.genome.lengths, assembly, fasta)
        self._contigs = Tally("contigs", fasta.name)
        contig_of = match_contigs(
            dict.fromkeys(transcript.contig for transcript in transcripts),
            self.genome.lengths,
            declared=declared,
            fasta=fasta,
            path=annotation,
            ignore_missing=ignore_missing_contigs,
            tally=self._contigs,
        )
        self.transcripts, self._untagged = (
            [t._replace(contig=contig_of[t.contig]) for t in some if t.contig in contig_of]
            for some in (transcripts, untagged)
        )
        if len(self.transcripts) < len(transcripts):
            transcript_tally.dropped["contig not in the FASTA"] += len(transcripts) - len(self.transcripts)
        self._check_ends()
        self.introns, intron_tally = introns_of(self.transcripts, annotation.name)
        self._counted: set[str] = set()
        self.tallies = [transcript_tally, intron_tally, self._contigs]

    def contigs(self) -> Iterator[Contig]:
        """Annotated contigs, one in memory at a time, in the order of the FASTA."""
        transcripts, untagged = _by_contig(self.transcripts), _by_contig(self._untagged)
        introns = _by_contig(self.introns)
        for name, length in self.genome.lengths.items():
            if name in transcripts:
                letters = self.genome.fetch(name, 0, length)
                tokens = nucleotides(letters, self._tally_of(name), path=self.fasta, contig=name)
                loci = [
                    locus
                    for strand in "+-"
                    for locus in _loci([t for t in transcripts[name] if t.strand == strand], strand)
                ]
                groups = _groups(transcripts[name], self.apart)
                yield Contig(name, tokens, transcripts[name], introns[name], loci, groups, untagged[name])

    def check_assembly(self, least: float) -> float:
        """Share of introns that are GT–AG in this FASTA, of those whose ends are not N.

        Raises:
            InputError: if it is below ``least``: the annotation belongs to another assembly.
        """
        ends: Counter[str] = Counter()
        for contig in self.contigs():
            ends.update(intron_ends(contig.tokens, contig.introns))
        total = sum(count for pair, count in ends.items() if "N" not in pair)
        if total == 0:
            problem = f"all {ends.total():,} introns end in N in {self.fasta}" if ends else "no intron is annotated"
            raise InputError(problem, path=self.annotation, hint="Give an annotation with spliced genes and its FASTA")
        rate = ends[CANONICAL] / total
        if rate < least:
            raise InputError(
                f"only {rate:.1%} of {total:,} introns are GT–AG in {self.fasta}; 98–99 % are in the right assembly",
                path=self.annotation,
                hint=self._explain_mismatch(),
            )
        return rate

    def _tally_of(self, contig: str) -> Tally:
        """Where the changed letters of a contig are counted: a contig that is read again counts once."""
        if contig in self._counted:
            return Tally("contigs", contig)
        self._counted.add(contig)
        self._contigs.read += 1
        return self._contigs

    def _check_ends(self) -> None:
        for transcript in self.transcripts:
            if transcript.span[1] > self.genome.lengths[transcript.contig]:
                raise InputError(
                    f"transcript {transcript.name} ends at {transcript.span[1]:,}, beyond {transcript.contig} "
                    f"({self.genome.lengths[transcript.contig]:,} nt) of {self.fasta}",
                    path=self.annotation,
                    hint=self._explain_mismatch(),
                )

    def _explain_mismatch(self) -> str:
        reach: dict[str, int] = {}
        for transcript in self.transcripts:
            reach[transcript.contig] = max(reach.get(transcript.contig, 0), transcript.span[1])
        return explain_mismatch(self.genome.lengths, reach)


def _by_contig(items: Iterable[OnContig]) -> dict[str, list[OnContig]]:
    by_contig: dict[str, list[OnContig]] = defaultdict(list)
    for item in items:
        by_contig[item.contig].append(item)
    return by_contig


def _loci(transcripts: list[Transcript], strand: str) -> list[Locus]:
    """Merge overlapping spans; all transcripts are on one contig and strand."""
    loci: list[Locus] = []
    for transcript in sorted(transcripts, key=lambda t: t.span):
        start, end = transcript.span
        if loci and start < loci[-1].span[1]:
            last = loci[-1]
            loci[-1] = last._replace(span=(last.span[0], max(last.span[1], end)))
        else:
            loci.append(Locus(transcript.contig, (start, end), strand, transcript.gene))
    return loci


def _groups(transcripts: list[Transcript], apart: int) -> dict[str, str]:
    """Gene → group, strands together; a gene with several clusters of spans joins them."""
    parent: dict[str, str] = {}

    def group(gene: str) -> str:
        while parent[gene] != gene:
            gene = parent[gene]
        return gene

    reach, neighbour = 0, ""
    for transcript in sorted(transcripts, key=lambda t: t.span):
        start, end = transcript.span
        parent.setdefault(transcript.gene, transcript.gene)
        if neighbour and start < reach + apart:
            parent[group(transcript.gene)] = group(neighbour)
        reach, neighbour = max(reach, end), transcript.gene
    return {gene: group(gene) for gene in parent}
