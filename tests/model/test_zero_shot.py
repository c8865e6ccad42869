"""Against the formulas, worked on Hugging Face's own output, window by window."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from simcsp.model import zero_shot
from simcsp.model.zero_shot import Variants, variant_effects
from simcsp.sequence.alphabet import CLS, MASK, SEP, A, Tokens

Maker = Callable[..., Any]


@pytest.fixture
def variants(windows: Tokens) -> Variants:
    place = np.array([9, 4, 12, 10, 2, 17])
    rows = np.arange(6)
    alternative = (A + (windows[rows, place] - A + 1) % 4).astype(np.uint8)
    donor, acceptor = np.array([14, 0, 18, -1, 5, 9]), np.array([3, 3, -1, -1, 0, 1])
    return Variants(windows, place, alternative, donor, acceptor)


@pytest.fixture
def model(make_encoder: Maker) -> Any:
    model = make_encoder(seed=3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4 if parameter.ndim == 2 else 1)
    return model


def probabilities(model: Any, window: Tokens) -> Any:
    ids = torch.tensor([[CLS, *window.tolist(), SEP]])
    with torch.inference_mode():
        return model.eval()(input_ids=ids).logits[0, 1:-1].double()


def test_delta_p_is_that_of_the_masked_variant(model: Any, variants: Variants, accelerator: Accelerator) -> None:
    found = variant_effects(model, variants, accelerator).delta_p
    for row, (window, place, alternative) in enumerate(zip(*variants[:3], strict=True)):
        hidden = window.copy()
        hidden[place] = MASK
        expected = torch.softmax(probabilities(model, hidden)[place], dim=-1)
        assert found[row] == pytest.approx(float(expected[alternative] - expected[window[place]]), abs=1e-6)
    assert np.abs(found).max() > 0.01


def test_divergence_at_sites_and_around_the_variant_is_that_of_the_formula(
    model: Any, variants: Variants, accelerator: Accelerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zero_shot, "REACH", 4)
    found = variant_effects(model, variants, accelerator)
    for row, (window, place, alternative, donor, acceptor) in enumerate(zip(*variants, strict=True)):
        changed = window.copy()
        changed[place] = alternative
        before, after = (torch.softmax(probabilities(model, one)[:, 6:], dim=-1) for one in (window, changed))
        divergence = (after * (after / before).log()).sum(dim=-1).numpy()
        for site, value in ((donor, found.kl_donor[row]), (acceptor, found.kl_acceptor[row])):
            expected = divergence[site : site + 2].mean() if site >= 0 else np.nan
            np.testing.assert_allclose(value, expected, rtol=1e-3, atol=1e-8)
        context = np.nan
        if 4 <= place < 16:
            means = [(divergence[place - d] + divergence[place + d]) / 2 for d in (1, 2, 3, 4)]
            context = sum(np.log(max(mean, 1e-6)) for mean in means)
        np.testing.assert_allclose(found.kl_context[row], context, rtol=1e-3)
    assert np.isnan(found.kl_donor).tolist() == [False, False, False, True, False, False]
    assert np.isnan(found.kl_context).tolist() == [False, False, False, False, True, True]


def test_a_variant_that_changes_nothing_has_no_effect(model: Any, variants: Variants, accelerator: Accelerator) -> None:
    same = variants._replace(alternative=variants.windows[np.arange(6), variants.place])
    effects = variant_effects(model, same, accelerator)
    np.testing.assert_array_equal(effects.delta_p, 0)
    np.testing.assert_array_equal(effects.kl_donor[variants.donor >= 0], 0)
