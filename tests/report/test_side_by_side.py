from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from simcsp import runs, storage
from simcsp.config import FinetuneConfig, RunConfig, SplitConfig, as_plain
from simcsp.errors import InputError
from simcsp.metrics.significance import corrected_t_test
from simcsp.report.joined import variants
from simcsp.report.side_by_side import (
    differences,
    mean_scores,
    pretraining_figure,
    read_runs,
    score_table,
    scores_figure,
)
from simcsp.training.log import RunLog


def write_run(root: Path, name: str, scores: pd.DataFrame, **settings: object) -> None:
    folder = root / "runs" / name / "evaluation"
    storage.write_json(folder / runs.CONFIG, as_plain(RunConfig(run=name, **settings)))  # type: ignore[arg-type]
    scores.to_csv(folder / runs.SCORES, index=False)
    storage.write_json(folder / runs.DONE, {})


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scores: pd.DataFrame) -> list[str]:
    """Two runs of the same windows that share pre-training and differ in seed and split, and one with its own."""
    monkeypatch.setattr(runs, "ROOT", tmp_path)
    storage.write_json(
        tmp_path / "data/prepared/demo/manifest.json",
        {"split": {"windows per part": [100] * 11}, "exposure": {"windows": 3, "of": 4}},
    )
    write_run(tmp_path, "one", scores)
    write_run(
        tmp_path, "two", scores.assign(value=scores.value - 0.1), seed=1, split=SplitConfig(seed=1), pretrained="one"
    )
    write_run(tmp_path, "other", scores, seed=2)
    for name, shift in (("one", 0.0), ("other", 0.3)):
        for phase in ("baseline", "contrast"):
            with RunLog(tmp_path / "runs" / name / "pretrain" / f"phase-{phase}", 0) as log:
                for step in (0, 10, 20):
                    measured = {"validation/sccs": shift + step / 100, "validation/nmi": 0.1}
                    log.scalars(step, {**measured, "validation/mlm_loss": 1.2})
                    log.scalars(step, {"train/loss": 1.0})
    return ["one", "two"]


def test_runs_are_named_each_once(names: list[str]) -> None:
    assert [run.name for run in read_runs([" one", "two "])] == names
    for wrong in ([], [""], ["one", "one"]):
        with pytest.raises(InputError, match="name runs, each once"):
            read_runs(wrong)
    with pytest.raises(InputError, match=r"runs/none: there is no such run\. Evaluated runs: one, other, two"):
        read_runs(["none"])


def test_how_the_work_is_done_sets_no_run_apart(names: list[str], tmp_path: Path, scores: pd.DataFrame) -> None:
    write_run(tmp_path, "faster", scores, seed=3, finetune=FinetuneConfig(parallel=2))
    assert set(variants(read_runs([*names, "faster"]))) == {"all runs"}


def test_means_have_the_interval_of_the_corrected_t_distribution(names: list[str]) -> None:
    runs_read = read_runs(names)
    means = mean_scores(runs_read)
    assert len(means) == 2 * 5 * 2
    row = means[(means.run == "one") & (means.model == "baseline") & (means.metric == "f1")].iloc[0]
    wanted = corrected_t_test(np.array([0.90, 0.92, 0.94]), runs_read[0].test_to_train)
    assert (row["mean"], row.low) == (pytest.approx(0.92), pytest.approx(wanted.interval[0]))
    assert row.high == pytest.approx(min(1.0, wanted.interval[1]))


def test_the_table_has_means_with_their_intervals_in_the_order_of_the_runs(names: list[str]) -> None:
    means = mean_scores(read_runs(names[::-1]))
    table = score_table(means)
    assert table.columns.tolist() == ["F1", "AUROC"]
    assert table.index.tolist()[:2] == [("two", "BASELINE"), ("two", "BEST_SCCS")]
    row = means[(means.run == "one") & (means.metric == "f1")].iloc[0]
    assert table.loc[("one", "BASELINE"), "F1"] == f"0.9200 ({row.low:.3f} to {row.high:.3f})"


def test_every_mean_is_a_point_and_every_run_a_group(names: list[str]) -> None:
    figure = scores_figure(mean_scores(read_runs(names)))
    assert [axes.get_xlabel().split()[0] for axes in figure.axes] == ["F1", "AUROC"]
    points = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [np.asarray(line.get_xdata())[0] for line in points][:2] == pytest.approx([0.92, 0.95])
    assert len({np.asarray(line.get_ydata())[0] for line in points}) == 10
    assert [text.get_text() for text in figure.axes[0].texts] == names


def test_phases_follow_each_other_and_shared_pretraining_is_one_curve(names: list[str]) -> None:
    figure = pretraining_figure([*names, "other"])
    assert [axes.get_ylabel() for axes in figure.axes] == [
        "held-out MLM loss (nats per base)",
        "SCCS (Spearman)",
        "NMI",
    ]
    lines = [line for line in figure.axes[1].lines if line.get_marker() == "o"]
    assert [np.asarray(line.get_xdata()).tolist() for line in lines] == [[0, 10, 20], [20, 30, 40]] * 2
    assert np.asarray(lines[2].get_ydata()).tolist() == pytest.approx([0.3, 0.4, 0.5])
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["one, two", "other"]


def test_differences_are_those_of_the_report_in_words(names: list[str]) -> None:
    table = differences(read_runs(names))
    assert table.runs.unique().tolist() == ["all runs"]
    assert table.pairs.unique().tolist() == [6]  # three folds of two splits
    best = table[table.model == "BEST_SCCS"].iloc[0]
    assert best["F1 − BASELINE"] == "+0.0300"
    # Differences 0.03, 0.02, 0.04 twice: variance 8e-5, t = 0.03 / sqrt((1/6 + 2/7) · 8e-5) = 4.99 on 5 degrees.
    assert best["in words"] == "better than BASELINE"
