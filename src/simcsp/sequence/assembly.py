"""Which assembly a genome is, and which contigs of two files are one and the same.

A chromosome's length tells its assembly whatever the contig is called, because no two assemblies known here share a
length (chrM aside); they are in :mod:`simcsp.sequence.chromosomes`.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from simcsp.errors import InputError
from simcsp.sequence.chromosomes import MITOCHONDRION, by_accession, nuclear
from simcsp.tally import Tally

_MITOCHONDRIA = frozenset(("m", "mt", "mtdna", "mito", "mitochondrion_genome"))
# UCSC's name of a scaffold holds its accession: chrUn_KI270757v1, chr1_KI270706v1_random, chr4_gl000193_random.
_SCAFFOLD = re.compile(r"chr\w*_([A-Za-z]{1,4}\d{5,})(?:v(\d+))?(?:_random|_alt|_fix)?")
_SYNONYMS = {
    "NCBI36": "hg18", "GRCh37": "hg19", "GRCh38": "hg38", "T2T-CHM13": "hs1", "T2T-CHM13v2.0": "hs1",
    "MGSCv37": "mm9", "GRCm38": "mm10", "GRCm39": "mm39", "GRCz10": "danRer10", "GRCz11": "danRer11",
    "BDGP6": "dm6", "WBcel235": "ce11", "R64-1-1": "sacCer3",
}  # fmt: skip


def identify(lengths: Mapping[str, int]) -> str | None:
    """Name the assembly that most contigs belong to by their lengths; one chromosome is enough.

    Args:
        lengths: nt by contig, whatever the contigs are called.

    Returns:
        UCSC's name, or None if no contig is as long as a chromosome of a known assembly, or two assemblies have
        equally many.
    """
    present = set(lengths.values())
    found = Counter(chromosome.assembly for chromosome in nuclear() if chromosome.length in present)
    first, second = (*found.most_common(2), (None, 0), (None, 0))[:2]
    return first[0] if first[1] > second[1] else None


def require_assembly(lengths: Mapping[str, int], assembly: str | None, fasta: Path) -> None:
    """Check that a genome is the assembly that it is said to be.

    Args:
        lengths: nt by contig.
        assembly: UCSC's, NCBI's or Ensembl's name, with or without a patch (``GRCh38.p14``); None requires nothing.
        fasta: the genome, for errors.

    Raises:
        InputError: if it is another one, or if that cannot be told.
    """
    if assembly is None:
        return
    known = list(dict.fromkeys(chromosome.assembly for chromosome in nuclear()))
    spelt = {name.lower(): name for name in known} | {name.lower(): ucsc for name, ucsc in _SYNONYMS.items()}
    wanted = spelt.get(re.sub(r"\.p\d+$", "", assembly).lower())
    if wanted is None:
        hint = f"Known are {', '.join(known)}; leave assembly out for others"
        raise InputError(f"assembly {assembly!r} cannot be checked", path=fasta, hint=hint)
    found = identify(lengths)
    if found is None:
        problem = f"this FASTA should be {wanted}, but the lengths of its contigs do not say so"
        raise InputError(problem, path=fasta, hint="Give the whole chromosomes of that assembly, or leave assembly out")
    if found != wanted:
        raise InputError(f"this FASTA is {found}, not {wanted}: {_witness(lengths, found)}", path=fasta)


def resolve_contigs(
    names: Iterable[str],
    lengths: Mapping[str, int],
    declared: Mapping[str, int] | None = None,
    path: Path | None = None,
) -> tuple[dict[str, str], list[str]]:
    """Find the contigs of a FASTA under the names of another file.

    Tried in this order: the same name; with or without ``chr``, ``M`` or ``MT``; the RefSeq accession of a chromosome
    (``NC_000001.11`` is chr1 of hg38); UCSC's name of a scaffold and its accession (``chrUn_KI270757v1``,
    ``KI270757.1``); the one contig of the declared length.

    Args:
        names: of the other file.
        lengths: nt by contig of the FASTA.
        declared: nt by name, where the other file states them.
        path: the other file, for errors.

    Returns:
        Name → contig of the FASTA, and the names without a contig. The mitochondrion of another length than declared
        counts as missing, because hg19 comes with either of two.

    Raises:
        InputError: if a declared length, or that of an accession, is not that of the contig in the FASTA.
    """
    declared = declared or {}
    alike: dict[str, list[str]] = defaultdict(list)
    for present in lengths:
        alike[_plain_name(present)].append(present)
    resolved: dict[str, str] = {}
    unknown: list[str] = []
    for name in dict.fromkeys(names):
        contig = _namesake(name, lengths, alike)
        expected = declared.get(name) or (by_accession()[name].length if name in by_accession() else 0)
        if contig is not None and expected in (0, lengths[contig]):
            resolved[name] = contig
        elif contig is None or _plain_name(name) == MITOCHONDRION:
            unknown.append(name)
        else:
            raise _another_length(name, expected, contig, lengths, path)
    return _resolve_by_length(resolved, unknown, lengths, declared)


def match_contigs(
    names: Iterable[str],
    lengths: Mapping[str, int],
    *,
    declared: Mapping[str, int],
    fasta: Path,
    path: Path,
    ignore_missing: bool,
    tally: Tally,
) -> dict[str, str]:
    """Contigs of a FASTA under the names of a file that belongs to it.

    Args:
        names: of the other file.
        lengths: nt by contig of the FASTA.
        declared: nt by name, where the other file states them.
        fasta: the FASTA, for errors.
        path: the other file, for errors.
        ignore_missing: whether names without a contig are left out of the result instead of being an error.
        tally: of contigs; counts those that the FASTA calls otherwise.

    Raises:
        InputError: if a contig is missing and may not be, if all are, or if one is of another assembly.
    """
    resolved, missing = resolve_contigs(names, lengths, declared, path)
    if missing and not (resolved and ignore_missing):
        raise InputError(
            f"{len(missing):,} of {len(resolved) + len(missing):,} contigs ({_first(missing, declared)}) are not in "
            f"{fasta}, which has {_first(list(lengths))}",
            path=path,
            hint=_way_out(len(resolved), len(missing)),
        )
    translated = [f"{name} → {contig}" for name, contig in resolved.items() if name != contig]
    if translated:
        more = ", …" if len(translated) > 1 else ""
        tally.changed[f"contig names translated ({translated[0]}{more})"] += len(translated)
    return resolved


def explain_mismatch(lengths: Mapping[str, int], reach: Mapping[str, int]) -> str:
    """What can be said when a file does not fit a FASTA, as the hint of an error.

    Args:
        lengths: nt by contig of the FASTA.
        reach: highest coordinate by contig in the other file.
    """
    found = identify(lengths)
    if found is None:
        return "The two files are of different assemblies; give a matching pair"
    fitting = _could_hold(reach, found)
    *others, last = fitting or [""]
    fit = f"; the coordinates would fit into {', '.join(others)}{' or ' if others else ''}{last}" if fitting else ""
    return f"The two files are of different assemblies: this FASTA is {found}{fit}"


def _way_out(found: int, missing: int) -> str:
    """What to do where contigs are missing; to leave most of them out seldom mends that."""
    if not found:
        return "The two files have no contig in common; give a matching pair"
    if missing > found:
        return (
            "The FASTA is probably of another species or assembly: give a matching pair, or, if it is meant to be a "
            "part of the genome, set ignore_missing_contigs: true"
        )
    return "Give matching files, or set ignore_missing_contigs: true to leave these out"


def _plain_name(name: str) -> str:
    """What all names of a contig have in common: ``1`` for chr1 and NC_000001.11, ``M`` for MT."""
    if scaffold := _SCAFFOLD.fullmatch(name):
        return f"{scaffold[1].upper()}.{scaffold[2] or 1}"
    if chromosome := by_accession().get(name):
        return chromosome.name
    bare = name[3:] if name[:3].lower() == "chr" else name
    return MITOCHONDRION if bare.lower() in _MITOCHONDRIA else bare


def _namesake(name: str, lengths: Mapping[str, int], alike: Mapping[str, list[str]]) -> str | None:
    for spelling in (name, f"chr{name}"):  # chrMT before chrM, where there are both
        if spelling in lengths:
            return spelling
    contigs = alike.get(_plain_name(name), [])
    return contigs[0] if len(contigs) == 1 else None


def _resolve_by_length(
    resolved: dict[str, str], unknown: list[str], lengths: Mapping[str, int], declared: Mapping[str, int]
) -> tuple[dict[str, str], list[str]]:
    free = defaultdict(list)
    for contig in lengths.keys() - set(resolved.values()):
        free[lengths[contig]].append(contig)
    wanted = Counter(declared[name] for name in unknown if name in declared)
    found = {
        name: free[length][0]
        for name in unknown
        if (length := declared.get(name, 0)) in free and len(free[length]) == wanted[length] == 1
    }
    return resolved | found, [name for name in unknown if name not in found]


def _another_length(name: str, expected: int, contig: str, lengths: Mapping[str, int], path: Path | None) -> InputError:
    here, there = identify(lengths), identify({name: expected})
    this = f"this FASTA is {here}" if here else "this FASTA is of another assembly"
    return InputError(
        f"contig {name} has {expected:,} nt{f' in {there}' if there else ''}, "
        f"but {contig} of the FASTA has {lengths[contig]:,}: {this}",
        path=path,
        hint=f"Give files of one assembly{f', for instance a FASTA of {there}' if there else ''}",
    )


def _witness(lengths: Mapping[str, int], assembly: str) -> str:
    """One contig that gives the assembly away."""
    known = {chromosome.length for chromosome in nuclear() if chromosome.assembly == assembly}
    contig = next(name for name, length in lengths.items() if length in known)
    return f"{contig} has {lengths[contig]:,} nt"


def _could_hold(reach: Mapping[str, int], found: str) -> list[str]:
    """Other assemblies of the species whose chromosomes are long enough."""
    table = next(chromosome.table for chromosome in nuclear() if chromosome.assembly == found)
    size: dict[str, dict[str, int]] = defaultdict(dict)
    for chromosome in nuclear():
        if chromosome.table == table and chromosome.assembly != found:
            size[chromosome.assembly][chromosome.name] = chromosome.length
    ends = {_plain_name(contig): end for contig, end in reach.items()}
    return [
        assembly
        for assembly, lengths in size.items()
        if ends.keys() & lengths.keys() and all(end <= lengths.get(name, end) for name, end in ends.items())
    ]


def _first(names: list[str], declared: Mapping[str, int] | None = None) -> str:
    shown = [f"{name} of {declared[name]:,} nt" if declared and name in declared else name for name in names[:3]]
    return ", ".join(shown) + (", …" if len(names) > 3 else "")
