import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from torch import Tensor

from simcsp.config import EncoderConfig, PhaseConfig, PretrainConfig, ViewConfig
from simcsp.datasets.corpus import Corpus
from simcsp.datasets.pairs import LabelledPairs
from simcsp.datasets.windows import WindowTable, window_table
from simcsp.errors import InputError
from simcsp.model.encoder import load_encoder
from simcsp.model.objectives import PretrainingObjective
from simcsp.sequence.alphabet import CLS, FIRST_NUCLEOTIDE, MASK, SEP, VOCABULARY, A, C, decode
from simcsp.training.batches import Batch, EpochBatches, PretrainingBatches, UnspacedBatches

LENGTH = 12  # of the corpus's windows
Unmasked = Callable[[Batch], tuple[Tensor, Tensor]]
MLM = PhaseConfig(batch_size=5)
SIMCSP = PhaseConfig(batch_size=5, mlm_weight=0.0, contrastive_weight=1.0)
BOTH = PhaseConfig(batch_size=5, mlm_weight=1.0, contrastive_weight=1.0)
SETTINGS = PretrainConfig(mask_share=0.3)
PHASES = pytest.mark.parametrize("phase", [MLM, SIMCSP, BOTH], ids=["mlm", "simcsp", "both"])


def equal(left: Batch, right: Batch) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def is_pure(batches: PretrainingBatches | EpochBatches, steps: Sequence[int]) -> bool:
    """Asking in another order, and twice, gives the same batches."""
    first = {step: batches(step) for step in steps}
    return all(equal(batches(step), first[step]) for step in reversed(steps))


@PHASES
def test_pretraining_batch_depends_on_seed_and_step_only(corpus: Corpus, phase: PhaseConfig) -> None:
    batches = PretrainingBatches(corpus, phase, SETTINGS, seed=1)
    assert is_pure(batches, [7, 0, 3])
    assert equal(batches(3), PretrainingBatches(corpus, phase, SETTINGS, seed=1)(3))
    assert not equal(batches(3), batches(4))
    assert not equal(batches(3), PretrainingBatches(corpus, phase, SETTINGS, seed=2)(3))


@PHASES
def test_windows_are_of_the_corpus_between_cls_and_sep(corpus: Corpus, phase: PhaseConfig, unmasked: Unmasked) -> None:
    batch = PretrainingBatches(corpus, phase, SETTINGS, seed=1)(0)
    parts = {"tokens": torch.uint8, "places": torch.int64, "targets": torch.uint8, "weight": torch.float32}
    for name in ("places", "targets", "weight") if phase is SIMCSP else ():
        del parts[name]
    if phase is not MLM:
        parts["origin"] = torch.int64
    assert {name: part.dtype for name, part in batch.items()} == parts
    original, _ = unmasked(batch)
    for part in (original, batch["tokens"]):
        assert part.shape == (5, 1 if phase is MLM else 2, LENGTH + 2)
        assert (part[..., 0] == CLS).all()
        assert (part[..., -1] == SEP).all()
    sequence = np.fromfile(corpus_file(corpus), dtype=np.uint8).tobytes()
    for row in original[..., 1:-1].flatten(0, 1).numpy():
        assert row.tobytes() in sequence


def corpus_file(corpus: Corpus) -> str:
    return str(corpus._tokens.filename)  # type: ignore[attr-defined]


def test_without_mlm_nothing_is_hidden_and_nothing_asked(corpus: Corpus) -> None:
    batch = PretrainingBatches(corpus, SIMCSP, SETTINGS, seed=1)(0)
    assert batch.keys() == {"tokens", "origin"}
    assert not (batch["tokens"] == MASK).any()


@pytest.mark.parametrize("phase", [SIMCSP, BOTH], ids=["simcsp", "both"])
def test_contrastive_batch_holds_two_views_of_each_window(
    corpus: Corpus, phase: PhaseConfig, unmasked: Unmasked
) -> None:
    first, second = unmasked(PretrainingBatches(corpus, phase, SETTINGS, seed=1)(0))[0].unbind(1)
    assert torch.equal(first, second)
    assert len(torch.unique(first, dim=0)) == 5


