import doctest
import math
from typing import Any, cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from torch import Tensor, nn

from simcsp.model import contrastive
from simcsp.model.contrastive import Contrast, contrastive_loss, related, view_gradients


def views(batch: int, width: int, noise: float = 0.3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(batch, width, generator=generator)
    return first, first + noise * torch.randn(batch, width, generator=generator)


@pytest.mark.parametrize("batch", [2, 7, 64])
def test_value_and_gradient_are_those_of_sentence_transformers(batch: int) -> None:
    ours = [view.requires_grad_() for view in views(batch, 6, noise=1.0)]
    theirs = [view.detach().clone().requires_grad_() for view in ours]

    loss = contrastive_loss(ours[0], ours[1], Contrast(0.05))
    reference = MultipleNegativesRankingLoss(cast("Any", nn.Identity()), scale=20.0)
    expected = reference.compute_loss_from_embeddings(theirs, labels=torch.empty(0))
    gradients, expected_gradients = torch.autograd.grad(loss, ours), torch.autograd.grad(expected, theirs)

    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-6)
    for gradient, their in zip(gradients, expected_gradients, strict=True):
        assert float(their.abs().max()) > 1e-2
        torch.testing.assert_close(gradient, their, rtol=1e-4, atol=1e-6)


def test_hand_worked_example() -> None:
    first = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    second = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    # cosines: first row 0.6 and 0, second row 0.8 and 1; over τ = 0.2 they are 3, 0 and 4, 5
    expected = (math.log(1 + math.exp(-3)) + math.log(1 + math.exp(-1))) / 2
    assert float(contrastive_loss(first, second, Contrast(0.2))) == pytest.approx(expected, abs=1e-6)


def test_example_in_the_docstring_holds() -> None:
    result = doctest.testmod(contrastive)
    assert (result.failed, result.attempted) == (0, 2)


@settings(deadline=None)
@given(batch=st.integers(1, 40), temperature=st.floats(0.01, 2))
def test_identical_embeddings_give_the_logarithm_of_the_batch_size(batch: int, temperature: float) -> None:
    alike = torch.ones(batch, 5)
    assert float(contrastive_loss(alike, alike, Contrast(temperature))) == pytest.approx(math.log(batch), abs=1e-4)


@settings(deadline=None)
@given(st.lists(st.floats(1e-3, 1e3), min_size=12, max_size=12))
def test_length_of_an_embedding_does_not_matter(lengths: list[float]) -> None:
    first, second = views(6, 8)
    scale = torch.tensor(lengths)[:, None]
    stretched = contrastive_loss(first * scale[:6], second * scale[6:], Contrast(0.05))
    torch.testing.assert_close(stretched, contrastive_loss(first, second, Contrast(0.05)), rtol=1e-4, atol=1e-5)


def test_separated_pairs_cost_nothing() -> None:
    corners = torch.eye(8)
    assert float(contrastive_loss(corners, corners, Contrast(0.05))) == pytest.approx(0, abs=1e-6)


def test_pairs_are_matched_by_their_place_in_the_batch() -> None:
    first, second = views(8, 16)
    assert contrastive_loss(first, second.roll(1, dims=0), Contrast(0.05)) > 10 * contrastive_loss(
        first, second, Contrast(0.05)
    )


