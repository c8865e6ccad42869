"""Time the reader of annotations against gtfparse and gffutils on a GTF of GENCODE's size.

    python benchmarks/read_annotation.py                  # 3 million lines, 1.2 GB in a temporary folder
    python benchmarks/read_annotation.py --lines 300000

The other two readers are optional: pip install gtfparse gffutils. The file has the attributes and the proportions of
rows of a human GENCODE release and is the same on every machine. Each reader runs in a process of its own; the file is
in the page cache by then, and imports are not timed. gtfparse is asked for exon and CDS rows and their transcripts
only; gffutils, which takes minutes, gets the first tenth of the lines, and its time is scaled. Prints a Markdown table.
"""

import argparse
import itertools
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from simcsp.console import run_script, say

GFFUTILS_SHARE = 10

# Name → what it imports, and the expression that reads `path` and counts its transcripts.
READERS = {
    "simcsp": (
        "from pathlib import Path; from simcsp.sequence.annotation import read_annotation",
        "len(read_annotation(Path(path)).transcripts)",
    ),
    "simcsp, MANE_Select only": (
        "from pathlib import Path; from simcsp.sequence.annotation import read_annotation",
        "len(read_annotation(Path(path), tags=('MANE_Select',)).transcripts)",
    ),
    "gtfparse": (
        "from gtfparse import read_gtf",
        "read_gtf(path, features={'exon', 'CDS'}, usecols=['seqname', 'start', 'end', 'strand', 'feature', "
        "'transcript_id', 'gene_id'])['transcript_id'].nunique()",
    ),
    "gffutils": (
        "import gffutils",
        "gffutils.create_db(path, ':memory:', disable_infer_genes=True, disable_infer_transcripts=True)"
        ".count_features_of_type('transcript')",
    ),
}

_CHILD = """
import resource, sys, time
{imports}
path = sys.argv[1]
start = time.perf_counter()
transcripts = {expression}
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(f"{{seconds:.1f}} {{peak / 1e9:.2f}} {{transcripts}}")
"""


def main() -> None:
    """Write the file and time every reader on it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=3_000_000, help="lines of the file")
    lines = parser.parse_args().lines
    with TemporaryDirectory() as folder:
        whole, tenth = Path(folder) / "whole.gtf", Path(folder) / "tenth.gtf"
        write_gtf(whole, lines)
        write_gtf(tenth, lines // GFFUTILS_SHARE)
        say(f"{lines:,} lines, {whole.stat().st_size / 1e9:.2f} GB\n")
        say("| reader | lines | seconds | peak GB | transcripts |\n|---|---|---|---|---|")
        for name in READERS:
            say(_row(name, tenth, lines // GFFUTILS_SHARE) if name == "gffutils" else _row(name, whole, lines))


def write_gtf(path: Path, lines: int) -> None:
    """Write the first ``lines`` rows of a simulated GENCODE release."""
    with path.open("w") as stream:
        stream.write("##description: simulated\n##provider: GENCODE\n##format: gtf\n")
        stream.writelines(itertools.islice(_release(random.Random(0)), lines))  # noqa: S311


def _row(name: str, path: Path, lines: int) -> str:
    imports, expression = READERS[name]
    code = _CHILD.format(imports=imports, expression=expression)
    child = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    if "ModuleNotFoundError" in child.stderr:
        return f"| {name} | not installed: pip install {name} | | | |"
    child.check_returncode()
    seconds, peak, transcripts = child.stdout.split()
    scaled = f" (scaled to all lines: {float(seconds) * GFFUTILS_SHARE:.0f})" if name == "gffutils" else ""
    return f"| {name} | {lines:,} | {seconds}{scaled} | {peak} | {int(transcripts):,} |"


def _release(rng: random.Random) -> Iterator[str]:
    """Rows of genes without end, in the order of GENCODE: gene, then each transcript with its parts."""
    position = dict.fromkeys([*range(1, 23), "X"], 10_000)
    for number in itertools.count(1):
        contig = list(position)[number // 2_800 % len(position)]
        yield from _gene(rng, f"chr{contig}", position[contig], number)
        position[contig] += rng.randint(5_000, 60_000)


def _gene(rng: random.Random, contig: str, start: int, number: int) -> Iterator[str]:
    coding = rng.random() < 0.32
    kind = "protein_coding" if coding else "lncRNA"
    gene = f'gene_id "ENSG{number:011d}.{number % 9 + 1}"; '
    named = f'gene_type "{kind}"; gene_name "GENE{number}"; '
    strand = rng.choice("+-")
    ending = f"\t.\t{strand}\t.\t{gene}"
    yield f'{contig}\tHAVANA\tgene\t{start}\t{start + 60_000}{ending}{named}level 2; hgnc_id "HGNC:{number}";\n'
    for index in range(rng.randint(1, 4) if not coding else rng.randint(3, 11)):
        identity = number * 16 + index
        tags = 'tag "basic"; ' + ('tag "Ensembl_canonical"; ' if index == 0 else "")
        tags += 'tag "MANE_Select"; tag "appris_principal_1"; tag "CCDS"; ' if index == 0 and coding else ""
        shared = (
            f'{gene}transcript_id "ENST{identity:011d}.2"; {named}transcript_type "{kind}"; '
            f'transcript_name "GENE{number}-{201 + index}"; '
        )
        tail = f'level 2; transcript_support_level "1"; hgnc_id "HGNC:{number}"; {tags}'
        tail += f'havana_gene "OTTHUMG{number:011d}.2"; havana_transcript "OTTHUMT{identity:011d}.1";\n'
        if coding:
            tail = f'level 2; protein_id "ENSP{identity:011d}.3"; ' + tail.removeprefix("level 2; ")
        yield from _transcript(rng, contig, start, strand, shared, tail, coding=coding)


def _transcript(
    rng: random.Random, contig: str, start: int, strand: str, shared: str, tail: str, *, coding: bool
) -> Iterator[str]:
    exons = []
    for _ in range(rng.randint(2, 14) if coding else rng.randint(1, 5)):
        exons.append((start, start + rng.randint(50, 300)))
        start = exons[-1][1] + rng.randint(100, 8_000)
    if strand == "-":
        exons.reverse()

    def row(feature: str, first: int, last: int, number: int = 0, frame: str = ".") -> str:
        exon = f'exon_number {number}; exon_id "ENSE{first:011d}.1"; ' if number else ""
        return f"{contig}\tHAVANA\t{feature}\t{first}\t{last}\t.\t{strand}\t{frame}\t{shared}{exon}{tail}"

    yield row("transcript", min(exons)[0], max(exons)[1])
    middle = range(1, len(exons) - 1) if len(exons) > 3 else range(len(exons))
    for number, (first, last) in enumerate(exons, 1):
        yield row("exon", first, last, number)
        if coding and number - 1 in middle:
            yield row("CDS", first, last, number, "0")
    if coding:
        yield row("start_codon", exons[0][0], exons[0][0] + 2, 1, "0")
        yield row("UTR", *exons[0], 1)


if __name__ == "__main__":
    run_script(main)
