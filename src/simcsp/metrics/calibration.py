"""Whether a probability means what it says, the temperature that makes it so, and thresholds on it."""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit

Floats = NDArray[np.float64]
Labels = NDArray[np.integer]

BINS = 15  # of the calibration error, as Guo et al. (2017) used
_LARGEST = 20.0  # no temperature above, none below its inverse
_POINTS = 200  # of a stored curve


class Threshold(NamedTuple):
    """A threshold on probability, and what it is expected to give.

    Attributes:
        probability: sites are called at it and above.
        f1: expected harmonic mean of precision and recall.
        precision: expected.
        recall: expected.
    """

    probability: float
    f1: float
    precision: float
    recall: float


class Curve(NamedTuple):
    """Hits and false alarms of splice sites and decoys as the threshold falls.

    Attributes:
        probability: ``(n,)`` thresholds, falling.
        true_rate: ``(n,)`` share of splice sites at or above each.
        false_rate: ``(n,)`` share of decoys at or above each, half a decoy added: none among few is not none at all.
    """

    probability: Floats
    true_rate: Floats
    false_rate: Floats

    @classmethod
    def of(cls, labels: Labels, probabilities: Floats) -> Self:
        """The curve of ``(n,)`` windows, at most :data:`_POINTS` thresholds spread over the ranks.

        Raises:
            ValueError: if one of the labels 0 and 1 is missing.
        """
        positive = int(np.count_nonzero(labels))
        if not 0 < positive < len(labels):
            raise ValueError("a curve needs splice sites and decoys")
        order = np.argsort(-probabilities, kind="stable")
        ranked, hits = probabilities[order], np.cumsum(labels[order])
        last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)  # of equal probabilities
        kept = last[np.unique(np.linspace(0, len(last) - 1, _POINTS).round().astype(int))]
        alarms = kept + 1 - hits[kept]
        decoys = len(labels) - positive
        return cls(ranked[kept], hits[kept] / positive, (alarms + 0.5) / (decoys + 1))

    def best(self, share: float) -> Threshold:
        """The threshold of the highest F1 where ``share`` of the candidates are splice sites."""
        hits, alarms = share * self.true_rate, (1 - share) * self.false_rate
        precision = hits / (hits + alarms)
        f1 = 2 * hits / (share + hits + alarms)
        row = int(np.argmax(f1))
        return Threshold(*(float(v[row]) for v in (self.probability, f1, precision, self.true_rate)))


def fit_temperature(labels: Labels, logits: Floats) -> float:
    """The temperature T at which sigmoid(logit / T) has the highest likelihood (Guo et al. 2017, ICML 70:1321).

    Args:
        labels: ``(n,)`` of 0 and 1.
        logits: ``(n,)``.

    Returns:
        T, from 1/20 to 20.
    """
    signs = np.where(labels == 1, logits, -logits)
    limit = np.log(_LARGEST)
    found = minimize_scalar(lambda log: -log_expit(signs * np.exp(-log)).sum(), bounds=(-limit, limit))
    return float(np.exp(found.x))


def is_highest(temperature: float) -> bool:
    """Whether :func:`fit_temperature` found nothing below the highest that it tries: logits hardly tell labels."""
    return temperature > 0.99 * _LARGEST


def at_temperature(logits: Floats, temperature: float) -> Floats:
    """Probabilities of logits: sigmoid(logit / T), same shape."""
    return np.asarray(expit(logits / temperature))


def calibration_error(labels: Labels, probabilities: Floats, bins: int = BINS) -> float:
    """Expected calibration error: mean over windows of |share of sites - mean probability| of their bin.

    Bins are equally wide, of the probability of a splice site; 0 is perfect, 1 the worst.

    Args:
        labels: ``(n,)`` of 0 and 1.
        probabilities: ``(n,)``.
        bins: their number.
    """
    number = np.minimum((probabilities * bins).astype(int), bins - 1)
    gaps = np.bincount(number, weights=labels - probabilities, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


def at_share(probabilities: Floats, share: float, wanted: float) -> Floats:
    """Probabilities where ``wanted`` of the candidates are splice sites, from those where ``share`` are.

    Bayes' rule, if sites are like those and decoys like those that the probabilities were calibrated on. Probabilities
    of 0 and 1 stay.
    """
    sites = probabilities * wanted / share
    return np.asarray(sites / (sites + (1 - probabilities) * (1 - wanted) / (1 - share)))
