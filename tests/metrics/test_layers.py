import numpy as np
import pytest

from simcsp.metrics.layers import MIXTURE, Sites, embedding_scores, layer_scores
from simcsp.metrics.nmi import NmiSettings, nmi
from simcsp.metrics.sccs import sccs

SETTINGS = NmiSettings(seeds=1)
SCORES = {
    "sccs", "nmi", "nmi_donor", "nmi_acceptor", "nmi_seed_sd", "ami", "ari", "homogeneity", "clusters",
    "probe_auroc", "probe_auroc_donor", "probe_auroc_acceptor",
}  # fmt: skip


@pytest.fixture
def sites() -> Sites:
    rng = np.random.default_rng(0)
    return Sites(rng.integers(0, 2, 120), rng.integers(0, 2, 120), np.arange(120).astype(str))


def test_every_layer_and_the_mixture_are_scored_under_each_pooling(sites: Sites) -> None:
    rng = np.random.default_rng(1)
    cls, site = (rng.normal(size=(120, 3, width)).astype(np.float32) for width in (4, 8))
    site[:, 1, 0] += 6 * sites.label
    rows = list(layer_scores({"cls": cls, "site": site}, sites, SETTINGS, seed=2))
    assert [(row["pooling"], row["layer"]) for row in rows] == [
        (pooling, layer) for pooling in ("cls", "site") for layer in ("0", "1", "2", MIXTURE)
    ]
    assert all(set(row) - {"weights"} == {"layer", "pooling", *SCORES} for row in rows)
    of_layer = rows[5]
    assert of_layer["sccs"] == sccs(site[:, 1], sites.label, 2).value
    assert of_layer["nmi"] == nmi(site[:, 1], sites.label, sites.site_type, SETTINGS, 2).value
    assert of_layer["probe_auroc"] > 0.95  # type: ignore[operator]
    weights = [float(weight) for weight in str(rows[7]["weights"]).split()]
    assert len(weights) == 3
    assert weights[1] == max(weights)
    assert sum(weights) == pytest.approx(1, abs=0.002)
    assert "weights" not in rows[6]


def test_a_layer_that_is_the_same_everywhere_scores_nothing(sites: Sites) -> None:
    scores = embedding_scores(np.ones((120, 4), dtype=np.float32), sites, SETTINGS, seed=0)
    assert (scores["sccs"], scores["nmi"], scores["homogeneity"], scores["clusters"]) == (0, 0, 0, 1)
    assert scores["probe_auroc"] == 0.5
