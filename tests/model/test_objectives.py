from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from simcsp.config import PhaseConfig, PretrainConfig
from simcsp.datasets.corpus import Corpus, Drawn
from simcsp.model.contrastive import Contrast, contrastive_loss
from simcsp.model.encoder import HEAD, WEIGHTS, SiteClassifier, load_checkpoint
from simcsp.model.objectives import ClassificationObjective, PretrainingObjective, loss_weights
from simcsp.sequence.alphabet import MASK, Tokens
from simcsp.training.batches import PretrainingBatches

Maker = Callable[..., Any]  # gives a PreTrainedModel, whose methods carry no types
Unmasked = Callable[[dict[str, Tensor]], tuple[Tensor, Tensor]]

MLM = PhaseConfig(batch_size=6, mlm_weight=1.0, contrastive_weight=0.0)
SIMCSP = PhaseConfig(batch_size=6, mlm_weight=0.0, contrastive_weight=1.0)
BOTH = PhaseConfig(batch_size=6, mlm_weight=0.7, contrastive_weight=0.3, temperature=0.1)


class Windows:
    """A corpus that always gives the same windows."""

    def __init__(self, windows: Tokens) -> None:
        self.windows = windows

    window = 0

    def draw(self, count: int, rng: np.random.Generator, window: int) -> Drawn:
        tokens = self.windows[:count]
        return Drawn(
            tokens, np.zeros(tokens.shape, dtype=bool), np.arange(len(tokens)), np.zeros(len(tokens), dtype=int)
        )


def batch_of(windows: Tokens, phase: PhaseConfig) -> dict[str, Tensor]:
    return PretrainingBatches(cast("Corpus", Windows(windows)), phase, PretrainConfig(mask_share=0.3), seed=1)(0)


def objective_of(encoder: PreTrainedModel, phase: PhaseConfig, pooling: Any = "site", layer: int = -1) -> Any:
    return PretrainingObjective(encoder, phase, pooling=pooling, layer=layer)


def first_views_first(part: Tensor) -> Tensor:
    """``(B, 2, T)`` → ``(2 B, T)``."""
    return part.transpose(0, 1).flatten(0, 1)


def plainly(
    model: PreTrainedModel,
    batch: dict[str, Tensor],
    phase: PhaseConfig,
    pooling: str,
    layer: int,
    uncovered: tuple[Tensor, Tensor],
) -> tuple[Tensor, Tensor]:
    """MLM and contrastive loss from what Hugging Face's masked language model gives, pair by pair."""
    original, chosen = (first_views_first(part) for part in uncovered)
    labels = original.long().masked_fill(~chosen, -100)
    output = model(input_ids=first_views_first(batch["tokens"]).long(), labels=labels, output_hidden_states=True)
    hidden = output.hidden_states[layer]
    vectors = {"cls": hidden[:, 0], "mean": hidden[:, 1:21].mean(1), "site": hidden[:, 10:12].reshape(12, -1)}[pooling]
    cosines = functional.cosine_similarity(vectors[:6, None], vectors[None, 6:], dim=-1)
    odds = torch.exp(cosines / phase.temperature)
    return output.loss, -torch.log(odds.diagonal() / odds.sum(1)).mean()


@pytest.mark.parametrize(("pooling", "layer"), [("site", -1), ("mean", 1), ("cls", 0), ("site", 2)])
def test_joint_loss_and_gradient_are_those_of_two_plain_computations(
    make_encoder: Maker, windows: Tokens, unmasked: Unmasked, pooling: str, layer: int
) -> None:
    model, batch = make_encoder(dropout=0.0), batch_of(windows, BOTH)
    watched = model.get_input_embeddings().weight
    losses = objective_of(model, BOTH, pooling, layer)(**batch)
    (gradient,) = torch.autograd.grad(losses["loss"], watched)

    mlm, contrastive = plainly(model, batch, BOTH, pooling, layer, unmasked(batch))
    (expected,) = torch.autograd.grad(0.7 * mlm + 0.3 * contrastive, watched)

    assert set(losses) == {"loss", "mlm_loss", "mlm_accuracy", "contrastive_loss"}
    torch.testing.assert_close(losses["mlm_loss"], mlm, rtol=0, atol=1e-5)
    torch.testing.assert_close(losses["contrastive_loss"], contrastive, rtol=0, atol=1e-5)
    torch.testing.assert_close(losses["loss"], 0.7 * mlm + 0.3 * contrastive, rtol=0, atol=1e-5)
    torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-5)


