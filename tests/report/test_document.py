import math
import re

import pandas as pd
import pytest

from simcsp.metrics.significance import Interval
from simcsp.report.comparisons import against_baseline
from simcsp.report.document import markdown_report
from simcsp.report.tables import fold_scores, layer_summary, site_means

TITLES = ("BASELINE", "BEST_SCCS", "BEST_NMI", "random start", "logistic regression")
WINDOWS = dict.fromkeys(("best_sccs", "best_nmi", "random", "logistic_regression"), Interval(0.0, -0.0123, 0.0456))
FACTS = {"data": "demo: 1,000 windows", "seed": "7"}


def report_on(scores: pd.DataFrame, layers: pd.DataFrame) -> str:
    table = fold_scores(scores)
    selection = scores[scores.fold == "selection"]
    return markdown_report(
        run="my-run",
        said="**Does it help?** It does.",
        facts=FACTS,
        table=table,
        sites=site_means(scores),
        pretraining=selection.pivot_table(index="model", columns="metric", values="value", sort=False),
        layers=layer_summary(layers),
        comparisons=against_baseline(table, 2 / 7, WINDOWS),
        more=["## More\n\nOf this run alone."],
        doubts=["One.", "Two."],
    )


@pytest.fixture
def report(scores: pd.DataFrame, layers: pd.DataFrame) -> str:
    return report_on(scores, layers)


def section(report: str, title: str) -> str:
    """The text under a heading, up to the next one."""
    found = re.search(rf"^#+ {re.escape(title)}$(.*?)(?=^#|\Z)", report, flags=re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1]


def rows_of(text: str) -> dict[str, list[str]]:
    """First cell → other cells of the rows of a Markdown table."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return {row[0]: row[1:] for row in cells}


def test_report_has_every_section_in_order(report: str) -> None:
    assert report.startswith("# Run my-run\n\n**Does it help?** It does.\n")
    assert re.findall(r"^##+ (.*)$", report, flags=re.MULTILINE) == [
        "What was run",
        "Fine-tuned, on the test part of every fold",
        "Against BASELINE",
        "Donors and acceptors apart",
        "Pre-trained, not fine-tuned",
        "Layers and poolings",
        "More",
        "What to distrust",
    ]


@pytest.mark.parametrize(
    ("title", "models"),
    [
        ("Fine-tuned, on the test part of every fold", TITLES),
        ("Donors and acceptors apart", TITLES),
        ("Pre-trained, not fine-tuned", TITLES[:3]),
        ("Layers and poolings", TITLES[:3]),
    ],
)
def test_tables_hold_every_model_in_order(report: str, title: str, models: tuple[str, ...]) -> None:
    _, _, *found = rows_of(section(report, title))
    assert tuple(found) == models


def test_every_table_row_has_as_many_cells_as_its_header(report: str) -> None:
    tables = re.findall(r"(?:^\|.*\|$\n?)+", report, flags=re.MULTILINE)
    assert len(tables) == 6
    for table in tables:
        widths = {line.count("|") for line in table.splitlines()}
        assert len(widths) == 1


def test_facts_are_listed(report: str) -> None:
    facts = rows_of(section(report, "What was run"))
    assert (facts["data"], facts["seed"]) == (["demo: 1,000 windows"], ["7"])


def test_means_come_with_spread_and_with_what_was_before(report: str) -> None:
    rows = rows_of(section(report, "Fine-tuned, on the test part of every fold"))
    assert rows["model"] == ["F1", "AUROC", "average precision", "SCCS", "NMI"]
    assert rows["BASELINE"][0] == "0.9200 ± 0.0200"
    assert rows["BEST_SCCS"][3:] == ["0.4000 ± 0.0000 (0.200)", "0.4000 ± 0.1000 (0.100)"]
    assert rows["logistic regression"][3:] == ["–", "–"]


def test_comparisons_come_with_interval_and_words(report: str) -> None:
    lines = [line for line in section(report, "Against BASELINE").splitlines() if line.startswith("| random")]
    assert len(lines) == 5
    assert "| F1 | -0.1033 |" in lines[0]
    assert lines[0].endswith("| worse than BASELINE |")


def test_comparisons_come_with_effect_and_interval_over_windows(report: str) -> None:
    rows = [line.split(" | ") for line in section(report, "Against BASELINE").splitlines() if "BEST_SCCS" in line]
    assert rows[0][4:6] == ["-0.0123 to +0.0456", "+3.00"]  # differences 0.03, 0.02 and 0.04: 0.03 / 0.01
    assert rows[1][4] == "–"


def test_pre_trained_encoders_come_with_what_nmi_hides(report: str) -> None:
    rows = rows_of(section(report, "Pre-trained, not fine-tuned"))
    assert rows["encoder"] == ["SCCS", "NMI", "AMI", "linear probe, AUROC"]
    assert rows["BASELINE"] == ["0.5000", "0.2500", "0.2400", "0.9000"]


def test_best_layers_are_named_with_the_weights_of_a_mixture(report: str) -> None:
    rows = rows_of(section(report, "Layers and poolings"))
    assert rows["BEST_SCCS"] == [
        "0.200 (layer 0, site)", "0.280 (layer 1, site)", "0.900 (layer 1, site)", "0.100 0.900 (site)",
    ]  # fmt: skip


def test_sites_are_apart(report: str) -> None:
    rows = rows_of(section(report, "Donors and acceptors apart"))
    assert rows["model"][::3] == ["donor F1", "acceptor F1"]
    assert rows["BASELINE"][::3] == ["0.9400", "0.9000"]


def test_pictures_are_those_the_report_is_written_with(report: str) -> None:
    assert re.findall(r"!\[[^]]+\]\((.*?)\)", report) == [
        "f1.png", "curves.png", "pretraining.png", "umap.png", "layers.png",
    ]  # fmt: skip


def test_nothing_undefined_is_printed(scores: pd.DataFrame, layers: pd.DataFrame, report: str) -> None:
    assert "nan" not in report.lower()
    undefined = scores.copy()
    undefined.loc[(undefined.model == "best_nmi") & (undefined.fold == "selection"), "value"] = math.nan
    undefined.loc[(undefined.model == "random") & undefined.metric.isin(["nmi", "sccs"]), "value"] = math.nan
    undefined.loc[(undefined.model == "best_nmi") & (undefined.site == "donor"), "value"] = math.nan
    undefined.loc[(undefined.metric == "nmi") & undefined.fold.isin(["0", "1"]), "value"] = math.nan
    unmixed = layers[layers.layer != "mixture"].assign(probe_auroc=math.nan)
    assert "nan" not in report_on(undefined, unmixed).lower()


def test_doubts_are_a_list_at_the_end(report: str) -> None:
    assert section(report, "What to distrust").split("\n") == ["", "", "- One.", "- Two.", ""]
