from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import check_grad
from sklearn.linear_model import LogisticRegression

from simcsp.metrics import mixture
from simcsp.metrics.mixture import Mixture, cross_fitted_mixture, learn_mixture

Floats = NDArray[np.float32]


def layers_of(n: int = 300, seed: int = 0) -> tuple[Floats, NDArray[Any], NDArray[Any]]:
    """Four layers of 6 numbers; the label shows in the third alone."""
    rng = np.random.default_rng(seed)
    labels, kinds = rng.integers(0, 2, n), rng.integers(0, 2, n)
    states = rng.normal(size=(n, 4, 6)) + 5
    states[:, 2, 0] += 3 * labels * (2 * kinds - 1)  # the other way round in the other kind
    return states.astype(np.float32), labels, kinds


def test_weight_goes_to_the_layer_that_shows_the_label() -> None:
    learnt = learn_mixture(*layers_of())
    assert learnt.weights.sum() == pytest.approx(1)
    assert learnt.weights.argmax() == 2
    assert learnt.weights[2] > 0.8
    assert (learnt.weights > 0).all()


def test_the_scale_of_a_layer_does_not_matter() -> None:
    states, labels, kinds = layers_of()
    scaled = states * np.array([1, 100, 0.01, 10], dtype=np.float32)[:, None]
    one, other = learn_mixture(states, labels, kinds), learn_mixture(scaled, labels, kinds)
    assert other.weights == pytest.approx(one.weights, abs=0.02)
    np.testing.assert_allclose(other.of(scaled), one.of(states), rtol=0.05, atol=0.1)


def test_mixture_is_the_weighted_sum_of_layers_of_one_length() -> None:
    states = np.array([[[1.0, 2.0], [10.0, 0.0]]], dtype=np.float32)
    assert Mixture(np.array([0.25, 0.75]), np.array([1.0, 5.0])).of(states).tolist() == [[1.75, 0.5]]


def test_a_layer_that_is_the_same_everywhere_is_allowed() -> None:
    states, labels, kinds = layers_of()
    states[:, 0] = 7
    assert learn_mixture(states, labels, kinds).weights.argmax() == 2


def test_gradient_is_that_of_finite_differences() -> None:
    states, labels, kinds = layers_of(30)
    parts = [(states[kinds == kind] - 5, labels[kinds == kind]) for kind in (0, 1)]
    point = np.random.default_rng(1).normal(size=4 + 2 * 7)
    error = check_grad(
        lambda p: mixture._loss(p, parts, 4)[0], lambda p: mixture._loss(p, parts, 4)[1], point, epsilon=1e-3
    )
    assert error < 0.05 * np.linalg.norm(mixture._loss(point, parts, 4)[1])


def test_with_one_layer_the_probe_is_logistic_regression() -> None:
    """Minimum of the same penalised loss as scikit-learn finds; its C is the inverse of the penalty."""
    states, labels, _ = layers_of()
    one = states[:, 2:3] - states[:, 2:3].mean(axis=0)
    model = LogisticRegression(C=1 / mixture._PENALTY, tol=1e-8, max_iter=1000).fit(one[:, 0], labels)
    found = np.concatenate([[0.0], model.coef_[0], model.intercept_])
    value, gradient = mixture._loss(found, [(one, labels)], 1)
    assert np.abs(gradient).max() < 1e-3 * value


def test_no_label_of_a_group_reaches_its_own_mixture() -> None:
    states, labels, kinds = layers_of()
    groups = (np.arange(300) // 3).astype(str)
    first = cross_fitted_mixture(states, labels, kinds, groups, seed=0)
    assert first is not None
    mixed, weights = first
    assert mixed.shape == (300, 6)
    assert weights.argmax() == 2
    # Other labels in one group, as many of each, so that the folds stay the same.
    group = next(name for name in groups if len(set(labels[groups == name])) > 1)
    turned, rows = labels.copy(), groups == group
    turned[rows] = np.roll(labels[rows], 1)
    again = cross_fitted_mixture(states, turned, kinds, groups, seed=0)
    assert again is not None
    np.testing.assert_array_equal(again[0][rows], mixed[rows])
    assert (again[0] != mixed).any()


def test_too_few_groups_give_no_mixture() -> None:
    states, labels, kinds = layers_of(20)
    assert cross_fitted_mixture(states, labels, kinds, np.full(20, "one"), seed=0) is None