def test_both_views_are_masked_each_in_its_own_way(corpus: Corpus, unmasked: Unmasked) -> None:
    first, second = unmasked(PretrainingBatches(corpus, BOTH, SETTINGS, seed=1)(0))[1].unbind(1)
    assert first.any()
    assert second.any()
    assert not torch.equal(first, second)


def test_origin_says_which_windows_overlap_and_which_are_alike(corpus: Corpus) -> None:
    batch = PretrainingBatches(corpus, PhaseConfig(batch_size=60, contrastive_weight=1.0, mlm_weight=0.0), SETTINGS, 1)(
        0
    )
    tokens, origin = batch["tokens"][:, 0, 1:-1].numpy(), batch["origin"].numpy()
    stored = np.fromfile(corpus_file(corpus), dtype=np.uint8)
    for window, (contig, start, end, _) in zip(tokens, origin, strict=True):
        assert contig == 0
        assert np.array_equal(stored[start:end], window)
    same_sequence = origin[:, None, 3] == origin[None, :, 3]
    assert np.array_equal(same_sequence, (tokens[:, None] == tokens[None]).all(axis=-1))


def test_soft_masked_bases_weigh_what_the_settings_say(soft_corpus: Corpus) -> None:
    settings = PretrainConfig(soft_masked_weight=0.25)
    batch = PretrainingBatches(soft_corpus, PhaseConfig(batch_size=20, contrastive_weight=1.0), settings, seed=1)(0)
    asked_for = batch["weight"] > 0
    weights, targets = batch["weight"][asked_for], batch["targets"][asked_for]
    # The corpus of the fixture writes A and C in lower case, on whichever strand it is read.
    assert torch.equal(weights == 0.25, torch.isin(targets, torch.tensor([A, C])))
    assert set(weights.tolist()) == {0.25, 1.0}


def test_unspaced_windows_are_what_the_published_tokenizer_makes_of_them(corpus: Corpus) -> None:
    """WordPiece over single letters without continuations, as in the published tokenizer.json; see its length limit."""
    numbers = {token: number for number, token in enumerate(VOCABULARY)}
    model = WordPiece(numbers, unk_token=VOCABULARY[1], max_input_chars_per_word=100)
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)]
    )
    plain = PretrainingBatches(corpus, SIMCSP, SETTINGS, seed=1)
    windows = plain(0)["tokens"][:, 0, 1:-1].numpy()
    assert tokenizer.encode(" ".join(decode(windows[0]))).ids[1:-1] == windows[0].tolist()  # spaced, it reads DNA
    for window in windows:
        for letters in (decode(window), 50 * decode(window)):
            assert tokenizer.encode(letters).ids == [2, 1, 3]
    batch = UnspacedBatches(plain)(0)
    assert batch["tokens"].tolist() == 5 * [2 * [[2, 1, 3]]]
    assert torch.equal(batch["origin"], plain(0)["origin"])


def test_unspaced_windows_cannot_be_told_apart_but_by_dropout(corpus: Corpus) -> None:
    """Whatever the encoder, its best guess is one of five: a loss of ln 5."""
    encoder = load_encoder(EncoderConfig(hidden=16, layers=1, heads=2, intermediate=32, pooling="cls"), 14, seed=0)
    objective = PretrainingObjective(encoder, SIMCSP, pooling="cls", layer=-1).eval()
    plain = PretrainingBatches(corpus, SIMCSP, SETTINGS, seed=1)
    blind = UnspacedBatches(plain)
    with torch.inference_mode():
        assert torch.equal(*objective.views(blind(0)["tokens"]))
        assert torch.equal(objective.views(blind(0)["tokens"])[0], objective.views(blind(9)["tokens"])[0])
        assert not torch.equal(objective.views(plain(0)["tokens"])[0], objective.views(plain(9)["tokens"])[0])
        no_relatives = {"origin": torch.arange(20).reshape(5, 4) * 100}
        loss = objective(**{**blind(0), **no_relatives})["loss"]
    assert float(loss) == pytest.approx(math.log(5), abs=1e-5)


def test_lengths_are_even_and_cover_the_range_and_each_batch_has_one(soft_corpus: Corpus) -> None:
    batches = PretrainingBatches(soft_corpus, MLM, PretrainConfig(lengths=(20, 30)), seed=1)
    lengths = [batches(step)["tokens"].shape[-1] - 2 for step in range(100)]
    assert set(lengths) == set(range(20, 31, 2))
    assert is_pure(batches, [5, 2])


