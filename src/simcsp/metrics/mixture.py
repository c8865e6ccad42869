"""A weighted mixture of the layers of an encoder, learnt from labels that it is not measured on.

Layers are brought to one length and added with weights that are a softmax, so they are positive and sum to 1: the
scalar mix of ELMo (Peters et al. 2018, NAACL). Weights are learnt together with a linear probe that reads the labels
from the mixture; the probe is then thrown away.

Shapes: ``n`` windows, ``L`` hidden states, the embedding layer among them, ``P`` width of a pooled one.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, softmax

from simcsp.metrics.probe import grouped_folds

FloatArray = NDArray[np.float64]
Floats = NDArray[np.float32]

_PENALTY = 0.1  # of the probe's squared length, against the sum of the log losses of all windows
_ITERATIONS = 100


class Mixture(NamedTuple):
    """Learnt weights.

    Attributes:
        weights: ``(L,)``, positive, sum 1.
        lengths: ``(L,)`` that the layers are divided by: root mean square distance of their vectors from the mean.
    """

    weights: FloatArray
    lengths: FloatArray

    def of(self, states: Floats) -> Floats:
        """Mix ``(n, L, P)`` to ``(n, P)``."""
        shares = (self.weights / self.lengths).astype(np.float32)
        return np.asarray(np.einsum("nlp,l->np", states, shares), dtype=np.float32)


def learn_mixture(states: Floats, labels: NDArray[np.integer], kinds: NDArray[np.integer]) -> Mixture:
    """Learn the weights of layers by which linear probes tell the labels best.

    Args:
        states: ``(n, L, P)`` pooled hidden states.
        labels: ``(n,)`` of 0 and 1.
        kinds: ``(n,)`` kinds of windows, for instance site types: each has a probe of its own, the weights are shared.
    """
    centred = states - states.mean(axis=0)
    lengths = np.sqrt(np.square(centred, dtype=np.float64).sum(axis=2).mean(axis=0))
    lengths[lengths == 0] = 1  # a layer that is the same everywhere, as the embedding of [CLS]
    parts = []
    for kind in np.unique(kinds):
        rows = states[kinds == kind]
        parts.append(((rows - rows.mean(axis=0)) / lengths[:, None].astype(np.float32), labels[kinds == kind]))
    _, layers, width = states.shape
    start = np.zeros(layers + len(parts) * (width + 1))
    found = minimize(_loss, start, (parts, layers), "L-BFGS-B", jac=True, options={"maxiter": _ITERATIONS})
    return Mixture(softmax(found.x[:layers]), lengths)


def cross_fitted_mixture(
    states: Floats, labels: NDArray[np.integer], kinds: NDArray[np.integer], groups: NDArray[np.str_], seed: int
) -> tuple[Floats, FloatArray] | None:
    """Mix every window by weights that were learnt without its group.

    Args:
        states: ``(n, L, P)`` pooled hidden states.
        labels: ``(n,)`` of 0 and 1.
        kinds: ``(n,)`` as for `learn_mixture`.
        groups: ``(n,)`` windows of one group are never in training and held out at once.
        seed: of the folds.

    Returns:
        ``(n, P)`` mixtures and the mean weights ``(L,)`` of the folds, or None if there are too few windows or groups
        for folds with both labels.
    """
    mixed, weights = np.empty_like(states[:, 0]), []
    for train, held_out in grouped_folds(labels, groups, seed):
        mixture = learn_mixture(states[train], labels[train], kinds[train])
        mixed[held_out] = mixture.of(states[held_out])
        weights.append(mixture.weights)
    return (mixed, np.mean(weights, axis=0)) if weights else None


def _loss(
    parameters: FloatArray, parts: list[tuple[Floats, NDArray[np.integer]]], layers: int
) -> tuple[float, FloatArray]:
    """Penalised log loss of the probes on the mixture, and its gradient; first the weights' logits, then the probes."""
    shares, probes = softmax(parameters[:layers]), parameters[layers:].reshape(len(parts), -1)
    total, by_share, gradient = 0.0, np.zeros(layers), np.zeros_like(probes)
    for (states, labels), probe, slope in zip(parts, probes, gradient, strict=True):
        direction = probe[:-1].astype(np.float32)
        read = (states @ direction).astype(np.float64)  # (n, L)
        logits = read @ shares + probe[-1]
        error = expit(logits) - labels
        total += float((np.logaddexp(0, logits) - labels * logits).sum() + _PENALTY / 2 * (probe[:-1] ** 2).sum())
        by_share += error @ read
        slope[:-1] = shares @ np.tensordot(error.astype(np.float32), states, axes=(0, 0)) + _PENALTY * probe[:-1]
        slope[-1] = error.sum()
    return total, np.concatenate([shares * (by_share - shares @ by_share), gradient.ravel()])
