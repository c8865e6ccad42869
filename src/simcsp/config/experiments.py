"""What is tried around a run: quirks of the published code, the search for settings, studies of several runs."""

from dataclasses import dataclass

from simcsp.config.checks import require
from simcsp.config.stages import FinetuneConfig
from simcsp.config.training import Pooling


@dataclass(frozen=True, kw_only=True)
class PublishedConfig:
    """Quirks of the published code, to reproduce its numbers; each is off unless asked for.

    Attributes:
        minus_strand_offset: for NMI, pool windows of the minus strand one nucleotide upstream of the site, as the
            published embedding code does (SpliceBERT's fetch_embedding.py, SimCSP's embedding_gen.py).
        logit_threshold: call splice sites at logit 0.5, a probability of 0.622 (SpliceBERT's
            predict_by_splicebert.py), for F1, precision, recall, accuracy and MCC.
        doubled_special_tokens: measure SCCS on `[CLS]` of windows framed twice by special tokens and cut to 400
            tokens, as SimCSP's S3 pairs are.
        unspaced_contrast: contrast `[CLS] [UNK] [SEP]` with itself, which is what SpliceBERT's tokenizer made of the
            un-spaced windows that SimCSP's pretrain.py gave it; no nucleotide reaches the contrastive phase.
    """

    minus_strand_offset: bool = False
    logit_threshold: bool = False
    doubled_special_tokens: bool = False
    unspaced_contrast: bool = False


Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """Search for the settings of the contrastive phase with the highest SCCS on the selection part.

    Attributes:
        trials: contrastive trainings from BASELINE, those that are stopped early included.
        startup: trials that are drawn at random and run to their end before the search learns from them.
        learning_rate: lowest and highest, on a log scale.
        temperature: likewise.
        dropout: lowest and highest.
        mlm_weight: likewise; that of SimCSP is 1.
        batch_size: choices.
        drop_layers: choices; top layers that BASELINE is cut by.
        pooling: choices.
    """

    trials: int = 20
    startup: int = 5
    learning_rate: Range = (3e-5, 1e-3)
    temperature: Range = (0.02, 0.2)
    dropout: Range = (0.05, 0.3)
    mlm_weight: Range = (0.0, 1.0)
    batch_size: tuple[int, ...] = (32, 64, 128)
    drop_layers: tuple[int, ...] = (0, 1)
    pooling: tuple[Pooling, ...] = ("cls", "mean", "site")

    def __post_init__(self) -> None:
        require(self.trials > 0 and self.startup > 0, "search.trials and search.startup must be above 0")
        for name in ("learning_rate", "temperature", "dropout", "mlm_weight"):
            low, high = getattr(self, name)
            positive = name in {"learning_rate", "temperature"}
            require((low > 0 if positive else low >= 0) and low <= high, f"search.{name} is a range, the lowest first")
        require(self.dropout[1] < 1, "search.dropout is a range of shares, below 1")
        for name in ("batch_size", "drop_layers", "pooling"):
            require(bool(getattr(self, name)), f"search.{name} must name a choice")
        require(min(self.batch_size) >= 2, "search.batch_size must be at least 2")
        require(min(self.drop_layers) >= 0, "search.drop_layers must not be negative")


@dataclass(frozen=True, kw_only=True)
class BudgetConfig:
    """A number of labels, and how they are learned from.

    Attributes:
        labels: training windows used per fold; 0 uses all.
        epochs: as in `finetune`: few labels need more of them.
        batch_size: likewise.
        validation: validation windows used per fold; 0 uses all.
    """

    labels: int
    epochs: int
    batch_size: int
    validation: int = 0

    def __post_init__(self) -> None:
        FinetuneConfig(labels=self.labels, epochs=self.epochs, batch_size=self.batch_size, validation=self.validation)


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """Runs that are compared together: every seed with every number of labels.

    Attributes:
        seeds: each pre-trains, and fine-tunes, once more.
        budgets: numbers of labels; a study needs at least one.
    """

    seeds: tuple[int, ...] = (0, 1, 2)
    budgets: tuple[BudgetConfig, ...] = ()

    def __post_init__(self) -> None:
        require(bool(self.seeds), "study.seeds must name at least one")
        require(len(set(self.seeds)) == len(self.seeds), "study.seeds names one twice")
        labels = [budget.labels for budget in self.budgets]
        require(len(set(labels)) == len(labels), "study.budgets names one number of labels twice")
