import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from simcsp.datasets.branch_points import REGION, BranchPoints, region_of
from simcsp.datasets.splits import Fold
from simcsp.datasets.windows import WindowTable, window_table
from simcsp.model.yardstick import CENTRE, branch_point_regression, logistic_regression, one_hot
from simcsp.sequence.alphabet import A, C, G, N, T

LENGTH = 24


def test_one_hot_by_hand() -> None:
    windows = np.array([[C, A, T, G], [A, N, G, A]], dtype=np.uint8)
    expected = [
        [0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0],
        [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0],
    ]
    assert one_hot(windows, centre=4).tolist() == expected
    assert one_hot(windows, centre=2).tolist() == [row[4:12] for row in expected]
    assert one_hot(windows).tolist() == expected  # narrower than the centre: all of it
    assert one_hot(windows).dtype == np.float32


@settings(deadline=None)
@given(st.lists(st.sampled_from([N, A, C, G, T]), min_size=6, max_size=6))
def test_n_is_all_zeros_and_every_other_nucleotide_one_one(letters: list[int]) -> None:
    hot = one_hot(np.array([letters], dtype=np.uint8), centre=6).reshape(6, 4)
    assert hot.sum(1).tolist() == [float(letter != N) for letter in letters]


def test_centre_ends_40_nt_from_the_middle_on_either_side() -> None:
    windows = np.full((1, 200), N, dtype=np.uint8)
    windows[0, [59, 140]] = G  # just outside
    assert not one_hot(windows).any()
    windows[0, [60, 139]] = G  # the first and the last inside
    assert np.flatnonzero(one_hot(windows)[0]).tolist() == [2, 4 * (CENTRE - 1) + 2]


@pytest.fixture
def table() -> WindowTable:
    """CAGGT at the centre makes a donor of a donor window, and a decoy of an acceptor window."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(A, T + 1, size=(600, LENGTH), dtype=np.uint8)
    site_type, motif = rng.integers(0, 2, size=(2, 600))
    tokens[motif == 1, 8:13] = [C, A, G, G, T]
    label = np.where(site_type == 0, motif, 1 - motif)
    names = [str(row) for row in range(600)]
    return window_table(tokens, label=label, site_type=site_type, species="x", group=names, origin=names)


@pytest.fixture
def fold() -> Fold:
    rows = np.random.default_rng(1).permutation(600)
    return Fold(rows[:300], rows[300:400], rows[400:])


def test_planted_motif_is_found_for_each_type_of_site(table: WindowTable, fold: Fold) -> None:
    probabilities = logistic_regression(table, fold, fold.test)
    assert probabilities.shape == (200,)
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    for site_type in (0, 1):
        rows = table.site_type[fold.test] == site_type
        assert roc_auc_score(table.label[fold.test][rows], probabilities[rows]) > 0.97


def test_labels_without_a_pattern_are_not_found(table: WindowTable, fold: Fold) -> None:
    shuffled = table._replace(label=np.random.default_rng(2).permutation(table.label))
    probabilities = logistic_regression(shuffled, fold, fold.test)
    assert 0.35 < roc_auc_score(shuffled.label[fold.test], probabilities) < 0.65


def test_test_labels_are_never_looked_at(table: WindowTable, fold: Fold) -> None:
    garbage = table.label.copy()
    garbage[fold.test] = np.random.default_rng(3).integers(2, 256, size=len(fold.test))
    first, again = (logistic_regression(t, fold, fold.test) for t in (table, table._replace(label=garbage)))
    assert np.array_equal(first, again)


def test_test_windows_do_not_change_the_model(table: WindowTable, fold: Fold) -> None:
    blank = table.tokens.copy()
    blank[fold.test] = N
    first, again = (logistic_regression(t, fold, fold.validation) for t in (table, table._replace(tokens=blank)))
    assert np.array_equal(first, again)


def test_probabilities_come_in_the_order_asked_for(table: WindowTable, fold: Fold) -> None:
    order = np.random.default_rng(4).permutation(len(fold.test))
    forward, mixed = (logistic_regression(table, fold, rows) for rows in (fold.test, fold.test[order]))
    np.testing.assert_allclose(mixed, forward[order], rtol=0, atol=1e-6)


def test_table_with_one_type_of_site_needs_no_other(table: WindowTable) -> None:
    donors = table.take(table.site_type == 0)
    rows = np.arange(len(donors.label))
    fold = Fold(rows[:150], rows[150:200], rows[200:])
    assert np.isfinite(logistic_regression(donors, fold, fold.test)).all()


def test_penalty_is_the_best_on_validation(table: WindowTable, fold: Fold) -> None:
    """Validation labels turned round make the worst model the best; only the choice of penalty can change."""
    turned = table.label.copy()
    turned[fold.validation] = 1 - turned[fold.validation]
    straight, other = (logistic_regression(t, fold, fold.validation) for t in (table, table._replace(label=turned)))
    for site_type in (0, 1):
        rows = table.site_type[fold.validation] == site_type
        truth = table.label[fold.validation][rows]
        assert roc_auc_score(truth, straight[rows]) >= roc_auc_score(truth, other[rows])
    assert not np.allclose(straight, other)


def test_branch_points_are_found_by_place_and_by_motif() -> None:
    """A TACTAAC in every region, mostly far from the exon; the nucleotides beside its branch point are no motif."""
    rng = np.random.default_rng(0)
    rows, length = 300, 61
    tokens = rng.choice([A, C, G, T], (rows, length)).astype(np.uint8)
    label = np.zeros((rows, REGION), dtype=np.int8)
    place = rng.choice(np.arange(3, 12), rows)
    for row, at in enumerate(place):
        label[row, at] = 1
        label[row, at + 1] = -100
        start = region_of(length).start + at - 5
        tokens[row, start : start + 7] = [T, A, C, T, A, A, C]
    names = np.arange(rows).astype(str)
    table = BranchPoints(tokens, label, names, names)
    fold = Fold(np.arange(200), np.arange(200, 240), np.arange(240, 300))
    probabilities = branch_point_regression(table, fold)
    assert probabilities.shape == (60, REGION)
    asked = label[fold.test] >= 0
    assert average_precision_score(label[fold.test][asked], probabilities[asked]) > 0.95
    assert probabilities[:, 3:12].mean() > 3 * probabilities[:, 14:].mean()
