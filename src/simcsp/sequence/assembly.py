"""Which assembly a genome is, and which contigs of two files are one and the same.

A chromosome's length tells its assembly whatever the contig is called, because no two assemblies known here share a
length (chrM aside). Names are UCSC's (``hg38``); lengths and RefSeq accessions are those of NCBI's assembly reports
and UCSC's ``chrom.sizes``, taken from the tables of Bioframe 0.8.0 (``bioframe/io/data/*.seqinfo.tsv``). Those of
hg18, and once more those of hg19, hg38, mm9, mm10, dm3 and dm6, are from pybedtools 0.12.1 (``genome_registry.py``,
UCSC's ``chromInfo``). TAIR10: NCBI GCF_000001735.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from simcsp.errors import InputError
from simcsp.tally import Tally

_MITOCHONDRION = "M"
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
    found = Counter(chromosome.assembly for chromosome in _nuclear() if chromosome.length in present)
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
    known = list(dict.fromkeys(chromosome.assembly for chromosome in _nuclear()))
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
        expected = declared.get(name) or (_by_accession()[name].length if name in _by_accession() else 0)
        if contig is not None and expected in (0, lengths[contig]):
            resolved[name] = contig
        elif contig is None or _plain_name(name) == _MITOCHONDRION:
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
            hint="Give matching files, or set ignore_missing_contigs: true to leave these out"
            if resolved
            else "The two files have no contig in common; give a matching pair",
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


class _Chromosome(NamedTuple):
    """One chromosome; ``name`` is without ``chr``, ``table`` the number of its species, ``accession`` may be ``-``."""

    table: int
    assembly: str
    name: str
    length: int
    accession: str


@cache
def _chromosomes() -> tuple[_Chromosome, ...]:
    chromosomes = []
    for table, text in enumerate(_TABLES):
        header, *rows = (line.split() for line in text.strip().splitlines())
        for name, *row in rows:
            for assembly, length, accession in zip(header[1:], row[::2], row[1::2], strict=True):
                if length != "-":
                    chromosomes.append(_Chromosome(table, assembly, name, int(length), accession))
    return tuple(chromosomes)


@cache
def _nuclear() -> tuple[_Chromosome, ...]:
    return tuple(chromosome for chromosome in _chromosomes() if chromosome.name != _MITOCHONDRION)


@cache
def _by_accession() -> dict[str, _Chromosome]:
    return {chromosome.accession: chromosome for chromosome in _chromosomes() if chromosome.accession != "-"}


def _plain_name(name: str) -> str:
    """What all names of a contig have in common: ``1`` for chr1 and NC_000001.11, ``M`` for MT."""
    if scaffold := _SCAFFOLD.fullmatch(name):
        return f"{scaffold[1].upper()}.{scaffold[2] or 1}"
    if chromosome := _by_accession().get(name):
        return chromosome.name
    bare = name[3:] if name[:3].lower() == "chr" else name
    return _MITOCHONDRION if bare.lower() in _MITOCHONDRIA else bare


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
    known = {chromosome.length for chromosome in _nuclear() if chromosome.assembly == assembly}
    contig = next(name for name, length in lengths.items() if length in known)
    return f"{contig} has {lengths[contig]:,} nt"


def _could_hold(reach: Mapping[str, int], found: str) -> list[str]:
    """Other assemblies of the species whose chromosomes are long enough."""
    table = next(chromosome.table for chromosome in _nuclear() if chromosome.assembly == found)
    size: dict[str, dict[str, int]] = defaultdict(dict)
    for chromosome in _nuclear():
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


# One table for each species; of each assembly the length in nt and the RefSeq accession.
_TABLES = (
    """
    chromosome hg18        hg19                   hg38                   hs1
    1          247249719 - 249250621 NC_000001.10 248956422 NC_000001.11 248387328 NC_060925.1
    2          242951149 - 243199373 NC_000002.11 242193529 NC_000002.12 242696752 NC_060926.1
    3          199501827 - 198022430 NC_000003.11 198295559 NC_000003.12 201105948 NC_060927.1
    4          191273063 - 191154276 NC_000004.11 190214555 NC_000004.12 193574945 NC_060928.1
    5          180857866 - 180915260 NC_000005.9  181538259 NC_000005.10 182045439 NC_060929.1
    6          170899992 - 171115067 NC_000006.11 170805979 NC_000006.12 172126628 NC_060930.1
    7          158821424 - 159138663 NC_000007.13 159345973 NC_000007.14 160567428 NC_060931.1
    8          146274826 - 146364022 NC_000008.10 145138636 NC_000008.11 146259331 NC_060932.1
    9          140273252 - 141213431 NC_000009.11 138394717 NC_000009.12 150617247 NC_060933.1
    10         135374737 - 135534747 NC_000010.10 133797422 NC_000010.11 134758134 NC_060934.1
    11         134452384 - 135006516 NC_000011.9  135086622 NC_000011.10 135127769 NC_060935.1
    12         132349534 - 133851895 NC_000012.11 133275309 NC_000012.12 133324548 NC_060936.1
    13         114142980 - 115169878 NC_000013.10 114364328 NC_000013.11 113566686 NC_060937.1
    14         106368585 - 107349540 NC_000014.8  107043718 NC_000014.9  101161492 NC_060938.1
    15         100338915 - 102531392 NC_000015.9  101991189 NC_000015.10 99753195  NC_060939.1
    16         88827254  - 90354753  NC_000016.9  90338345  NC_000016.10 96330374  NC_060940.1
    17         78774742  - 81195210  NC_000017.10 83257441  NC_000017.11 84276897  NC_060941.1
    18         76117153  - 78077248  NC_000018.9  80373285  NC_000018.10 80542538  NC_060942.1
    19         63811651  - 59128983  NC_000019.9  58617616  NC_000019.10 61707364  NC_060943.1
    20         62435964  - 63025520  NC_000020.10 64444167  NC_000020.11 66210255  NC_060944.1
    21         46944323  - 48129895  NC_000021.8  46709983  NC_000021.9  45090682  NC_060945.1
    22         49691432  - 51304566  NC_000022.10 50818468  NC_000022.11 51324926  NC_060946.1
    X          154913754 - 155270560 NC_000023.10 156040895 NC_000023.11 154259566 NC_060947.1
    Y          57772954  - 59373566  NC_000024.9  57227415  NC_000024.10 62460029  NC_060948.1
    M          -         - 16569     NC_012920.1  16569     NC_012920.1  16569     -
    """,
    """
    chromosome mm9                   mm10                  mm39
    1          197195432 NC_000067.5 195471971 NC_000067.6 195154279 NC_000067.7
    2          181748087 NC_000068.6 182113224 NC_000068.7 181755017 NC_000068.8
    3          159599783 NC_000069.5 160039680 NC_000069.6 159745316 NC_000069.7
    4          155630120 NC_000070.5 156508116 NC_000070.6 156860686 NC_000070.7
    5          152537259 NC_000071.5 151834684 NC_000071.6 151758149 NC_000071.7
    6          149517037 NC_000072.5 149736546 NC_000072.6 149588044 NC_000072.7
    7          152524553 NC_000073.5 145441459 NC_000073.6 144995196 NC_000073.7
    8          131738871 NC_000074.5 129401213 NC_000074.6 130127694 NC_000074.7
    9          124076172 NC_000075.5 124595110 NC_000075.6 124359700 NC_000075.7
    10         129993255 NC_000076.5 130694993 NC_000076.6 130530862 NC_000076.7
    11         121843856 NC_000077.5 122082543 NC_000077.6 121973369 NC_000077.7
    12         121257530 NC_000078.5 120129022 NC_000078.6 120092757 NC_000078.7
    13         120284312 NC_000079.5 120421639 NC_000079.6 120883175 NC_000079.7
    14         125194864 NC_000080.5 124902244 NC_000080.6 125139656 NC_000080.7
    15         103494974 NC_000081.5 104043685 NC_000081.6 104073951 NC_000081.7
    16         98319150  NC_000082.5 98207768  NC_000082.6 98008968  NC_000082.7
    17         95272651  NC_000083.5 94987271  NC_000083.6 95294699  NC_000083.7
    18         90772031  NC_000084.5 90702639  NC_000084.6 90720763  NC_000084.7
    19         61342430  NC_000085.5 61431566  NC_000085.6 61420004  NC_000085.7
    X          166650296 NC_000086.6 171031299 NC_000086.7 169476592 NC_000086.8
    Y          15902555  NC_000087.6 91744698  NC_000087.7 91455967  NC_000087.8
    M          16299     NC_005089.1 16299     NC_005089.1 16299     NC_005089.1
    """,
    """
    chromosome danRer10             danRer11
    1          58871917 NC_007112.6 59578282 NC_007112.7
    2          59543403 NC_007113.6 59640629 NC_007113.7
    3          62385949 NC_007114.6 62628489 NC_007114.7
    4          76625712 NC_007115.6 78093715 NC_007115.7
    5          71715914 NC_007116.6 72500376 NC_007116.7
    6          60272633 NC_007117.6 60270059 NC_007117.7
    7          74082188 NC_007118.6 74282399 NC_007118.7
    8          54191831 NC_007119.6 54304671 NC_007119.7
    9          56892771 NC_007120.6 56459846 NC_007120.7
    10         45574255 NC_007121.6 45420867 NC_007121.7
    11         45107271 NC_007122.6 45484837 NC_007122.7
    12         49229541 NC_007123.6 49182954 NC_007123.7
    13         51780250 NC_007124.6 52186027 NC_007124.7
    14         51944548 NC_007125.6 52660232 NC_007125.7
    15         47771147 NC_007126.6 48040578 NC_007126.7
    16         55381981 NC_007127.6 55266484 NC_007127.7
    17         53345113 NC_007128.6 53461100 NC_007128.7
    18         51008593 NC_007129.6 51023478 NC_007129.7
    19         48790377 NC_007130.6 48449771 NC_007130.7
    20         55370968 NC_007131.6 55201332 NC_007131.7
    21         45895719 NC_007132.6 45934066 NC_007132.7
    22         39226288 NC_007133.6 39133080 NC_007133.7
    23         46272358 NC_007134.6 46223584 NC_007134.7
    24         42251103 NC_007135.6 42172926 NC_007135.7
    25         36898761 NC_007136.6 37502051 NC_007136.7
    M          16596    NC_002333.2 16596    NC_002333.2
    """,
    """
    chromosome dm3                  dm6
    2L         23011544 NT_033779.4 23513712 NT_033779.5
    2R         21146708 NT_033778.3 25286936 NT_033778.4
    3L         24543557 NT_037436.3 28110227 NT_037436.4
    3R         27905053 NT_033777.2 32079331 NT_033777.3
    4          1351857  NC_004353.3 1348131  NC_004353.4
    X          22422827 NC_004354.3 23542271 NC_004354.4
    Y          -        -           3667352  NC_024512.1
    M          19517    -           19524    NC_024511.2
    """,
    """
    chromosome ce10                  ce11
    I          15072423 NC_003279.7  15072434 NC_003279.8
    II         15279345 NC_003280.9  15279421 NC_003280.10
    III        13783700 NC_003281.9  13783801 NC_003281.10
    IV         17493793 NC_003282.7  17493829 NC_003282.8
    V          20924149 NC_003283.10 20924180 NC_003283.11
    X          17718866 NC_003284.8  17718942 NC_003284.9
    M          13794    NC_001328.1  13794    NC_001328.1
    """,
    """
    chromosome sacCer3
    I          230218  NC_001133.9
    II         813184  NC_001134.8
    III        316620  NC_001135.5
    IV         1531933 NC_001136.10
    V          576874  NC_001137.3
    VI         270161  NC_001138.5
    VII        1090940 NC_001139.9
    VIII       562643  NC_001140.6
    IX         439888  NC_001141.2
    X          745751  NC_001142.9
    XI         666816  NC_001143.9
    XII        1078177 NC_001144.5
    XIII       924431  NC_001145.3
    XIV        784333  NC_001146.8
    XV         1091291 NC_001147.6
    XVI        948066  NC_001148.4
    M          85779   NC_001224.1
    """,
    """
    chromosome TAIR10
    1          30427671 NC_003070.9
    2          19698289 NC_003071.7
    3          23459830 NC_003074.8
    4          18585056 NC_003075.7
    5          26975502 NC_003076.8
    """,
)