def test_layer_that_is_pooled_is_the_one_that_is_asked_for(make_encoder: Maker, windows: Tokens) -> None:
    model, batch = make_encoder(dropout=0.0), batch_of(windows, BOTH)
    values = {
        layer: float(objective_of(model, BOTH, "site", layer)(**batch)["contrastive_loss"].detach())
        for layer in (0, 1, 2, -1)
    }
    assert values[2] == values[-1]
    assert len({round(value, 4) for value in values.values()}) == 3


@pytest.mark.parametrize(("phase", "names"), [(MLM, {"mlm_loss", "mlm_accuracy"}), (SIMCSP, {"contrastive_loss"})])
def test_one_loss_alone_is_the_total(make_encoder: Maker, windows: Tokens, phase: PhaseConfig, names: set[str]) -> None:
    losses = objective_of(make_encoder(), phase)(**batch_of(windows, phase))
    assert set(losses) == {"loss", *names}
    (part,) = (losses[name] for name in names if name.endswith("_loss"))
    assert torch.equal(losses["loss"], part)


def test_simcsp_alone_sees_every_window_twice_and_nothing_masked(make_encoder: Maker, windows: Tokens) -> None:
    batch = batch_of(windows, SIMCSP)
    assert batch["tokens"].shape == (6, 2, 22)
    assert torch.equal(batch["tokens"][:, 0], batch["tokens"][:, 1])
    assert not (batch["tokens"] == MASK).any()


def test_simcsp_alone_leaves_the_prediction_head_alone(make_encoder: Maker, windows: Tokens) -> None:
    model = make_encoder()
    inside = {id(p) for p in model.base_model.parameters()}
    objective_of(model, SIMCSP)(**batch_of(windows, SIMCSP))["loss"].backward()
    head = [p for p in model.parameters() if id(p) not in inside]
    assert head
    assert all(p.grad is None for p in head)
    assert not any(p.requires_grad for p in head)


@pytest.mark.parametrize("layer", [0, 1, 2, -1])
def test_simcsp_alone_trains_what_has_a_gradient_and_nothing_else(
    make_encoder: Maker, windows: Tokens, layer: int
) -> None:
    model = make_encoder()
    objective_of(model, SIMCSP, layer=layer)(**batch_of(windows, SIMCSP))["loss"].backward()
    assert all((p.grad is not None) == p.requires_grad for p in model.parameters())
    assert any(p.requires_grad for p in model.parameters())


def test_both_losses_mask_the_two_views_in_different_ways(windows: Tokens, unmasked: Unmasked) -> None:
    batch = batch_of(windows, BOTH)
    original, chosen = unmasked(batch)
    assert torch.equal(original[:, 0], original[:, 1])
    assert not torch.equal(batch["tokens"][:, 0], batch["tokens"][:, 1])
    assert all(bool(view.any()) for view in chosen.unbind(1))


def test_without_dropout_the_two_views_are_one(make_encoder: Maker, windows: Tokens) -> None:
    model = make_encoder(dropout=0.0).train()
    batch = batch_of(windows, SIMCSP)
    hidden = model(input_ids=batch["tokens"][:, 0].long(), output_hidden_states=True).hidden_states[-1]
    vectors = hidden[:, 10:12].reshape(6, -1)
    expected = contrastive_loss(vectors, vectors, Contrast(SIMCSP.temperature))
    losses = objective_of(model, SIMCSP)(**batch)
    torch.testing.assert_close(losses["loss"], expected, rtol=0, atol=1e-5)


