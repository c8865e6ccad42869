"""Two-dimensional UMAP layouts (McInnes et al. 2018): for the eye only, no number is computed from them."""

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

PICTURED, PICTURED_IN_TRAINING = 2000, 300  # windows in a picture of an encoder, and in one while it trains
_COMPONENTS = 50
_NEIGHBOURS = 15


def umap_layout(embeddings: NDArray[np.floating], seed: int) -> NDArray[np.float32]:
    """Lay out ``(n, d)`` embeddings as ``(n, 2)``; the same seed gives the same picture."""
    rows, width = embeddings.shape
    components = PCA(min(_COMPONENTS, width, rows - 1), random_state=seed).fit_transform(embeddings)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Tensorflow not installed", ImportWarning)
        warnings.simplefilter("ignore", UserWarning)  # n_jobs is set to 1 when there is a seed: that is wanted
        from umap import UMAP  # noqa: PLC0415 - compiles for seconds; only what draws pays for it

        layout = UMAP(n_neighbors=min(_NEIGHBOURS, rows - 1), random_state=seed, n_jobs=1).fit_transform(components)
    return np.asarray(layout, dtype=np.float32)
