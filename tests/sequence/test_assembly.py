from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcsp.errors import InputError
from simcsp.sequence.assembly import (
    explain_mismatch,
    identify,
    match_contigs,
    require_assembly,
    resolve_contigs,
)
from simcsp.sequence.chromosomes import nuclear
from simcsp.tally import Tally

CHR1 = {"hg18": 247_249_719, "hg19": 249_250_621, "hg38": 248_956_422, "hs1": 248_387_328, "mm10": 195_471_971}
FASTA, BED = Path("genome.fa"), Path("sites.bed")


@pytest.mark.parametrize(("assembly", "length"), CHR1.items())
@pytest.mark.parametrize("name", ["chr1", "1", "NC_000001.11", "anything"])
def test_one_chromosome_identifies_the_assembly_whatever_it_is_called(assembly: str, length: int, name: str) -> None:
    assert identify({name: length, "scaffold": 5_000}) == assembly


def test_other_lengths_identify_nothing() -> None:
    assert identify({}) is None
    assert identify({"chr1": CHR1["hg38"] - 1}) is None
    assert identify({"chrM": 16_569}) is None  # that of three human assemblies


def test_most_chromosomes_decide_and_a_tie_does_not() -> None:
    """T2T reads are often aligned to a FASTA that has the chrY of hg38."""
    mixed = {"chr1": CHR1["hs1"], "chrY": 57_227_415}
    assert identify(mixed) is None
    assert identify(mixed | {"chr2": 242_696_752}) == "hs1"


@settings(deadline=None, max_examples=50)
@given(st.sets(st.sampled_from(nuclear()), min_size=1))
def test_the_assembly_with_most_chromosomes_is_named(chromosomes: set[Any]) -> None:
    counts = Counter(chromosome.assembly for chromosome in chromosomes).most_common()
    clear = len(counts) == 1 or counts[0][1] > counts[1][1]
    lengths = {f"contig{number}": chromosome.length for number, chromosome in enumerate(chromosomes)}
    assert identify(lengths) == (counts[0][0] if clear else None)


@pytest.mark.parametrize("name", ["hg38", "GRCh38", "grch38", "GRCh38.p14", None])
def test_an_assembly_may_be_required_by_any_of_its_names(name: str | None) -> None:
    require_assembly({"1": CHR1["hg38"]}, name, FASTA)


@pytest.mark.parametrize(
    ("lengths", "name", "message"),
    [
        ({"chr1": CHR1["hg38"]}, "hg19", "genome.fa: this FASTA is hg38, not hg19: chr1 has 248,956,422 nt."),
        ({"1": CHR1["hg19"]}, "GRCh38", "genome.fa: this FASTA is hg19, not hg38: 1 has 249,250,621 nt."),
        ({"chr1": 1000}, "hg38", "should be hg38, but the lengths of its contigs do not say so"),
        ({"chr1": CHR1["hg38"]}, "hg83", "assembly 'hg83' cannot be checked. Known are hg18, hg19"),
    ],
)
def test_another_assembly_than_required_is_refused(lengths: dict[str, int], name: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        require_assembly(lengths, name, FASTA)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "contig"),
    [
        ("chr1", "chr1"),
        ("1", "chr1"),
        ("chr1", "1"),
        ("Chr1", "1"),
        ("MT", "chrM"),
        ("chrM", "MT"),
        ("MtDNA", "chrM"),
        ("chrX", "NC_000023.11"),
        ("NC_000023.11", "X"),
        ("2L", "NT_033779.5"),
        ("KI270728.1", "chr16_KI270728v1_random"),
        ("chrUn_KI270757v1", "KI270757.1"),
        ("GL000193.1", "chr4_gl000193_random"),
        ("c", "c"),
    ],
)
def test_names_of_one_contig_are_found(name: str, contig: str) -> None:
    lengths = {"NC_000023.11": 156_040_895, "X": 156_040_895}
    assert resolve_contigs([name], {contig: lengths.get(contig, 500), "other": 7}) == ({name: contig}, [])


def test_the_same_name_comes_before_any_other() -> None:
    assert resolve_contigs(["1", "chr1"], {"chr1": 5, "1": 6}) == ({"1": "1", "chr1": "chr1"}, [])
    assert resolve_contigs(["MT", "chrM"], {"chrM": 16_571, "chrMT": 16_569}) == ({"MT": "chrMT", "chrM": "chrM"}, [])


def test_names_that_could_be_two_contigs_or_none_are_unknown() -> None:
    lengths = {"NC_000001.11": CHR1["hg38"], "NC_000067.6": CHR1["mm10"]}  # both are somebody's chromosome 1
    assert resolve_contigs(["chr1", "chr2", "12"], lengths) == ({}, ["chr1", "chr2", "12"])


def test_a_declared_length_finds_the_only_contig_that_has_it() -> None:
    lengths = {"chr1": 900, "scaffold_7": 500, "scaffold_8": 300, "scaffold_9": 300}
    declared = {"1": 900, "CM7.1": 500, "CM8.1": 300, "CM10.1": 200}
    resolved, unknown = resolve_contigs(declared, lengths, declared)
    assert resolved == {"1": "chr1", "CM7.1": "scaffold_7"}
    assert unknown == ["CM8.1", "CM10.1"]
    assert resolve_contigs(["a", "b"], {"c": 5}, {"a": 5, "b": 5}) == ({}, ["a", "b"])
    assert resolve_contigs(["1", "b"], {"chr1": 5}, {"b": 5}) == ({"1": "chr1"}, ["b"])


