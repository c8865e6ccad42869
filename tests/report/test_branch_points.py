from pathlib import Path

import pandas as pd

from simcsp.report.branch_points import branch_point_page, branch_point_scores


def written(folder: Path, label: list[int], probability: list[float]) -> Path:
    folder.mkdir()
    origin = [f"chr1:{row // 2}-{row // 2 + 27}:+" for row in range(len(label))]
    pd.DataFrame({"origin": origin, "label": label, "probability": probability}).to_parquet(
        folder / "predictions.parquet"
    )
    return folder


def test_scores_by_hand_and_their_mean_and_range(tmp_path: Path) -> None:
    """Average precision is 1 where the branch point ranks first, 1/2 where it ranks second."""
    folders = {
        ("model", 0): written(tmp_path / "a", [1, 0, 0, 0], [0.9, 0.4, 0.3, 0.2]),
        ("model", 1): written(tmp_path / "b", [0, 1, 0, 0], [0.9, 0.4, 0.3, 0.2]),
    }
    scores = branch_point_scores(folders)
    assert scores.average_precision.tolist() == [1.0, 0.5]
    assert scores.auroc.round(4).tolist() == [1.0, 0.6667]
    assert scores.f1.tolist() == [1.0, 0.0]
    assert scores[["introns", "nucleotides", "branch_points"]].to_numpy().tolist() == [[2, 4, 1]] * 2
    page = branch_point_page(scores, table="2 branch points", window=60, sources="Sources.")
    assert "By chance the average precision is 0.250." in page
    assert "| model | 0.750 (0.500 to 1.000) | 0.833 (0.667 to 1.000) | 0.500 (0.000 to 1.000) |" in page
