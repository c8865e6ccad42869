from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from simcsp.model.mlm import mask_tokens, mlm_loss, mlm_total, questions
from simcsp.model.states import encode
from simcsp.sequence.alphabet import CLS, MASK, SEP, A, N, T, Tokens, with_special_tokens

SHARE = 0.15


@pytest.fixture(scope="module")
def many() -> Tokens:
    """200,000 nucleotides and 10,000 N, framed."""
    letters = np.random.default_rng(0).choice(np.arange(N, T + 1), p=[0.048, *[0.238] * 4], size=(1000, 210))
    return with_special_tokens(letters.astype(np.uint8))


def within(count: int, of: int, share: float) -> bool:
    """Whether a count is one that a binomial gives in all but 1 of 100,000 cases."""
    low, high = stats.binom.interval(1 - 1e-5, of, share)
    return bool(low <= count <= high)


def test_fifteen_percent_of_the_nucleotides_are_chosen(many: Tokens) -> None:
    chosen = mask_tokens(many, SHARE, np.random.default_rng(2)).chosen
    assert within(int(chosen.sum()), int((many >= A).sum()), SHARE)


def test_of_the_chosen_80_percent_are_masked_10_random_and_10_kept(many: Tokens) -> None:
    tokens, chosen = mask_tokens(many, SHARE, np.random.default_rng(3))
    seen, original = tokens[chosen], many[chosen]
    masked = seen == MASK
    assert within(int(masked.sum()), len(seen), 0.8)
    # a random nucleotide is the original one in a quarter of the cases
    assert within(int((~masked & (seen != original)).sum()), len(seen), 0.1 * 3 / 4)
    assert within(int((seen == original).sum()), len(seen), 0.1 + 0.1 / 4)


def test_random_nucleotides_are_uniform_whatever_they_replace(many: Tokens) -> None:
    tokens, chosen = mask_tokens(many, SHARE, np.random.default_rng(4))
    for letter in range(A, T + 1):
        replaced = tokens[chosen & (many == letter) & (tokens != MASK) & (tokens != many)]
        counts = [int((replaced == other).sum()) for other in range(A, T + 1) if other != letter]
        assert sum(counts) == len(replaced) > 300
        assert stats.chisquare(counts).pvalue > 1e-3


def test_every_nucleotide_and_position_is_chosen_alike(many: Tokens) -> None:
    chosen = mask_tokens(many, SHARE, np.random.default_rng(5)).chosen
    asked = many >= A
    assert all(within(int(chosen[many == x].sum()), int((many == x).sum()), SHARE) for x in range(A, T + 1))
    columns = zip(chosen.T, asked.T, strict=True)
    assert all(within(int(hit.sum()), int(possible.sum()), SHARE) for hit, possible in columns)


def test_n_and_special_tokens_are_never_chosen_nor_put_in(many: Tokens) -> None:
    tokens, chosen = mask_tokens(many, 0.99, np.random.default_rng(6))
    assert not chosen[many < A].any()
    assert set(np.unique(tokens[chosen])) == {MASK, *range(A, T + 1)}
    for special in (CLS, SEP, N):
        assert np.array_equal(tokens == special, many == special)


def test_unchosen_tokens_stay_and_the_batch_given_is_not_changed(many: Tokens) -> None:
    before = many.copy()
    tokens, chosen = mask_tokens(many, SHARE, np.random.default_rng(7))
    assert np.array_equal(tokens[~chosen], many[~chosen])
    assert np.array_equal(many, before)
    assert tokens.dtype == np.uint8


def test_same_generator_gives_the_same_masks_and_another_seed_others(many: Tokens) -> None:
    first, again, other = (mask_tokens(many, SHARE, np.random.default_rng(seed)) for seed in (8, 8, 9))
    assert np.array_equal(first.tokens, again.tokens)
    assert np.array_equal(first.chosen, again.chosen)
    assert not np.array_equal(first.chosen, other.chosen)


@settings(deadline=None)
@given(st.integers(0, 2**32))
def test_share_zero_changes_nothing(seed: int) -> None:
    tokens = np.array([[CLS, 6, 7, 8, 9, 5, SEP]], dtype=np.uint8)
    masked = mask_tokens(tokens, 0.0, np.random.default_rng(seed))
    assert np.array_equal(masked.tokens, tokens)
    assert not masked.chosen.any()


def as_batch(windows: Tokens, share: float) -> tuple[Tensor, Tensor, Tensor]:
    original = with_special_tokens(windows)
    masked = mask_tokens(original, share, np.random.default_rng(10))
    return torch.from_numpy(masked.tokens).long(), torch.from_numpy(original).long(), torch.from_numpy(masked.chosen)


def loss_of(model: Any, tokens: Tensor, original: Tensor, chosen: Tensor, weight: Tensor | None = None) -> Any:
    """Our loss of a masked batch, last layer and head at the chosen positions only."""
    places, targets, present = map(torch.from_numpy, questions(original.numpy().astype(np.uint8), chosen.numpy()))
    weights = present.float() if weight is None else present * weight.gather(1, places)
    return mlm_loss(model, encode(model, tokens, places=places).at_places, targets.long(), weights)


