"""The truth here is plain Python on letters: slices of strings, no tokens and no arrays."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcsp.config import DataConfig
from simcsp.datasets.readers.records import Sequences, encode_records
from simcsp.datasets.readers.site_place import PAIRS, check_decoys, find_site, locate
from simcsp.errors import InputError
from simcsp.tally import Tally

DONOR, ACCEPTOR = 0, 1
WINDOW = 20
RECORDS = st.lists(st.text("ACGTN", min_size=WINDOW, max_size=WINDOW + 9), min_size=1, max_size=12)


def encoded(records: list[str]) -> Sequences:
    labelled = ((2 * number + 1, letters.encode(), 0) for number, letters in enumerate(records))
    return encode_records(Path("x.txt"), labelled, DataConfig(window=WINDOW), Tally("windows", "x"))


def all_rows(sequences: Sequences) -> np.ndarray:
    return np.arange(len(sequences.line))


def with_pair(pair: str, at: int, length: int) -> str:
    """Letters with this dinucleotide at one offset and no G elsewhere."""
    return "".join(("C" * at, pair, "T" * (length - at - 2)))


def test_the_dinucleotides_are_those_of_the_field() -> None:
    assert PAIRS == ("GT", "AG")


@settings(deadline=None)
@given(records=RECORDS, site_type=st.sampled_from([DONOR, ACCEPTOR]))
def test_the_place_found_is_the_one_with_most_dinucleotides(records: list[str], site_type: int) -> None:
    shares = {}
    for shift in range(-4, 5):
        offsets = [len(letters) // 2 - 1 + shift for letters in records]
        hits = [letters[at : at + 2] == PAIRS[site_type] for letters, at in zip(records, offsets, strict=True)]
        shares[shift] = sum(hits) / len(hits)
    sequences = encoded(records)
    place = locate(sequences, all_rows(sequences), site_type)
    assert place.share == pytest.approx(max(shares.values()))
    assert shares[place.shift] == max(shares.values())
    assert abs(place.shift) == min(abs(shift) for shift, share in shares.items() if share == max(shares.values()))


@pytest.mark.parametrize(
    ("offset", "length", "shift"), [(300, 602, 0), (200, 400, 1), (198, 400, -1), (300, 600, 1), (14, 31, 0)]
)
def test_places_of_published_files_as_shifts(offset: int, length: int, shift: int) -> None:
    sequences = encoded([with_pair("GT", offset, length)])
    assert locate(sequences, all_rows(sequences), DONOR) == (shift, 1.0)


def test_only_the_rows_asked_for_decide_the_place() -> None:
    sequences = encoded([with_pair("GT", 9, 20), with_pair("GT", 11, 20), with_pair("GT", 11, 20)])
    assert locate(sequences, np.array([0]), DONOR).shift == 0
    assert locate(sequences, np.array([0, 1, 2]), DONOR) == (2, 2 / 3)


def test_half_of_the_windows_must_have_the_dinucleotide_at_one_place() -> None:
    sites, others = [with_pair("GT", 8, 20)] * 2, ["C" * 20] * 3
    sequences = encoded([*sites, *others[:2]])
    assert find_site(sequences, all_rows(sequences), DONOR) == (-1, 0.5)
    sequences = encoded([*sites, *others])
    with pytest.raises(
        InputError, match=r"only 40\.0% .* GT at one place within 4 nt .*Check that these are donor windows"
    ):
        find_site(sequences, all_rows(sequences), DONOR)


def test_donors_are_no_acceptors_though_most_have_ag_before_their_gt() -> None:
    exonic = "".join(("C" * 9, "AGGT", "C" * 7))
    sequences = encoded([exonic, exonic, with_pair("GT", 11, 20)])
    assert find_site(sequences, all_rows(sequences), DONOR) == (2, 1.0)
    problem = r"only 66\.7% of the windows have AG .* They look like donor windows: GT at offset 11 of 20, 100\.0%"
    with pytest.raises(InputError, match=problem):
        find_site(sequences, all_rows(sequences), ACCEPTOR)


def test_decoys_need_the_dinucleotide_where_the_sites_have_it_more_often_than_by_chance() -> None:
    here, there, nowhere = with_pair("GT", 9, 20), with_pair("GT", 10, 20), "C" * 20
    site = find_site(encoded([here]), np.array([0]), DONOR)
    sequences = encoded([here, *[nowhere] * 9])
    assert check_decoys(sequences, all_rows(sequences), DONOR, site) == (0, 0.1)
    sequences = encoded([here, *[there] * 10])
    with pytest.raises(InputError, match=r"only 9\.1% of the decoys .* have GT at offset 10 of 20, 90\.9% at best"):
        check_decoys(sequences, all_rows(sequences), DONOR, site)
    sequences = encoded([nowhere])
    with pytest.raises(InputError, match=r"only 0\.0% of the decoys .* Decoys are sequences with GT at the centre"):
        check_decoys(sequences, all_rows(sequences), DONOR, site)
