import numpy as np
import pytest

from simcsp.sequence import site_motifs
from simcsp.sequence.alphabet import A, G, decode


def test_motifs_are_distributions_that_spell_the_human_consensus() -> None:
    consensus = {
        "AAGGTAAGT": site_motifs.DONOR,
        "AAGGCAAGT": site_motifs.DONOR_GC,
        "TTCTAAT": site_motifs.BRANCH_POINT,
    }
    for word, matrix in consensus.items():
        np.testing.assert_allclose(matrix.sum(axis=1), 1)
        assert decode((matrix.argmax(axis=1) + A).astype(np.uint8)) == word
    np.testing.assert_allclose(site_motifs.ACCEPTOR.sum(axis=1), 1)
    assert decode((site_motifs.ACCEPTOR.argmax(axis=1) + A).astype(np.uint8)) == "TTTTTTTTTTTTCAGGT"


def test_branch_distances_agree_with_gao_2008() -> None:
    distances = np.random.default_rng(0).normal(*site_motifs.BRANCH_DISTANCE_MEAN_SPREAD, 20_000).round()
    assert np.mean((distances >= 21) & (distances <= 34)) == pytest.approx(0.83, abs=0.01)


def test_draw_follows_its_rows() -> None:
    rows = np.array([[0.1, 0.2, 0.3, 0.4], [0, 0, 1, 0], [1, 0, 0, 0]])
    drawn = site_motifs.draw(np.repeat(rows, 20_000, axis=0), np.random.default_rng(16)).reshape(3, -1)
    np.testing.assert_allclose(np.bincount(drawn[0] - A, minlength=4) / 20_000, rows[0], atol=0.015)
    assert (drawn[1] == G).all()
    assert (drawn[2] == A).all()


@pytest.mark.parametrize(
    ("matrix", "row", "published"),
    [  # Zhang (1998) as decimals, by position
        (site_motifs.DONOR, 0, (0.38, 0.31, 0.18, 0.13)),
        (site_motifs.DONOR, 1, (0.62, 0.10, 0.12, 0.16)),
        (site_motifs.DONOR, 2, (0.12, 0.04, 0.77, 0.07)),
        (site_motifs.DONOR, 5, (0.71, 0.02, 0.24, 0.03)),
        (site_motifs.DONOR, 6, (0.73, 0.06, 0.08, 0.13)),
        (site_motifs.DONOR, 7, (0.11, 0.06, 0.75, 0.08)),
        (site_motifs.DONOR, 8, (0.21, 0.10, 0.14, 0.55)),
        (site_motifs.ACCEPTOR, 0, (0.15, 0.24, 0.10, 0.51)),
        (site_motifs.ACCEPTOR, 10, (0.10, 0.22, 0.05, 0.63)),
        (site_motifs.ACCEPTOR, 12, (0.07, 0.55, 0.01, 0.37)),
        (site_motifs.ACCEPTOR, 15, (0.26, 0.11, 0.50, 0.13)),
        (site_motifs.BRANCH_POINT, 2, (0.00, 0.60, 0.00, 0.40)),
        (site_motifs.BRANCH_POINT, 3, (0.00, 0.02, 0.00, 0.98)),
        (site_motifs.BRANCH_POINT, 6, (0.18, 0.33, 0.03, 0.46)),
    ],
)
def test_rows_are_the_published_ones(matrix: site_motifs.Matrix, row: int, published: tuple[float, ...]) -> None:
    np.testing.assert_allclose(matrix[row], published, atol=1e-9)
