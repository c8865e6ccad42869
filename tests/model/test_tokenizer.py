import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from transformers import AutoTokenizer, BertTokenizer

from simcsp.errors import InputError
from simcsp.model.tokenizer import check_vocabulary, export_tokenizer
from simcsp.sequence.alphabet import UNK, VOCABULARY, encode, with_special_tokens

LETTERS = "ACGTUNRYSWKMBDHV"
REORDERED = (*VOCABULARY[:5], "A", "C", "G", "T", "N")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("tokenizer")
    export_tokenizer(target, longest=402)
    return target


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(folder)


def by_table(sequence: str) -> list[int]:
    """Ids by the look-up table that training uses."""
    ids: list[int] = with_special_tokens(encode(sequence.encode()).tokens[None])[0].tolist()
    return ids


@settings(deadline=None)
@given(st.text(alphabet=LETTERS + LETTERS.lower(), max_size=150))
def test_ids_are_those_of_the_table_with_and_without_spaces(tokenizer: Any, sequence: str) -> None:
    assert tokenizer(sequence).input_ids == by_table(sequence)
    assert tokenizer(" ".join(sequence)).input_ids == by_table(sequence)


@settings(deadline=None)
@given(st.text(alphabet=LETTERS + "acgun" + "EFXZez-.*?123", min_size=1, max_size=60))
def test_what_is_no_nucleotide_is_unknown_to_both(tokenizer: Any, sequence: str) -> None:
    assert tokenizer(sequence, add_special_tokens=False).input_ids == encode(sequence.encode()).tokens.tolist()


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("A C G T N", [2, 6, 7, 8, 9, 5, 3]),
        ("ACGTN", [2, 6, 7, 8, 9, 5, 3]),
        ("acgun", [2, 6, 7, 8, 9, 5, 3]),
        ("AC[MASK]GT", [2, 6, 7, 4, 8, 9, 3]),
        ("A C [MASK] G T", [2, 6, 7, 4, 8, 9, 3]),
        ("RyWb", [2, 5, 5, 5, 5, 3]),
        ("", [2, 3]),
    ],
)
def test_known_texts_get_known_ids(tokenizer: Any, text: str, ids: list[int]) -> None:
    assert tokenizer(text).input_ids == ids


def test_batches_are_padded_with_a_mask(tokenizer: Any) -> None:
    batch = tokenizer(["AC", "ACGT"], padding=True)
    assert batch.input_ids == [[2, 6, 7, 3, 0, 0], [2, 6, 7, 8, 9, 3]]
    assert batch.attention_mask == [[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1]]
    assert set(batch) == {"input_ids", "attention_mask"}


def test_special_tokens_and_longest_input_are_stored(tokenizer: Any) -> None:
    names = ("pad", "unk", "cls", "sep", "mask")
    assert [getattr(tokenizer, f"{name}_token_id") for name in names] == [0, 1, 2, 3, 4]
    assert tokenizer.model_max_length == 402
    assert tokenizer.convert_ids_to_tokens(list(range(10))) == list(VOCABULARY)


def test_files_serve_readers_that_mend_nothing(folder: Path) -> None:
    alone = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert alone.encode("ac[MASK]gu N").ids == [2, 6, 7, 4, 8, 9, 5, 3]
    stored = json.loads((folder / "tokenizer_config.json").read_text())
    assert stored["tokenizer_class"] == "PreTrainedTokenizerFast"  # known to transformers 4 and 5
    assert stored["model_input_names"] == ["input_ids", "attention_mask"]


@settings(deadline=None)
@given(st.text(alphabet="ACGT", min_size=2, max_size=400))
def test_published_tokenizer_hides_unspaced_dna_and_ours_never_does(folder: Path, sequence: str) -> None:
    published = BertTokenizer(vocab=str(folder / "vocab.txt"), do_lower_case=False)
    assert published(sequence).input_ids == [2, 1, 3]
    assert published(" ".join(sequence)).input_ids == by_table(sequence)
    assert UNK not in by_table(sequence)


def test_a_window_with_an_unknown_token_is_never_framed() -> None:
    with pytest.raises(ValueError, match="neither a nucleotide nor N"):
        with_special_tokens(np.array([[6, 7, UNK]], dtype=np.uint8))


def wordpiece(vocabulary: Any) -> str:
    return json.dumps({"model": {"type": "WordPiece", "vocab": vocabulary}})


def test_exported_and_published_vocabularies_are_accepted(folder: Path, tmp_path: Path) -> None:
    check_vocabulary(folder, 10)
    check_vocabulary(tmp_path, 10)  # a checkpoint without a tokenizer
    (tmp_path / "vocab.txt").write_bytes("\r\n".join(VOCABULARY).encode())
    (tmp_path / "tokenizer.json").write_text(wordpiece({token: i for i, token in enumerate(VOCABULARY)}))
    check_vocabulary(tmp_path, 10)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("vocab.txt", "\n".join(REORDERED)),
        ("vocab.txt", "\n".join(VOCABULARY[:-1])),
        ("vocab.txt", "\n".join(VOCABULARY).lower()),
        ("vocab.txt", "\xff\xfe"),
        ("tokenizer.json", wordpiece({token: i for i, token in enumerate(REORDERED)})),
        ("tokenizer.json", wordpiece({token: 2 * i for i, token in enumerate(VOCABULARY)})),
        ("tokenizer.json", wordpiece([[token, 0.0] for token in VOCABULARY])),
        ("tokenizer.json", wordpiece({})),
        ("tokenizer.json", "{}"),
        ("tokenizer.json", "[1]"),
        ("tokenizer.json", '{"model"'),
    ],
)
def test_other_vocabularies_are_refused_with_the_name_of_the_file(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=rf"{name}: the tokens are not SpliceBERT's.*Needed: \[PAD\] \[UNK\]"):
        check_vocabulary(tmp_path, 10)


@pytest.mark.parametrize("size", [9, 11, 30522])
def test_another_size_of_vocabulary_is_refused(tmp_path: Path, size: int) -> None:
    with pytest.raises(InputError, match=rf"config.json: a vocabulary of {size} tokens; 10 are needed"):
        check_vocabulary(tmp_path, size)
