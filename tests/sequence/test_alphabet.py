import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simcsp.sequence.alphabet import (
    VOCABULARY,
    decode,
    encode,
    reverse_complement,
    with_special_tokens,
)

# vocab.txt of the published SpliceBERT models, line by line
PUBLISHED = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "N", "A", "C", "G", "T"]
# IUPAC-IUB symbols for nucleotides (NC-IUB 1984) that stand for two or three of them
AMBIGUOUS = set("RYSWKMBDHV")


def naive_id(letter: str) -> int:
    upper = letter.upper()
    if upper in AMBIGUOUS:
        upper = "N"
    if upper == "U":
        upper = "T"
    return PUBLISHED.index(upper) if upper in PUBLISHED else PUBLISHED.index("[UNK]")


def reverse_complement_of_string(letters: str) -> str:
    return letters.translate(str.maketrans("ACGT", "TGCA"))[::-1]


nucleotides = st.text("ACGTN", max_size=60)


def test_token_ids_are_those_of_the_published_vocabulary() -> None:
    assert list(VOCABULARY) == PUBLISHED


def test_every_byte_gets_the_id_of_its_letter() -> None:
    every = bytes(range(256))
    assert encode(every).tokens.tolist() == [naive_id(letter) for letter in every.decode("latin-1")]


@given(st.text("ACGTNacgtnUuRYSWKMBDHVryv-*.EFX 5", max_size=80))
def test_changed_and_unreadable_letters_are_counted(letters: str) -> None:
    encoded = encode(letters.encode("ascii"))
    assert encoded.ambiguous == sum(letter.upper() in AMBIGUOUS for letter in letters)
    assert encoded.unknown == sum(letter.upper() not in {*AMBIGUOUS, *"ACGTUN"} for letter in letters)


def test_a_written_n_is_not_counted_as_changed() -> None:
    encoded = encode(b"NnR-")
    assert (encoded.tokens.tolist(), encoded.ambiguous, encoded.unknown) == ([5, 5, 5, 1], 1, 1)


@given(nucleotides)
def test_decoding_gives_back_what_was_encoded(letters: str) -> None:
    assert decode(encode(letters.encode("ascii")).tokens) == letters


@given(nucleotides)
def test_lower_case_and_rna_are_read_as_upper_case_dna(letters: str) -> None:
    written = letters.replace("T", "U").lower().encode("ascii")
    assert encode(written).tokens.tolist() == encode(letters.encode("ascii")).tokens.tolist()


def test_special_tokens_are_decoded_as_question_marks() -> None:
    assert decode(np.arange(12, dtype=np.uint8)) == "?????NACGT??"


@given(nucleotides)
def test_reverse_complement_equals_that_of_the_string_and_undoes_itself(letters: str) -> None:
    tokens = encode(letters.encode("ascii")).tokens
    turned = reverse_complement(tokens)
    assert decode(turned) == reverse_complement_of_string(letters)
    assert reverse_complement(turned).tolist() == tokens.tolist()


def test_reverse_complement_turns_each_row_of_a_batch() -> None:
    rows = ["AACGN", "GTTTT"]
    batch = np.stack([encode(row.encode()).tokens for row in rows])
    assert [decode(row) for row in reverse_complement(batch)] == ["NCGTT", "AAAAC"]


def test_windows_are_framed_by_cls_and_sep() -> None:
    batch = np.array([[6, 7, 5], [8, 9, 9]], dtype=np.uint8)
    framed = with_special_tokens(batch)
    assert framed.tolist() == [[2, 6, 7, 5, 3], [2, 8, 9, 9, 3]]
    assert framed.dtype == np.uint8


def test_an_empty_batch_is_framed() -> None:
    assert with_special_tokens(np.empty((0, 7), dtype=np.uint8)).shape == (0, 9)


@pytest.mark.parametrize("token", [0, 1, 2, 3, 4, 10])
def test_framing_refuses_what_is_neither_nucleotide_nor_n(token: int) -> None:
    batch = np.full((3, 4), 6, dtype=np.uint8)
    batch[1, 2] = token
    with pytest.raises(ValueError, match="neither a nucleotide nor N"):
        with_special_tokens(batch)