def test_with_dropout_the_views_differ_and_follow_the_seed(make_encoder: Maker, windows: Tokens) -> None:
    objective, batch = objective_of(make_encoder(dropout=0.2), SIMCSP).train(), batch_of(windows, SIMCSP)

    def loss(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return cast("Tensor", objective(**batch)["loss"].detach())

    first = loss(1)
    assert torch.equal(first, loss(1))
    assert not torch.equal(first, loss(2))
    quiet = objective.eval()(**batch)["loss"].detach()
    assert float(first) > float(quiet)


# Weights, moved sites, other windows


@pytest.mark.parametrize(
    ("steps", "step", "expected"),
    [(5, 0, (1.0, 0.0)), (5, 1, (0.8, 0.125)), (5, 4, (0.2, 0.5)), (1, 0, (1.0, 0.0)), (5, 9, (0.2, 0.5))],
)
def test_weights_go_on_a_straight_line_from_the_first_step_to_the_last(
    steps: int, step: int, expected: tuple[float, float]
) -> None:
    phase = PhaseConfig(steps=steps, mlm_weight=1.0, mlm_weight_end=0.2, contrastive_weight_end=0.5)
    assert loss_weights(phase, step) == pytest.approx(expected)
    assert loss_weights(BOTH, step) == (0.7, 0.3)


@pytest.mark.parametrize("layer", [0, 1, -1])
def test_the_site_is_pooled_where_it_is(make_encoder: Maker, windows: Tokens, layer: int) -> None:
    model = make_encoder(dropout=0.0)
    batch = batch_of(windows, SIMCSP)
    shift = torch.stack([torch.zeros(6, dtype=torch.int64), torch.tensor([1, -1, 3, -3, 2, -2])], dim=1)
    first, second = objective_of(model, SIMCSP, layer=layer).views(batch["tokens"], shift=shift)
    hidden = model(input_ids=batch["tokens"][:, 0].long(), output_hidden_states=True).hidden_states[layer]
    for row, moved in enumerate(shift[:, 1].tolist()):
        expected = hidden[row, 10 + moved : 12 + moved].flatten()
        torch.testing.assert_close(second[row], expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(first[row], hidden[row, 10:12].flatten(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_other_pooling_asks_for_no_place(make_encoder: Maker, windows: Tokens, pooling: str) -> None:
    objective, batch = objective_of(make_encoder(dropout=0.0), SIMCSP, pooling), batch_of(windows, SIMCSP)
    moved = objective.views(batch["tokens"], shift=torch.full((6, 2), 3))
    for one, other in zip(moved, objective.views(batch["tokens"]), strict=True):
        assert torch.equal(one, other)


def test_mlm_of_the_corpus_and_contrast_of_other_windows_are_two_plain_computations(
    make_encoder: Maker, windows: Tokens
) -> None:
    model = make_encoder(dropout=0.0)
    phase = replace(BOTH, positives="label", hard_negative_weight=3.0)
    alone = batch_of(windows, MLM)
    pairs = batch_of(windows[::-1].copy(), SIMCSP)["tokens"]
    kind = torch.tensor([0, 1, 2, 3, 0, 1])
    losses = objective_of(model, phase)(**alone, pairs=pairs, kind=kind)
    mlm = objective_of(model, MLM)(**alone)["mlm_loss"]
    hidden = model(input_ids=pairs[:, 0].long(), output_hidden_states=True).hidden_states[-1]
    vectors = hidden[:, 10:12].reshape(6, -1)
    contrastive = contrastive_loss(vectors, vectors, Contrast(0.1, kind=kind, hard_weight=3.0))
    torch.testing.assert_close(losses["mlm_loss"], mlm)
    torch.testing.assert_close(losses["contrastive_loss"], contrastive, rtol=0, atol=1e-5)
    torch.testing.assert_close(losses["loss"], 0.7 * mlm + 0.3 * contrastive, rtol=0, atol=1e-5)


# Save and restore


@pytest.mark.parametrize("phase", [MLM, SIMCSP, BOTH])
def test_restored_pretraining_gives_identical_losses(
    make_encoder: Maker, windows: Tokens, tmp_path: Path, phase: PhaseConfig
) -> None:
    saved, other = (objective_of(make_encoder(seed=seed), phase).eval() for seed in (1, 2))
    batch = batch_of(windows, phase)
    before, foreign = saved(**batch), other(**batch)
    saved.save(tmp_path)
    other.restore(tmp_path)
    after = other(**batch)
    assert not torch.equal(foreign["loss"], before["loss"])
    assert {name: value.detach() for name, value in after.items()} == {n: v.detach() for n, v in before.items()}


def test_restoring_happens_in_place_and_keeps_the_head_tied(make_encoder: Maker, tmp_path: Path) -> None:
    saved, other = (objective_of(make_encoder(seed=seed), MLM) for seed in (1, 2))
    saved.save(tmp_path)
    before = [id(p) for p in other.parameters()]
    other.restore(tmp_path)
    assert [id(p) for p in other.parameters()] == before  # an optimiser holds on to them
    encoder = other.encoder
    assert encoder.get_output_embeddings().weight is encoder.get_input_embeddings().weight


def classification(encoder: PreTrainedModel, seed: int, pooling: Any = "site") -> ClassificationObjective:
    return ClassificationObjective(SiteClassifier(encoder, pooling=pooling, layer=-1, dropout=0.1, seed=seed))


@pytest.fixture
def labelled(windows: Tokens) -> dict[str, Tensor]:
    rows = [[2, *window.tolist(), 3] for window in windows]
    return {"tokens": torch.tensor(rows), "label": torch.tensor([0, 1, 1, 0, 1, 0])}


def test_classification_loss_is_the_cross_entropy_of_the_probability(
    make_encoder: Maker, labelled: dict[str, Tensor]
) -> None:
    objective = classification(make_encoder(), seed=1).eval()
    p = torch.sigmoid(objective.classifier(labelled["tokens"])[0]).detach().double().numpy()
    y = labelled["label"].numpy()
    expected = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
    losses = objective(**labelled)
    assert set(losses) == {"loss"}
    assert float(losses["loss"].detach()) == pytest.approx(expected, abs=1e-6)


def test_restored_classifier_gives_identical_outputs(
    make_encoder: Maker, labelled: dict[str, Tensor], tmp_path: Path
) -> None:
    saved, other = (classification(make_encoder(seed=seed), seed).eval() for seed in (1, 2))
    before, foreign = (objective.classifier(labelled["tokens"]) for objective in (saved, other))
    saved.save(tmp_path)
    other.restore(tmp_path)
    after = other.classifier(labelled["tokens"])
    assert not torch.equal(foreign[0], before[0])
    assert torch.equal(after[0], before[0])
    assert torch.equal(after[1], before[1])


def test_encoder_of_a_saved_classifier_is_a_checkpoint(
    make_encoder: Maker, labelled: dict[str, Tensor], tmp_path: Path
) -> None:
    saved = classification(make_encoder(seed=1), seed=1).eval()
    saved.save(tmp_path)
    opened: Any = load_checkpoint(tmp_path, dropout=0.1, tokens=22)
    tokens = labelled["tokens"]
    encoder: Any = saved.classifier.get_submodule("encoder")
    assert torch.equal(opened.eval()(input_ids=tokens).logits, encoder(input_ids=tokens).logits)


def test_another_size_of_head_is_refused(make_encoder: Maker, tmp_path: Path) -> None:
    encoder = make_encoder()
    classification(encoder, seed=1, pooling="site").save(tmp_path)
    with pytest.raises(RuntimeError, match=r"size mismatch for weight: .*\[1, 32\].*\[1, 16\]"):
        classification(encoder, seed=1, pooling="cls").restore(tmp_path)


def test_weights_of_another_encoder_are_refused(make_encoder: Maker, tmp_path: Path) -> None:
    objective_of(make_encoder(), MLM).save(tmp_path)
    for other in (make_encoder(layers=3), make_encoder(hidden=32)):
        with pytest.raises(RuntimeError, match=r"Missing key|size mismatch"):
            objective_of(other, MLM).restore(tmp_path)


def test_a_checkpoint_names_its_two_files_of_weights(make_encoder: Maker, tmp_path: Path) -> None:
    classification(make_encoder(), seed=1).save(tmp_path)
    assert (tmp_path / WEIGHTS).is_file()
    assert (tmp_path / HEAD).is_file()
