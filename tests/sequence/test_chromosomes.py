from collections import Counter

import pytest

from simcsp.sequence.chromosomes import chromosomes, nuclear

# Nuclear chromosomes together, as published; ce11 and sacCer3 less their mitochondria of 13,794 and 85,779 nt.
GENOME_SIZES = {
    "hg19": 3_095_677_412,
    "hg38": 3_088_269_832,
    "hs1": 3_117_275_501,
    "mm10": 2_725_521_370,
    "mm39": 2_723_414_844,
    "danRer11": 1_345_101_833,
    "dm6": 137_547_960,
    "ce11": 100_286_401 - 13_794,
    "sacCer3": 12_157_105 - 85_779,
    "TAIR10": 119_146_348,
}


@pytest.mark.parametrize(("assembly", "size"), GENOME_SIZES.items())
def test_chromosomes_add_up_to_the_published_size_of_the_genome(assembly: str, size: int) -> None:
    assert sum(chromosome.length for chromosome in nuclear() if chromosome.assembly == assembly) == size


def test_no_two_chromosomes_have_the_same_length() -> None:
    lengths = Counter(chromosome.length for chromosome in nuclear())
    assert max(lengths.values()) == 1
    assert len(lengths) == 4 * 24 + 3 * 21 + 2 * 25 + (6 + 7) + 2 * 6 + 16 + 5  # one term for each table


def test_accessions_are_those_of_one_chromosome() -> None:
    names: dict[str, set[tuple[str, int]]] = {}
    for chromosome in chromosomes():
        names.setdefault(chromosome.accession, set()).add((chromosome.name, chromosome.length))
    del names["-"]
    assert max(map(len, names.values())) == 1
    assert names["NC_000001.11"] == {("1", 248_956_422)}
    assert names["NC_000023.10"] == {("X", 155_270_560)}
    for assembly, first in (("hg19", 1), ("hg38", 1), ("mm39", 67), ("danRer11", 7112)):  # numbered as chromosomes are
        numbers = [int(each.accession[3:9]) for each in nuclear() if each.assembly == assembly]
        assert numbers == list(range(first, first + len(numbers)))