def test_questions_are_gathered_row_by_row_and_filled_up() -> None:
    original = np.array([[2, 6, 7, 8, 9, 3], [2, 9, 9, 6, 6, 3]], dtype=np.uint8)
    chosen = np.array([[0, 1, 0, 1, 0, 0], [0, 0, 0, 0, 1, 0]], dtype=bool)
    places, targets, present = questions(original, chosen)
    assert present.sum(axis=1).tolist() == [2, 1]
    assert (places[0, :2].tolist(), places[1, :1].tolist()) == ([1, 3], [4])
    assert (targets[0, :2].tolist(), targets[1, :1].tolist()) == ([6, 8], [6])


@settings(deadline=None)
@given(st.integers(0, 2**32), st.floats(0, 1))
def test_every_chosen_position_is_asked_for_once(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    original = rng.integers(5, 10, size=(4, 30), dtype=np.uint8)
    chosen = rng.random(original.shape) < share
    found = questions(original, chosen)
    again = np.zeros_like(chosen)
    np.put_along_axis(again, np.where(found.present, found.places, 0), found.present, axis=1)
    again[:, 0] = chosen[:, 0]  # fillers overwrite it
    assert np.array_equal(again, chosen)
    assert np.array_equal(np.take_along_axis(original, found.places, 1), found.targets)
    assert found.present.sum() == chosen.sum()


def test_losses_of_parts_add_up_to_that_of_the_batch(make_encoder: Callable[..., Any], windows: Tokens) -> None:
    model = make_encoder(dropout=0.0)
    tokens, original, chosen = as_batch(windows, 0.3)
    places, targets, present = map(torch.from_numpy, questions(original.numpy().astype(np.uint8), chosen.numpy()))
    hidden, weight = encode(model, tokens, places=places).at_places.detach(), present.float()
    whole = mlm_loss(model, hidden, targets.long(), weight)
    parts = [
        mlm_loss(model, hidden[rows], targets[rows].long(), weight[rows], mlm_total(weight))
        for rows in (slice(0, 1), slice(1, 6))
    ]
    for value, pieces in zip(whole, zip(*parts, strict=True), strict=True):
        torch.testing.assert_close(sum(pieces), value)


def test_loss_gradient_and_accuracy_are_those_of_the_hugging_face_model(
    make_encoder: Callable[..., Any], windows: Tokens
) -> None:
    model = make_encoder(dropout=0.0)
    tokens, original, chosen = as_batch(windows, 0.3)
    watched = dict(model.named_parameters())
    names = [name for name in watched if name.endswith(("word_embeddings.weight", "tok_embeddings.weight"))]
    names += [name for name in watched if "1.mlp.Wo" in name or "1.output.dense.weight" in name]
    assert len(names) == 2

    expected = model(input_ids=tokens, labels=torch.where(chosen, original, -100))
    expected_gradients = torch.autograd.grad(expected.loss, [watched[name] for name in names])
    ours = loss_of(model, tokens, original, chosen)
    gradients = torch.autograd.grad(ours.loss, [watched[name] for name in names])

    torch.testing.assert_close(ours.loss, expected.loss, rtol=0, atol=1e-6)
    for gradient, theirs in zip(gradients, expected_gradients, strict=True):
        assert float(theirs.abs().max()) > 1e-5
        torch.testing.assert_close(gradient, theirs, rtol=1e-4, atol=1e-7)
    right = (expected.logits.argmax(-1) == original)[chosen].float().mean()
    assert float(ours.accuracy) == pytest.approx(float(right))


def test_weighted_loss_is_the_weighted_mean_of_single_positions(
    make_encoder: Callable[..., Any], windows: Tokens
) -> None:
    model = make_encoder(dropout=0.0)
    tokens, original, chosen = as_batch(windows, 0.3)
    weight = torch.where(original == 6, 0.25, 1.0)
    logits = model(input_ids=tokens).logits.detach().numpy().astype(float)
    surprise = np.log(np.exp(logits).sum(-1)) - np.take_along_axis(logits, original.numpy()[..., None], -1)[..., 0]
    expected = np.average(surprise[chosen.numpy()], weights=weight[chosen].numpy())
    assert float(loss_of(model, tokens, original, chosen, weight).loss.detach()) == pytest.approx(expected, abs=1e-5)
    assert float(loss_of(model, tokens, original, chosen, weight * 0).loss.detach()) == 0.0


def test_batch_with_nothing_chosen_costs_nothing_and_moves_nothing(
    make_encoder: Callable[..., Any], windows: Tokens
) -> None:
    model = make_encoder()
    tokens, original, chosen = as_batch(windows, 0.0)
    result = loss_of(model, tokens, original, chosen)
    torch.autograd.backward(result.loss)
    assert (float(result.loss.detach()), float(result.accuracy)) == (0.0, 0.0)
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())
