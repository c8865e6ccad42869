"""The truth here is plain Python on letters: slices of strings, no tokens and no arrays."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcsp.config import DataConfig
from simcsp.datasets.readers.centred import centred_windows
from simcsp.datasets.readers.records import Sequences, encode_records
from simcsp.datasets.readers.site_place import Chosen
from simcsp.errors import InputError
from simcsp.sequence.alphabet import decode
from simcsp.tally import Tally

DONOR, ACCEPTOR = 0, 1
WINDOW = 20
RECORDS = st.lists(st.text("ACGTN", min_size=WINDOW, max_size=WINDOW + 9), min_size=1, max_size=12)


def encoded(records: list[str]) -> Sequences:
    labelled = ((2 * number + 1, letters.encode(), 0) for number, letters in enumerate(records))
    return encode_records(Path("x.txt"), labelled, DataConfig(window=WINDOW), Tally("windows", "x"))


def chosen(shifts: list[int], site_type: int = DONOR) -> Chosen:
    rows = np.arange(len(shifts))
    return Chosen(
        rows, np.full(rows.size, site_type, dtype=np.uint8), np.ones_like(rows, dtype=np.uint8), np.array(shifts)
    )


def with_pair(pair: str, at: int, length: int) -> str:
    """Letters with this dinucleotide at one offset and no G elsewhere."""
    return "".join(("C" * at, pair, "T" * (length - at - 2)))


@settings(deadline=None)
@given(records=RECORDS, shifts=st.lists(st.integers(-4, 4), min_size=12, max_size=12))
def test_windows_are_slices_padded_with_n_where_the_record_ends(records: list[str], shifts: list[int]) -> None:
    shifts = shifts[: len(records)]
    expected, lacking = [], []
    for letters, shift in zip(records, shifts, strict=True):
        first = len(letters) // 2 + shift - WINDOW // 2
        before, behind = max(0, -first), max(0, first + WINDOW - len(letters))
        expected.append("N" * before + letters[max(0, first) : first + WINDOW] + "N" * behind)
        lacking.append(max(before, behind))
    sequences = encoded(records)
    if max(lacking) > 2:
        with pytest.raises(InputError, match=rf"lacks {next(nt for nt in lacking if nt > 2)} nt for a window of 20 nt"):
            centred_windows(sequences, chosen(shifts), WINDOW)
    else:
        tokens, padded = centred_windows(sequences, chosen(shifts), WINDOW)
        assert [decode(window) for window in tokens] == expected
        assert padded.tolist() == [nt > 0 for nt in lacking]


def test_a_record_too_short_for_its_window_is_named_with_its_line_and_what_would_do() -> None:
    sequences = encoded(["A" * 30, with_pair("AG", 6, 20), with_pair("AG", 5, 20)])
    with pytest.raises(InputError) as caught:
        centred_windows(sequences, chosen([0, -3, -4], ACCEPTOR), WINDOW)
    assert str(caught.value) == (
        f"{DataConfig().root / 'x.txt'}, line 3: a sequence of 20 nt lacks 3 nt for a window of 20 nt around its AG. "
        "Set data.window to at most 12."
    )


def test_sites_and_windows_of_one_record_do_not_take_from_its_neighbours() -> None:
    sequences = encoded([with_pair("GT", 10, 20), "G" * 20, with_pair("GT", 8, 20)])
    tokens, padded = centred_windows(sequences, chosen([1, 0, -1]), WINDOW)
    assert [decode(window)[9:11] for window in tokens] == ["GT", "GG", "GT"]
    assert [decode(window)[i] for window, i in ((tokens[0], 19), (tokens[2], 0))] == ["N", "N"]
    assert padded.tolist() == [True, False, True]
