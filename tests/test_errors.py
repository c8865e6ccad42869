import pickle
from pathlib import Path

import pytest

from simcsp.errors import InputError


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (InputError("it is wrong"), "it is wrong."),
        (InputError("it is wrong", hint="Mend it"), "it is wrong. Mend it."),
        (InputError("it is wrong", hint="Did you mean that?"), "it is wrong. Did you mean that?"),
        (InputError("it is wrong", path=Path("a.txt")), "a.txt: it is wrong."),
        (InputError("it is wrong", path="a.txt", line=3, hint="Mend it"), "a.txt, line 3: it is wrong. Mend it."),
    ],
)
def test_an_error_names_file_line_fault_and_way_out(error: InputError, sentence: str) -> None:
    assert str(error) == sentence


def test_the_sentence_survives_the_way_between_processes() -> None:
    error = InputError("it is wrong", path="a.txt", line=3, hint="Mend it")
    error.add_note("seen elsewhere")
    received = pickle.loads(pickle.dumps(error))
    assert type(received) is InputError
    assert str(received) == "a.txt, line 3: it is wrong. Mend it."
