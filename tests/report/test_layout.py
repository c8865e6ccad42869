import numpy as np
import pytest

from simcsp.report.layout import umap_layout


@pytest.fixture(scope="module")
def blobs() -> np.ndarray:
    """Three groups of 20 far apart in 60 dimensions."""
    rng = np.random.default_rng(0)
    return (np.repeat(np.eye(3, 60), 20, axis=0) * 50 + rng.normal(size=(60, 60))).astype(np.float32)


def test_groups_far_apart_stay_apart_and_the_seed_decides_the_picture(blobs: np.ndarray) -> None:
    layout = umap_layout(blobs, seed=0)
    assert layout.shape == (60, 2)
    assert layout.dtype == np.float32
    groups = layout.reshape(3, 20, 2)
    centres = groups.mean(axis=1)
    spread = np.linalg.norm(groups - centres[:, None], axis=2).max()
    between = np.linalg.norm(centres[[0, 0, 1]] - centres[[1, 2, 2]], axis=1).min()
    assert between > 2 * spread
    assert (layout == umap_layout(blobs, seed=0)).all()
    assert not (layout == umap_layout(blobs, seed=1)).all()


@pytest.mark.parametrize(("rows", "width"), [(4, 60), (10, 2), (12, 1)])
def test_few_windows_and_narrow_embeddings_have_a_layout_too(blobs: np.ndarray, rows: int, width: int) -> None:
    layout = umap_layout(blobs[::5, :width][:rows], seed=0)
    assert layout.shape == (rows, 2)
    assert np.isfinite(layout).all()
