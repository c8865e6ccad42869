"""Settings of a run: typed, documented, refused when they make no sense.

One YAML file per run states only how it differs from the defaults here; every field can be overridden on the
command line (``--finetune.learning_rate 1e-4``). Unknown keys are errors that name the nearest known one.
"""

from simcsp.config.data import (
    ChunkConfig,
    ClassName,
    CorpusSource,
    DataConfig,
    DecoyConfig,
    OrthologueSource,
    Region,
    SiteName,
    SplitConfig,
    WindowSource,
)
from simcsp.config.experiments import BudgetConfig, PublishedConfig, SearchConfig, StudyConfig
from simcsp.config.run import RunConfig, as_plain, section_in
from simcsp.config.stages import (
    CNN,
    PRETRAINED,
    UNTRAINED,
    YARDSTICK,
    FinetuneConfig,
    PretrainConfig,
    RecipeConfig,
)
from simcsp.config.training import EncoderConfig, OptimiserConfig, PhaseConfig, Pooling, ViewConfig

__all__ = [
    "CNN",
    "PRETRAINED",
    "UNTRAINED",
    "YARDSTICK",
    "BudgetConfig",
    "ChunkConfig",
    "ClassName",
    "CorpusSource",
    "DataConfig",
    "DecoyConfig",
    "EncoderConfig",
    "FinetuneConfig",
    "OptimiserConfig",
    "OrthologueSource",
    "PhaseConfig",
    "Pooling",
    "PretrainConfig",
    "PublishedConfig",
    "RecipeConfig",
    "Region",
    "RunConfig",
    "SearchConfig",
    "SiteName",
    "SplitConfig",
    "StudyConfig",
    "ViewConfig",
    "WindowSource",
    "as_plain",
    "section_in",
]
