"""What a language model is compared with on a genome: a position weight matrix and a small convolutional network."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn import functional

from simcsp.datasets.splits import Fold
from simcsp.datasets.windows import WindowTable
from simcsp.metrics.calibration import at_temperature, calibration_error, fit_temperature
from simcsp.sequence.alphabet import FIRST_NUCLEOTIDE, Tokens
from simcsp.sequence.sites import ACCEPTOR, DONOR, central_dinucleotides

Floats = NDArray[np.float64]

_REACH = {DONOR: (3, 6), ACCEPTOR: (20, 3)}  # positions of the matrix before and behind the boundary
_FEATURES, _KERNEL, _POOL, _HIDDEN = 16, 5, 3, 36
_BATCH, _EPOCHS, _AT_ONCE = 128, 12, 512


class CalibratedScorer:
    """A scorer with the temperature of its own validation windows.

    Attributes:
        window: nt.
        max_unread: largest share of N.
        parameters: numbers that were fitted, the temperature aside.
        error: calibration error on validation, at that temperature.
    """

    max_unread = 0.05

    def __init__(self, table: WindowTable, fold: Fold, parameters: int) -> None:
        self.window, self.parameters = table.tokens.shape[1], parameters
        logits, labels = self.logits(table.tokens[fold.validation]), table.label[fold.validation]
        self.temperature = fit_temperature(labels, logits)
        self.error = calibration_error(labels, at_temperature(logits, self.temperature))

    def logits(self, windows: Tokens) -> Floats:
        """``(n, window)`` → ``(n,)``."""
        raise NotImplementedError

    def __call__(self, windows: Tokens) -> Floats:
        """``(n, window)`` → ``(n,)`` probabilities."""
        return at_temperature(self.logits(windows), self.temperature)


class WeightMatrix(CalibratedScorer):
    """Log odds of the nucleotides of splice sites against decoys (Staden 1984, Nucleic Acids Res 12:505).

    Nine positions of a donor, 23 of an acceptor, as in Yeo & Burge (2004), each for itself.
    """

    def __init__(self, table: WindowTable, fold: Fold) -> None:
        self._weights: dict[int, Floats] = {}
        for site_type in (DONOR, ACCEPTOR):
            rows = fold.train[table.site_type[fold.train] == site_type]
            windows, labels = self._around(table.tokens[rows], site_type), table.label[rows]
            shares = [self._shares(windows[labels == label]) for label in (1, 0)]
            self._weights[site_type] = np.log(shares[0] / shares[1])
        super().__init__(table, fold, 3 * sum(before + behind for before, behind in _REACH.values()))

    def logits(self, windows: Tokens) -> Floats:
        """Sum of the weights; windows of AG or another acceptor pair are acceptors, all others donors."""
        first = central_dinucleotides(windows)[:, 0]
        scores = np.empty(len(windows))
        for site_type, chosen in ((ACCEPTOR, first == FIRST_NUCLEOTIDE), (DONOR, first != FIRST_NUCLEOTIDE)):
            around = self._around(windows[chosen], site_type)
            nucleotide = np.clip(around.astype(int) - FIRST_NUCLEOTIDE, 0, 3)
            weights = self._weights[site_type][np.arange(around.shape[1]), nucleotide]
            scores[chosen] = np.where(around >= FIRST_NUCLEOTIDE, weights, 0.0).sum(axis=1)
        return scores

    @staticmethod
    def _around(windows: Tokens, site_type: int) -> Tokens:
        before, behind = _REACH[site_type]
        boundary = windows.shape[1] // 2 + (1 if site_type == ACCEPTOR else -1)
        return windows[:, boundary - before : boundary + behind]

    @staticmethod
    def _shares(windows: Tokens) -> Floats:
        counts = np.stack([(windows == FIRST_NUCLEOTIDE + n).sum(axis=0) + 1.0 for n in range(4)], axis=1)
        return np.asarray(counts / counts.sum(axis=1, keepdims=True))


class SmallNetwork(CalibratedScorer):
    """Two convolutions of 16 features and two dense layers, about 7,000 parameters.

    In the manner of minisplice (Yang, Huang & Li 2025, arXiv 2506.12986), which has 7,026 on windows of 202 nt; trained
    by Adam until the validation AUROC has its best epoch of twelve.
    """

    def __init__(self, table: WindowTable, fold: Fold, seed: int = 0) -> None:
        torch.manual_seed(seed)
        length = ((table.tokens.shape[1] - _KERNEL + 1) // _POOL - _KERNEL + 1) // _POOL
        self._network = nn.Sequential(
            nn.Conv1d(4, _FEATURES, _KERNEL), nn.ReLU(), nn.MaxPool1d(_POOL),
            nn.Conv1d(_FEATURES, _FEATURES, _KERNEL), nn.ReLU(), nn.MaxPool1d(_POOL), nn.Flatten(),
            nn.Linear(_FEATURES * length, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, 1),
        )  # fmt: skip
        self._train(table, fold, np.random.default_rng(seed))
        super().__init__(table, fold, sum(p.numel() for p in self._network.parameters()))

    def logits(self, windows: Tokens) -> Floats:
        """Output of the network."""
        with torch.inference_mode():
            parts = [
                self._network(_one_hot(windows[start : start + _AT_ONCE])) for start in range(0, len(windows), _AT_ONCE)
            ]
        return torch.cat(parts).squeeze(1).double().numpy() if parts else np.empty(0)

    def _train(self, table: WindowTable, fold: Fold, rng: np.random.Generator) -> None:
        optimiser = torch.optim.Adam(self._network.parameters(), lr=1e-3)
        held_out = table.label[fold.validation]
        best = 0.0
        with TemporaryDirectory() as folder:
            kept = Path(folder) / "best.safetensors"
            for _ in range(_EPOCHS):
                for rows in np.array_split(rng.permutation(fold.train), len(fold.train) // _BATCH):
                    logits = self._network(_one_hot(table.tokens[rows])).squeeze(1)
                    labels = torch.from_numpy(table.label[rows].astype(np.float32))
                    optimiser.zero_grad()
                    functional.binary_cross_entropy_with_logits(logits, labels).backward()
                    optimiser.step()
                score = roc_auc_score(held_out, self.logits(table.tokens[fold.validation]))
                if score > best:
                    best = score
                    save_file(self._network.state_dict(), kept)
            self._network.load_state_dict(load_file(kept))


def _one_hot(windows: Tokens) -> Tensor:
    """``(n, length)`` → ``(n, 4, length)``; N is all zeros."""
    return torch.from_numpy(np.stack([windows == FIRST_NUCLEOTIDE + n for n in range(4)], axis=1).astype(np.float32))
