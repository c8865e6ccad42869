from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simcsp.config import ChunkConfig, CorpusSource, DataConfig
from simcsp.datasets import exposure as exposure_module
from simcsp.datasets.corpus import write_corpus
from simcsp.datasets.exposure import exposed_windows, exposure_record
from simcsp.sequence.alphabet import Tokens, decode, encode, reverse_complement

EVERYTHING = ChunkConfig(max_n=1.0, min_entropy=0.0)


def corpus_of(folder: Path, species: dict[str, list[str]]) -> Path:
    for name, lines in species.items():
        (folder / name).write_text("".join(f"{line}\n" for line in lines))
    sources = tuple(CorpusSource(format="text", species=name, sequences=Path(name)) for name in species)
    (folder / "corpus").mkdir()
    write_corpus(DataConfig(root=folder, window=20, corpus=sources, chunks=EVERYTHING), folder / "corpus", folder)
    return folder / "corpus"


def windows_of(*letters: str) -> Tokens:
    return np.stack([encode(text.encode()).tokens for text in letters])


def dna(length: int, seed: int) -> str:
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), length))


def test_a_window_is_exposed_if_its_centre_is_in_the_corpus_on_either_strand(tmp_path: Path) -> None:
    here, there, nowhere, near = (dna(100, seed) for seed in range(4))
    turned = decode(reverse_complement(encode(there.encode()).tokens))
    changed = near[:18] + ("A" if near[18] != "A" else "C") + near[19:]  # the first nucleotide of the central 64
    corpus = corpus_of(tmp_path, {"human": [dna(30, 9) + here[18:82], changed], "mouse": [turned + dna(500, 8), here]})
    exposure = exposed_windows(windows_of(here, there, nowhere, near), corpus)
    assert exposure.exposed.tolist() == [True, True, False, False]
    assert exposure.by_species == {"human": 1, "mouse": 2}
    record = exposure_record(exposure, np.array([0, 1, 1, 2], dtype=np.int8))
    assert (record["windows"], record["of"], record["per part"]) == (2, 4, [1, 1, 0])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), piece=st.integers(70, 400))
def test_pieces_of_any_length_find_what_a_search_in_strings_finds(
    tmp_path_factory: pytest.TempPathFactory, seed: int, piece: int
) -> None:
    rng = np.random.default_rng(seed)
    lines = [dna(int(rng.integers(70, 600)), seed + number) for number in range(3)]
    cuts = [(line, int(rng.integers(0, len(line) - 69))) for line in lines]
    windows = [line[start : start + 70] for line, start in cuts] + [dna(70, seed + 50)]
    windows[1] = decode(reverse_complement(encode(windows[1].encode()).tokens))
    corpus = corpus_of(tmp_path_factory.mktemp("corpus"), {"x": lines})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exposure_module, "_PIECE", piece)
        exposed = exposed_windows(windows_of(*windows), corpus).exposed
    text = "|".join([*lines, *(decode(reverse_complement(encode(line.encode()).tokens)) for line in lines)])
    assert exposed.tolist() == [window[3:67] in text for window in windows] == [True, True, True, False]


def test_windows_shorter_than_a_probe_are_looked_for_as_a_whole(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, {"x": [dna(100, 1)]})
    exposed = exposed_windows(windows_of(dna(100, 1)[30:60], dna(30, 2)), corpus).exposed
    assert exposed.tolist() == [True, False]
