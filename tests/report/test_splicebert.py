import math

import pytest

from simcsp.report.splicebert import Measured, comparison, comparison_page

NAN = float("nan")
ROWS = [
    Measured("one-hot", 100, "published", (0.08, 0.07), (NAN, NAN), 31, NAN),
    Measured("splicebert.510nt", 4, "published", (0.311, 0.302), (0.258, 0.281), 40, 0.012),
    Measured("splicebert.510nt", 4, "corrected", (0.33, 0.34), (NAN, NAN), 38, 0.012),
    Measured("splicebert-human.510nt", 6, "published", (0.18, 0.08), (0.1, 0.1), 40, 0.03),
    Measured("mine", 2, "published", (0.1, 0.1), (0.1, 0.1), 9, 0.03),
]


def test_published_figures_stand_beside_the_measured_ones() -> None:
    table = comparison(ROWS).set_index(["model", "layer", "recipe"])
    published = ["donor_published", "acceptor_published"]
    assert table.loc[("one-hot", 100, "published"), published].tolist() == [0.081, 0.066]
    assert table.loc[("splicebert.510nt", 4, "corrected"), published].tolist() == [0.31, 0.30]
    assert table.loc[("splicebert-human.510nt", 6, "published"), published].tolist() == [0.18, 0.08]
    apart = ["donor_apart_published", "acceptor_apart_published"]
    assert table.loc[("splicebert.510nt", 4, "published"), apart].tolist() == [0.26, 0.28]
    assert all(math.isnan(value) for value in table.loc[("mine", 2, "published"), published])


@pytest.mark.parametrize(("sites", "assembly"), [(20_000, "hg38"), (19_000, "hg19")])
def test_other_sites_than_the_published_are_said_to_be_others(sites: int, assembly: str) -> None:
    page = comparison_page(comparison(ROWS), [], sites=sites, assembly=assembly, sources="Sites: a.bed.")
    assert f"These are {sites:,} sites on {assembly}, not the 20,000 on hg19" in page
    same = comparison_page(comparison(ROWS), [], sites=20_000, assembly="hg19", sources="Sites: a.bed.")
    assert "figures should agree to 0.01" in same
    assert "| splicebert.510nt | 4 | published | 0.311 / 0.302 | 0.310 / 0.300 | 40 |" in same
    assert "| one-hot | 100 | published | 0.080 / 0.070 | 0.081 / 0.066 | 31 | – | – | – |" in same


def test_sccs_on_spliceator_stands_beside_the_published_one() -> None:
    found = [("splicebert-human.510nt", "published", 0.03712), ("mine", "corrected", 0.2)]
    page = comparison_page(comparison(ROWS), found, sites=20_000, assembly="hg19", sources="")
    assert "| splicebert-human.510nt | published | 0.0371 | 0.0369 |" in page
    assert "| mine | corrected | 0.2000 | – |" in page
