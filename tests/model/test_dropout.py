import pytest
import torch
from torch import nn

from simcsp.model.dropout import Dropout, use_own_dropout

MANY = torch.ones(1001, 501)


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_share_and_mean_are_those_of_torch_s_dropout(probability: float) -> None:
    torch.manual_seed(0)
    dropped = Dropout(probability)(MANY)
    assert float((dropped == 0).float().mean()) == pytest.approx(probability, abs=0.002)
    assert float(dropped.mean()) == pytest.approx(1.0, abs=0.01)
    kept = dropped[dropped != 0]
    assert torch.equal(kept, kept[:1].expand_as(kept))
    assert float(kept[0]) == pytest.approx(1 / (1 - probability), rel=2e-4)


def test_every_element_has_a_lot_of_its_own() -> None:
    torch.manual_seed(1)
    dropped = (Dropout(0.5)(torch.ones(20_000, 8)) == 0).double()
    correlation = torch.corrcoef(dropped.T)
    assert float((correlation - torch.eye(8)).abs().max()) < 0.04  # 5 standard errors of 0.007


def test_gradient_passes_where_values_did() -> None:
    values = torch.randn(50, 7, requires_grad=True)
    torch.manual_seed(2)
    dropped = Dropout(0.3)(values)
    (gradient,) = torch.autograd.grad(dropped.sum(), values)
    torch.testing.assert_close(dropped, values * gradient)


def test_the_seed_decides() -> None:
    layer, results = Dropout(0.2), []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(layer(MANY))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


@pytest.mark.parametrize("layer", [Dropout(0.0), Dropout(0.5).eval()])
def test_nothing_is_dropped_in_evaluation_or_at_probability_zero(layer: Dropout) -> None:
    assert torch.equal(layer(MANY), MANY)


def test_every_dropout_of_a_model_is_replaced_and_keeps_its_probability() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.3), nn.Sequential(nn.Dropout(0.4)))
    use_own_dropout(model)
    assert [module.p for module in model.modules() if type(module) is Dropout] == [0.3, 0.4]
    assert not any(type(module) is nn.Dropout for module in model.modules())