def test_autocast_does_not_coarsen_the_cosines() -> None:
    first, second = views(32, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = contrastive_loss(first, second, Contrast(0.05))
    assert inside.dtype == torch.float32
    assert torch.equal(inside, contrastive_loss(first, second, Contrast(0.05)))


# Windows that are no negatives

ORIGINS = torch.tensor([[0, 10, 20, 1], [0, 19, 29, 2], [0, 20, 30, 3], [1, 10, 20, 4], [2, 50, 60, 3]])


def test_windows_that_overlap_or_are_the_same_sequence_are_related() -> None:
    assert related(ORIGINS, ORIGINS).int().tolist() == [
        [1, 1, 0, 0, 0],  # ends where the third begins
        [1, 1, 1, 0, 0],
        [0, 1, 1, 0, 1],  # same sequence as the last, elsewhere
        [0, 0, 0, 1, 0],  # same coordinates on another contig
        [0, 0, 1, 0, 1],
    ]
    assert float(Contrast(0.1, ORIGINS).negatives_per_anchor()) == pytest.approx((3 + 2 + 2 + 4 + 3) / 5)


def test_related_windows_are_left_out_of_the_sum() -> None:
    first, second = views(5, 6)
    cosines = torch.nn.functional.cosine_similarity(first[:, None], second[None], dim=-1)
    odds = torch.exp(cosines / 0.1)
    counted = ~related(ORIGINS, ORIGINS) | torch.eye(5, dtype=torch.bool)
    expected = -torch.log(odds.diagonal() / (odds * counted).sum(1)).mean()
    torch.testing.assert_close(contrastive_loss(first, second, Contrast(0.1, ORIGINS)), expected)
    assert float(expected) < float(contrastive_loss(first, second, Contrast(0.1)))


# Labels

KINDS = torch.tensor([1, 1, 0, 3, 0, 2])  # donor sites, donor decoy, acceptor site, donor decoy, acceptor decoy


def test_hand_worked_example_with_labels() -> None:
    views_of = torch.eye(3)[[0, 0, 1, 2]]  # two donor sites alike, a donor decoy, an acceptor site; cosines 1 or 0
    e, two = math.e, 2.0
    site, decoy, acceptor = math.log(two * e + two + 1), math.log(e + two * 2 + 1), math.log(e + 3)
    expected = (2 * (site - 1) + (decoy - 1) + (acceptor - 1)) / 4
    loss = contrastive_loss(views_of, views_of, Contrast(1.0, kind=KINDS[:4], hard_weight=two))
    assert float(loss) == pytest.approx(expected, abs=1e-6)


def test_with_labels_it_is_the_cross_entropy_of_positives_as_equal_classes() -> None:
    ours = [view.requires_grad_() for view in views(6, 5, noise=1.0)]
    loss = contrastive_loss(ours[0], ours[1], Contrast(0.1, ORIGINS.new_zeros(6, 4), KINDS))
    cosines = nn.functional.cosine_similarity(ours[0][:, None], ours[1][None], dim=-1)
    same = (KINDS[:, None] == KINDS).float()
    expected = nn.functional.cross_entropy(cosines / 0.1, same / same.sum(1, keepdim=True))
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
    for gradient, their in zip(*(torch.autograd.grad(x, ours) for x in (loss, expected)), strict=True):
        torch.testing.assert_close(gradient, their, rtol=1e-4, atol=1e-6)


def test_one_window_of_each_kind_is_simcse_without_relatives() -> None:
    first, second = views(4, 5)
    labelled = contrastive_loss(first, second, Contrast(0.05, kind=torch.arange(4)))
    torch.testing.assert_close(labelled, contrastive_loss(first, second, Contrast(0.05)))


def test_windows_that_share_a_label_are_no_negatives_and_decoys_of_their_type_weigh_more() -> None:
    first, second = views(6, 5)
    odds = torch.exp(nn.functional.cosine_similarity(first[:, None], second[None], dim=-1) / 0.1)
    expected = torch.zeros(())
    for anchor, kind in enumerate(KINDS.tolist()):
        weights = torch.tensor([3.0 if {kind, other} in ({0, 1}, {2, 3}) else 1.0 for other in KINDS.tolist()])
        own = [place for place, other in enumerate(KINDS.tolist()) if other == kind]
        expected -= torch.log(odds[anchor, own] / (odds[anchor] * weights).sum()).mean() / 6
    torch.testing.assert_close(contrastive_loss(first, second, Contrast(0.1, None, KINDS, 3.0)), expected)
    assert float(Contrast(0.1, kind=KINDS).negatives_per_anchor()) == pytest.approx((4 * 4 + 5 * 2) / 6)


@pytest.mark.parametrize("held", [1, 12, 1 << 24])  # similarities at a time: an anchor, two, all
@pytest.mark.parametrize(
    "contrast",
    [Contrast(0.1), Contrast(0.1, ORIGINS), Contrast(0.1, kind=KINDS[:5], hard_weight=2.0)],
    ids=["all", "some", "labels"],
)
def test_gradients_block_by_block_are_those_of_the_whole(
    monkeypatch: pytest.MonkeyPatch, held: int, contrast: Contrast
) -> None:
    monkeypatch.setattr(contrastive, "_SIMILARITIES", held)
    first, second = inputs = [view.requires_grad_() for view in views(5, 6)]
    loss, *gradients = view_gradients(first, second, contrast)
    expected = contrastive_loss(first, second, contrast)
    torch.testing.assert_close(loss, expected.detach())
    for gradient, their in zip(gradients, torch.autograd.grad(expected, inputs), strict=True):
        torch.testing.assert_close(gradient, their)
