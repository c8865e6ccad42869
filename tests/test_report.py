"""What the report of a run says of it."""

from pathlib import Path

import pandas as pd

import report
from simcsp.config import FinetuneConfig, PhaseConfig, PretrainConfig, RunConfig
from simcsp.report.run_files import RunFiles


def test_one_kept_encoder_can_be_fine_tuned_without_the_others(tmp_path: Path) -> None:
    phase = PhaseConfig(steps=12, evaluate_every=4, contrastive_weight=1)
    config = RunConfig(
        pretrain=PretrainConfig(baseline=phase, contrast=phase, keep_measured=True),
        finetune=FinetuneConfig(initialisations=("baseline", "contrast-8")),
    )
    scores = {"validation/sccs": 0.3, "validation/nmi": 0.1, "validation/mlm_loss": 1.2}
    records = [{"step": step, **scores} for step in (0, 4, 8, 12)]
    nothing = pd.DataFrame()
    files = RunFiles(
        manifest={}, record={}, architecture={}, kept={}, phases={"baseline": records, "contrast": records},
        scores=nothing, layers=nothing, layouts={}, predictions={}, transfer=None,
    )  # fmt: skip
    rows = [(name, str(fold)) for name in ("baseline", "contrast-8") for fold in range(3)]
    table = pd.DataFrame(
        {"f1": 0.8, "auroc": 0.9, "sccs": 0.4, "nmi": 0.2},
        index=pd.MultiIndex.from_tuples(rows, names=["model", "fold"]),
    )
    (section,) = report._more(config, files, table, [], tmp_path)
    assert "| contrast-8 | 20 |" in section
    assert pd.read_csv(tmp_path / "trajectory.csv").encoder.tolist() == ["baseline", "contrast-8"]
