"""What the language model is compared with looks where a splice site is, and is measured as stated."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from simcsp.datasets.splits import Fold
from simcsp.datasets.windows import WindowTable, window_table
from simcsp.prediction.pieces import Piece, ScoredSites
from simcsp.sequence.alphabet import encode
from simcsp.sequence.candidates import Candidates
from simcsp.sequence.sites import ACCEPTOR, DONOR

if TYPE_CHECKING:
    from types import ModuleType

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
SITES = {DONOR: ("CAG", "GTAAGT"), ACCEPTOR: ("TTTTTTTTTTTTTTTTTCAG", "GTT")}  # around the boundary


@pytest.fixture
def scorers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("small_scorers")


@pytest.fixture
def table() -> WindowTable:
    """Windows of 60 nt: random ones with GT or AG in the middle, half of them with a whole splice site."""
    rng = np.random.default_rng(0)
    letters = rng.choice(list("ACGT"), (800, 60))
    kinds, labels = np.tile([DONOR, DONOR, ACCEPTOR, ACCEPTOR], 200), np.tile([0, 1], 400)
    for window, kind, label in zip(letters, kinds, labels, strict=True):
        window[29:31] = list("GT" if kind == DONOR else "AG")
        if label:
            before, behind = SITES[kind]
            boundary = 29 if kind == DONOR else 31
            window[boundary - len(before) : boundary + len(behind)] = list(before + behind)
    tokens = encode("".join(letters.ravel()).encode()).tokens.reshape(800, 60)
    columns = {"label": labels.astype(np.uint8), "site_type": kinds.astype(np.uint8)}
    names = [str(row) for row in range(800)]
    return window_table(tokens, **columns, species="x", group=names, origin=names)


@pytest.fixture
def fold() -> Fold:
    return Fold(np.arange(600), np.arange(600, 700), np.arange(700, 800))


def test_a_weight_matrix_learns_the_bases_around_the_boundary(
    scorers: ModuleType, table: WindowTable, fold: Fold
) -> None:
    matrix = scorers.WeightMatrix(table, fold)
    for kind, (before, behind) in SITES.items():
        best = np.array(list("ACGT"))[matrix._weights[kind].argmax(axis=1)]
        told = matrix._weights[kind].max(axis=1) > 0.5  # the dinucleotide is the same in decoys and says nothing
        assert "".join(best[told]) == "".join(np.array(list(before + behind))[told])
        assert told.sum() == len(before + behind) - 2
    probabilities = matrix(table.tokens[fold.test])
    assert (probabilities[table.label[fold.test] == 1] > 0.9).all()
    assert (probabilities[table.label[fold.test] == 0] < 0.1).all()


def test_the_network_has_about_7000_parameters_for_windows_of_100(scorers: ModuleType, table: WindowTable) -> None:
    wide = table._replace(tokens=np.concatenate([table.tokens, table.tokens[:, :40]], axis=1))
    network = scorers.SmallNetwork(wide, Fold(np.arange(256), np.arange(600, 700), np.arange(0)))
    assert network.parameters == 6889  # 336 + 1,296 in the convolutions, 5,220 + 37 in the dense layers
    assert network(wide.tokens[:3]).shape == (3,)
    assert network(wide.tokens[:0]).shape == (0,)


def test_sites_that_are_no_candidates_are_missed_and_doubtful_ones_left_out(scorers: ModuleType) -> None:
    scoring = importlib.import_module("genome_scoring")
    sites = Candidates(np.array([10, 20, 30, 40]), np.zeros(4, dtype=bool), np.full(4, DONOR, dtype=np.uint8))
    scored = ScoredSites("chr1", sites, np.zeros((4, 2), dtype=np.uint8), np.array([0.9, 0.8, 0.7, 0.1]))
    truth = scoring.Truth({(DONOR, False, 10), (DONOR, False, 30), (DONOR, False, 55)}, {(DONOR, False, 20)})
    top_k, precision = scoring._measures([scored], DONOR, [Piece("chr1", 0, 60)], truth)
    assert top_k == pytest.approx(2 / 3)  # of three sites two are among the three best of 10, 30, 40
    assert precision == pytest.approx(2 / 3)