@pytest.mark.parametrize("name", ["1", "chr1"])
def test_another_declared_length_is_another_assembly(name: str) -> None:
    with pytest.raises(InputError) as caught:
        resolve_contigs([name], {"chr1": CHR1["hg38"]}, {name: CHR1["hg19"]}, BED)
    assert str(caught.value) == (
        f"sites.bed: contig {name} has 249,250,621 nt in hg19, but chr1 of the FASTA has 248,956,422: "
        "this FASTA is hg38. Give files of one assembly, for instance a FASTA of hg19."
    )


def test_a_version_of_an_accession_is_one_assembly() -> None:
    lengths = {"chr1": CHR1["hg38"]}
    assert resolve_contigs(["NC_000001.11"], lengths) == ({"NC_000001.11": "chr1"}, [])
    with pytest.raises(InputError, match=r"NC_000001\.10 has 249,250,621 nt in hg19, but chr1 .* this FASTA is hg38"):
        resolve_contigs(["NC_000001.10"], lengths)
    with pytest.raises(InputError, match="this FASTA is of another assembly"):
        resolve_contigs(["NC_000001.10"], {"chr1": 1_000_000})


def test_the_mitochondrion_of_another_length_is_missing_or_found_by_length() -> None:
    """UCSC's hg19 has NC_001807 as chrM; GRCh37 and newer files of hg19 have the revised sequence."""
    assert resolve_contigs(["chrM"], {"chrM": 16_571}, {"chrM": 16_569}) == ({}, ["chrM"])
    assert resolve_contigs(["NC_012920.1"], {"chrM": 16_571}) == ({}, ["NC_012920.1"])
    both = {"chrM": 16_571, "chrMT": 16_569}
    assert resolve_contigs(["chrM"], both, {"chrM": 16_569}) == ({"chrM": "chrMT"}, [])


@settings(deadline=None)
@given(st.sets(st.integers(1, 22)), st.sets(st.integers(1, 22)), st.booleans())
def test_every_name_is_either_resolved_or_unknown(annotated: set[int], present: set[int], prefixed: bool) -> None:
    names = [f"{'chr' if prefixed else ''}{number}" for number in sorted(annotated)]
    lengths = {f"{'' if prefixed else 'chr'}{number}": number for number in present}
    resolved, unknown = resolve_contigs(names, lengths)
    assert sorted([*resolved, *unknown]) == sorted(names)
    assert {name.removeprefix("chr") for name in resolved} == {str(number) for number in annotated & present}
    assert all(name.removeprefix("chr") == contig.removeprefix("chr") for name, contig in resolved.items())


def matched(names: list[str], lengths: dict[str, int], *, ignore: bool = False) -> tuple[dict[str, str], Tally]:
    tally = Tally("contigs", "genome.fa")
    declared = {"patch": 77}
    return (
        match_contigs(
            names, lengths, declared=declared, fasta=FASTA, path=BED, ignore_missing=ignore, tally=tally
        ),
        tally,
    )  # fmt: skip


def test_translated_names_are_counted() -> None:
    assert matched(["c"], {"c": 5})[1].changed == {}
    assert matched(["1"], {"chr1": 5})[1].changed == {"contig names translated (1 → chr1)": 1}
    resolved, tally = matched(["c", "1", "2"], {"c": 4, "chr1": 5, "chr2": 6})
    assert resolved == {"c": "c", "1": "chr1", "2": "chr2"}
    assert tally.changed == {"contig names translated (1 → chr1, …)": 2}


def test_missing_contigs_stop_unless_they_are_to_be_ignored() -> None:
    names = ["1", "patch"]
    with pytest.raises(InputError) as caught:
        matched(names, {"chr1": 5})
    assert str(caught.value) == (
        "sites.bed: 1 of 2 contigs (patch of 77 nt) are not in genome.fa, which has chr1. "
        "Give matching files, or set ignore_missing_contigs: true to leave these out."
    )
    with pytest.raises(InputError) as caught:
        matched(["I", "II", "X"], {"2L": 7, "X": 5})
    assert str(caught.value) == (
        "sites.bed: 2 of 3 contigs (I, II) are not in genome.fa, which has 2L, X. "
        "The FASTA is probably of another species or assembly: give a matching pair, or, if it is meant to be a part "
        "of the genome, set ignore_missing_contigs: true."
    )
    assert matched(names, {"chr1": 5}, ignore=True)[0] == {"1": "chr1"}
    assert matched(["I", "II", "X"], {"2L": 7, "X": 5}, ignore=True)[0] == {"X": "X"}
    with pytest.raises(InputError, match="have no contig in common"):
        matched(["a", "b"], {"chr1": 5}, ignore=True)


def test_a_mismatch_is_explained_by_what_the_fasta_is_and_what_would_fit() -> None:
    different = "The two files are of different assemblies"
    assert explain_mismatch({"chr1": 500}, {"chr1": 900}) == f"{different}; give a matching pair"
    hg38 = {"chr1": CHR1["hg38"]}
    assert explain_mismatch(hg38, {"1": 249_000_000}) == (
        f"{different}: this FASTA is hg38; the coordinates would fit into hg19"
    )
    assert explain_mismatch(hg38, {"chr1": 248_000_000}).endswith("fit into hg19 or hs1")
    assert explain_mismatch(hg38, {"chr1": 1_000, "2": 1_000}).endswith("fit into hg18, hg19 or hs1")
    assert explain_mismatch(hg38, {"chr1": 300_000_000}) == f"{different}: this FASTA is hg38"
    assert explain_mismatch(hg38, {"scaffold": 3}) == f"{different}: this FASTA is hg38"
