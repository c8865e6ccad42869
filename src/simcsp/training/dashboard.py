"""How TensorBoard shows a training: curves grouped by what they tell, and a page with those that matter side by side.

TensorBoard sorts groups and curves by name, capitals first; "at a glance" is what it opens with.
"""

from pathlib import Path

import yaml  # type: ignore[import-untyped]
from torch.utils.tensorboard import SummaryWriter

from simcsp import storage
from simcsp.config import RunConfig, as_plain

OVERVIEW = "overview"  # of a stage: its settings, and the layout of the page
_SCORES = {
    "f1": "F1",
    "auroc": "AUROC",
    "average_precision": "average precision",
    "precision": "precision",
    "recall": "recall",
    "accuracy": "accuracy",
    "mcc": "MCC",
}
_TAGS = {
    **{f"validation/{name}": f"classification/{title}" for name, title in _SCORES.items()},
    **{
        f"validation/{name}_{site}": f"classification of {site}s/{title}"
        for name, title in _SCORES.items()
        for site in ("donor", "acceptor")
    },
    "train/loss": "at a glance/loss",
    "validation/sccs": "at a glance/SCCS",
    "validation/nmi": "at a glance/NMI",
    "validation/f1": "at a glance/F1",
    "validation/nmi_donor": "clusters/NMI of donors",
    "validation/nmi_acceptor": "clusters/NMI of acceptors",
    "validation/nmi_seed_sd": "clusters/NMI, standard deviation over seeds",
    "validation/ami": "clusters/AMI",
    "validation/clusters": "clusters/number",
    "train/contrastive_loss": "contrast/loss",
    "train/negatives_per_anchor": "contrast/negatives per anchor",
    "validation/alignment": "embedding/alignment",
    "validation/uniformity": "embedding/uniformity",
    "validation/effective_rank": "embedding/effective rank",
    "validation/spread": "embedding/spread",
    "validation/sccs_ceiling": "embedding/SCCS, highest possible",
    "train/mlm_loss": "masked language model/loss, training",
    "train/mlm_accuracy": "masked language model/accuracy, training",
    "validation/mlm_loss": "masked language model/loss, held out",
    "validation/mlm_accuracy": "masked language model/accuracy, held out",
    "train/learning_rate": "optimiser/learning rate",
    "train/gradient_norm": "optimiser/gradient norm",
    "speed/tokens_per_second": "speed/tokens per second",
    "speed/mfu": "speed/MFU (share of the peak)",
    "speed/data_wait": "speed/waiting for data (share of the time)",
    "speed/peak_memory_gb": "speed/peak memory, GB",
}
# TensorBoard cuts off the highest and the lowest points of a curve unless told otherwise, which no file can do.
_ALL_POINTS = "untick “Ignore outliers in chart scaling” to see all points"
# Category → chart → names of its curves; a chart shows them for every training that has them.
_PAGE = {
    f"Loss, SCCS, NMI, F1 ({_ALL_POINTS})": {
        "Loss (training)": ["train/loss"],
        "SCCS": ["validation/sccs"],
        "NMI": ["validation/nmi"],
        "F1 (validation)": ["validation/f1"],
    },
    "Pre-training": {
        "MLM loss, nats per base": ["train/mlm_loss", "validation/mlm_loss"],
        "SimCSP loss": ["train/contrastive_loss"],
        "NMI within donors, within acceptors": ["validation/nmi_donor", "validation/nmi_acceptor"],
        "Spread of the embedding (0: collapsed)": ["validation/spread"],
    },
    "Fine-tuning": {
        "AUROC": ["validation/auroc"],
        "Average precision": ["validation/average_precision"],
        "F1 of donors": ["validation/f1_donor"],
        "F1 of acceptors": ["validation/f1_acceptor"],
    },
}


def tag_of(name: str) -> str:
    """Where TensorBoard shows a number of ``metrics.jsonl``; names that have no place keep their own.

    >>> tag_of("validation/auroc_donor")
    'classification of donors/AUROC'
    """
    return _TAGS.get(name, name)


def write_overview(folder: Path, config: RunConfig) -> None:
    """Put the settings and the page of charts on TensorBoard, once per stage however often it is begun.

    TensorBoard joins the layouts of all stages it finds into one page, and leaves out what is there already.
    """
    if (folder / OVERVIEW).exists():
        return
    settings = yaml.safe_dump(as_plain(config), sort_keys=False, allow_unicode=True)
    with storage.whole_folder(folder / OVERVIEW) as target, SummaryWriter(str(target)) as writer:
        writer.add_text("settings", f"```yaml\n{settings}```", 0)
        writer.add_custom_scalars(page_layout())


def page_layout() -> dict[str, dict[str, list[str | list[str]]]]:
    """The page as ``SummaryWriter.add_custom_scalars`` wants it; tags are regular expressions there."""
    return {
        category: {chart: ["Multiline", [f"{tag_of(name)}$" for name in names]] for chart, names in charts.items()}
        for category, charts in _PAGE.items()
    }
