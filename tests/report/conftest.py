from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from simcsp.report.comparisons import Comparison

MODELS = ["baseline", "best_sccs", "best_nmi", "random", "logistic_regression"]
RATIO = 2 / 7  # test to training windows, of a split into 2, 1 and 7 parts
F1 = {
    "baseline": (0.90, 0.92, 0.94),
    "best_sccs": (0.93, 0.94, 0.98),  # differences 0.03, 0.02, 0.04
    "best_nmi": (0.90, 0.93, 0.93),  # 0, 0.01, -0.01
    "random": (0.80, 0.81, 0.84),  # -0.10, -0.11, -0.10
    "logistic_regression": (0.70, 0.80, 0.60),
}


@pytest.fixture
def scores() -> pd.DataFrame:
    """Scores of five models on three folds as the evaluation writes them; AUROC is F1 + 0.01, and so on."""
    rows: list[tuple[str, str, str, str, float]] = []
    for model in MODELS[:3]:
        measured = {"sccs": 0.5, "nmi": 0.25, "nmi_donor": 0.2, "nmi_acceptor": 0.3, "ami": 0.24, "probe_auroc": 0.9}
        rows += [(model, "selection", "all", metric, value) for metric, value in measured.items()]
    for model in MODELS:
        for fold, f1 in enumerate(F1[model]):
            for site, shift in (("all", 0.0), ("donor", 0.02), ("acceptor", -0.02)):
                values = {"f1": f1 + shift, "precision": 0.5, "auroc": f1 + shift + 0.01, "average_precision": f1 / 2}
                rows += [(model, str(fold), site, metric, value) for metric, value in values.items()]
            if model != "logistic_regression":
                encoder = {"nmi_before": 0.1, "sccs_before": 0.2, "nmi": 0.3 + fold / 10, "sccs": 0.4}
                rows += [(model, str(fold), "all", metric, value) for metric, value in encoder.items()]
    return pd.DataFrame(rows, columns=["model", "fold", "site", "metric", "value"])


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def layers() -> pd.DataFrame:
    """Scores of two layers and a mixture as the evaluation writes them; the best by each score is another one."""
    return pd.DataFrame(
        [
            (model, layer, pooling, 0.1 + shift * sccs, 0.2 + shift * nmi, probe, weights)
            for shift, model in enumerate(MODELS[:3], start=1)
            for layer, pooling, sccs, nmi, probe, weights in (
                ("0", "cls", 0.0, 0.01, np.nan, np.nan),
                ("1", "cls", 0.01, 0.02, 0.7, np.nan),
                ("mixture", "cls", 0.0, 0.0, 0.8, "0.400 0.600"),
                ("0", "site", 0.05, 0.0, 0.6, np.nan),
                ("1", "site", 0.0, 0.04, 0.9, np.nan),
                ("mixture", "site", 0.0, 0.0, 0.85, "0.100 0.900"),
            )
        ],
        columns=["model", "layer", "pooling", "sccs", "nmi", "probe_auroc", "weights"],
    )


@pytest.fixture
def compared() -> Callable[..., Comparison]:
    """``compared(model, difference, p, reference, variant)``: a comparison on F1 that came out so."""

    def make(model: str, difference: float, p: float, reference: str = "baseline", variant: str = "v") -> Comparison:
        return Comparison(
            variant=variant, reference=reference, model=model, metric="f1", pairs=5, difference=difference,
            low=difference - 0.01, high=difference + 0.01, p=p, effect=1.0, detectable=0.023, p_holm=p,
        )  # fmt: skip

    return make