def test_mlm_asks_for_the_share_it_was_given_and_hides_only_there(corpus: Corpus, unmasked: Unmasked) -> None:
    batches = PretrainingBatches(corpus, PhaseConfig(batch_size=500), SETTINGS, seed=1)
    batch = batches(0)
    original, chosen = unmasked(batch)
    assert float(chosen[..., 1:-1].float().mean()) == pytest.approx(0.3, abs=0.02)
    assert torch.equal(batch["tokens"][~chosen], original[~chosen])
    assert (original >= FIRST_NUCLEOTIDE)[chosen].all()
    assert float((batch["tokens"][chosen] == MASK).float().mean()) == pytest.approx(0.8, abs=0.05)


# --- other views, other windows ------------------------------------------------------------------------------------

VIEWS = ViewConfig(shift=3, mutated=0.5, core=4)
LOOKED_AT = replace(SIMCSP, batch_size=50, views=VIEWS)


def test_second_views_are_moved_and_mutated_outside_of_the_core(corpus: Corpus) -> None:
    batch = PretrainingBatches(corpus, LOOKED_AT, SETTINGS, seed=1)(0)
    stored = np.fromfile(corpus_file(corpus), dtype=np.uint8)
    assert batch.keys() == {"tokens", "origin", "shift"}
    changed = 0
    parts = (batch[name].numpy() for name in ("tokens", "origin", "shift"))
    for views, (_, start, end, _), shift in zip(*parts, strict=True):
        assert end - start == LENGTH + 6  # all that a second view may show, so that no negative overlaps it
        assert shift[0] == 0
        assert 1 <= abs(shift[1]) <= 3
        first, second = (stored[start + 3 - moved : start + 3 - moved + LENGTH] for moved in shift)
        assert np.array_equal(views[0, 1:-1], first)
        core = slice(LENGTH // 2 - 2 + shift[1], LENGTH // 2 + 2 + shift[1])
        assert np.array_equal(views[1, 1:-1][core], second[core])
        assert np.array_equal(second[core], first[LENGTH // 2 - 2 : LENGTH // 2 + 2])
        changed += int((views[1, 1:-1] != second).sum())
    assert changed / (50 * (LENGTH - 4)) == pytest.approx(0.5, abs=0.08)


def test_mlm_asks_for_what_a_mutated_nucleotide_was(corpus: Corpus, unmasked: Unmasked) -> None:
    phase = replace(BOTH, batch_size=50, views=ViewConfig(mutated=0.5, core=4))
    batch = PretrainingBatches(corpus, phase, PretrainConfig(mask_share=0.9), seed=1)(0)
    original, chosen = unmasked(batch)
    first, second = original.unbind(1)
    both = chosen.all(dim=1)
    assert torch.equal(first[both], second[both])


@pytest.mark.parametrize("phase", [LOOKED_AT, replace(LOOKED_AT, mlm_weight=1.0)], ids=["alone", "with mlm"])
def test_other_views_depend_on_seed_and_step_only(corpus: Corpus, phase: PhaseConfig) -> None:
    assert is_pure(PretrainingBatches(corpus, phase, SETTINGS, seed=1), [7, 0, 3])


def test_a_corpus_without_room_for_shifted_views_is_refused(corpus: Corpus) -> None:
    phase = replace(SIMCSP, views=ViewConfig(shift=200))
    with pytest.raises(InputError, match="no region of the corpus is as long as a window of 412 nt"):
        PretrainingBatches(corpus, phase, SETTINGS, seed=1)


def labelled(length: int = 20) -> LabelledPairs:
    rows = np.arange(40)
    table = window_table(
        np.random.default_rng(0).integers(A, A + 4, size=(40, length), dtype=np.uint8),
        label=(rows % 2).astype(np.uint8),
        site_type=(rows // 2 % 2).astype(np.uint8),
        species="x",
        group=[""] * 40,
        origin=[""] * 40,
    )
    return LabelledPairs(table)


LABELS = PhaseConfig(batch_size=8, mlm_weight=0.0, contrastive_weight=1.0, positives="label")


def test_labelled_windows_are_seen_twice_and_of_each_kind_as_often(corpus: Corpus) -> None:
    batches = PretrainingBatches(corpus, LABELS, SETTINGS, 1, labelled())
    assert is_pure(batches, [4, 0])
    batch = batches(0)
    assert batch.keys() == {"tokens", "kind"}
    assert torch.equal(batch["tokens"][:, 0], batch["tokens"][:, 1])
    assert batch["tokens"].shape == (8, 2, 22)
    assert torch.bincount(batch["kind"]).tolist() == [2, 2, 2, 2]


def test_beside_labelled_windows_mlm_learns_from_the_corpus(corpus: Corpus, unmasked: Unmasked) -> None:
    phase = replace(LABELS, mlm_weight=1.0, views=ViewConfig(shift=2))
    batches = PretrainingBatches(corpus, phase, SETTINGS, 1, labelled())
    assert is_pure(batches, [4, 0])
    batch = batches(0)
    assert batch["pairs"].shape == (8, 2, 18)  # what two views two nt apart have in common
    assert not (batch["pairs"] == MASK).any()
    assert batch["shift"].abs().max() <= 2
    original, chosen = unmasked(batch)
    assert original.shape == (8, 1, LENGTH + 2)
    assert chosen.any()
    stored = np.fromfile(corpus_file(corpus), dtype=np.uint8).tobytes()
    assert all(row.tobytes() in stored for row in original[:, 0, 1:-1].numpy())


# --- epochs --------------------------------------------------------------------------------------------------------


def table_of(rows: int) -> WindowTable:
    """Window ``i`` spells its own number in base 4; labels alternate."""
    digits = (np.arange(rows)[:, None] // 4 ** np.arange(4)) % 4
    return window_table(
        (digits + FIRST_NUCLEOTIDE).astype(np.uint8),
        label=(np.arange(rows) % 2).astype(np.uint8),
        site_type=np.zeros(rows, dtype=np.uint8),
        species="x",
        group=[str(row) for row in range(rows)],
        origin=[str(row) for row in range(rows)],
    )


def numbers(tokens: Tensor) -> list[int]:
    return [int(n) for n in ((tokens[:, 1:-1] - FIRST_NUCLEOTIDE) * 4 ** torch.arange(4)).sum(1)]


@settings(deadline=None)
@given(rows=st.integers(1, 200), batch_size=st.integers(2, 40), epoch=st.integers(0, 3))
def test_an_epoch_shows_every_window_once_but_for_the_remainder(rows: int, batch_size: int, epoch: int) -> None:
    batches = EpochBatches(table_of(rows), batch_size, seed=0)
    steps = batches.steps_per_epoch
    shown = [n for step in range(epoch * steps, (epoch + 1) * steps) for n in numbers(batches(step)["tokens"])]
    size = min(batch_size, rows)
    assert len(shown) == len(set(shown)) == rows - rows % size
    assert set(shown) <= set(range(rows))


def test_labels_stay_with_their_windows() -> None:
    batch = EpochBatches(table_of(50), 50, seed=3)(0)
    assert batch["label"].tolist() == [n % 2 for n in numbers(batch["tokens"])]
    assert (batch["tokens"].dtype, batch["label"].dtype) == (torch.uint8, torch.uint8)


def test_windows_of_an_epoch_come_between_cls_and_sep() -> None:
    tokens = EpochBatches(table_of(9), 4, seed=0)(1)["tokens"]
    assert tokens.shape == (4, 6)
    assert (tokens[:, 0] == CLS).all()
    assert (tokens[:, -1] == SEP).all()


def test_order_depends_on_seed_and_epoch_only() -> None:
    batches = EpochBatches(table_of(60), 20, seed=1)
    assert batches.steps_per_epoch == 3
    assert is_pure(batches, [5, 0, 3])
    assert not equal(batches(0), batches(3))  # the next epoch
    assert not equal(batches(0), EpochBatches(table_of(60), 20, seed=2)(0))


def test_the_remainder_is_another_one_in_every_epoch() -> None:
    batches = EpochBatches(table_of(10), 4, seed=1)
    shown = {n for step in range(2 * 8) for n in numbers(batches(step)["tokens"])}
    assert shown == set(range(10))
