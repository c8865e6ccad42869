"""Trials of a hyper-parameter search: settings of the contrastive phase, each tried from BASELINE on.

Every trial has a folder with its training and, once it has ended, ``done.json``. That is all a search remembers: what
is asked next follows from the seed, the number of the trial and the trials before it (``optuna``: Akiba et al. 2019),
so a search that was killed asks the same again and goes on with the training from its last checkpoint.
"""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optuna
from accelerate import Accelerator
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial
from tensorboard.plugins.hparams import summary_v2 as hparams
from torch.utils.tensorboard import SummaryWriter

from simcsp import runs, storage
from simcsp.config import RunConfig, SearchConfig
from simcsp.console import say
from simcsp.datasets.corpus import Corpus
from simcsp.datasets.pairs import PairSource
from simcsp.datasets.windows import WindowTable
from simcsp.errors import InputError
from simcsp.model.encoder import load_checkpoint, remove_top_layers, require_layers
from simcsp.training.log import RunLog, read_metrics
from simcsp.training.loop import Measure
from simcsp.training.pretraining import SCCS, SelectionMeasure, run_phase

RATE, TEMPERATURE = "pretrain.contrast.learning_rate", "pretrain.contrast.temperature"
BATCH, MLM_WEIGHT = "pretrain.contrast.batch_size", "pretrain.contrast.mlm_weight"
DROPOUT, DROP_LAYERS, POOLING = "encoder.dropout", "encoder.drop_layers", "encoder.pooling"
FIXED = {"pretrain.contrast.contrastive_weight": 1.0}  # in every trial
COMPLETE, PRUNED, FAILED = "complete", "pruned", "failed"
_STATES = {COMPLETE: TrialState.COMPLETE, PRUNED: TrialState.PRUNED, FAILED: TrialState.FAIL}


class TrialResult(NamedTuple):
    """What came of a trial.

    Attributes:
        number: of the trial, from 0.
        state: ``complete``, ``pruned`` or ``failed``.
        settings: dotted name of each setting that was tried → its value.
        sccs: best on the selection part after step 0, nan if it failed.
        course: SCCS by step, step 0 included.
    """

    number: int
    state: str
    settings: dict[str, Any]
    sccs: float
    course: dict[int, float]


def search_space(search: SearchConfig) -> dict[str, BaseDistribution]:
    """Dotted name of each setting → where it is drawn from."""
    return {
        RATE: FloatDistribution(*search.learning_rate, log=True),
        TEMPERATURE: FloatDistribution(*search.temperature, log=True),
        DROPOUT: FloatDistribution(*search.dropout),
        MLM_WEIGHT: FloatDistribution(*search.mlm_weight),
        BATCH: CategoricalDistribution(search.batch_size),
        DROP_LAYERS: CategoricalDistribution(search.drop_layers),
        POOLING: CategoricalDistribution(search.pooling),
    }


def with_settings(config: RunConfig, settings: dict[str, Any]) -> RunConfig:
    """The configuration with the settings of a trial.

    Raises:
        ValueError: if the settings do not go with each other or with the rest.
    """
    changes: dict[str, dict[str, Any]] = {}
    for dotted, value in (FIXED | settings).items():
        section, name = dotted.rsplit(".", 1)
        changes.setdefault(section, {})[name] = value
    contrast = replace(config.pretrain.contrast, **changes["pretrain.contrast"])
    return replace(
        config,
        encoder=replace(config.encoder, **changes["encoder"]),
        pretrain=replace(config.pretrain, contrast=contrast, keep_measured=False),
    )


def require_searchable(config: RunConfig, baseline: Path) -> None:
    """Make sure that every trial of a search can be trained, before the first is.

    Args:
        config: of the run.
        baseline: folder of the encoder that every trial starts from.

    Raises:
        InputError: if BASELINE has lost layers already, if a weight is to change along a trial, or if a choice does not
            go with the others, with the rest of the configuration or with the layers of BASELINE.
    """
    if config.encoder.drop_layers:
        raise InputError(
            "search: BASELINE has lost layers to encoder.drop_layers already, and trials would lose more",
            hint="Search from a run with encoder.drop_layers 0; search.drop_layers has the choices",
        )
    phase = config.pretrain.contrast
    if phase.mlm_weight_end is not None or phase.contrastive_weight_end is not None:
        raise InputError(
            "search: weights are constant in a trial",
            hint="Leave mlm_weight_end and contrastive_weight_end of pretrain.contrast out",
        )
    layers = int(storage.read_json(baseline / "config.json")["num_hidden_layers"])
    for settings in _extremes(config.search):
        try:
            tried = with_settings(config, settings)
        except ValueError as error:
            shown = ", ".join(f"{name} {value}" for name, value in settings.items())
            raise InputError(f"search: {error}", hint=f"Narrow the search; it holds a trial with {shown}") from error
        require_layers(tried.encoder, layers)


def _extremes(search: SearchConfig) -> Iterator[dict[str, Any]]:
    """All choices with the lowest and the highest of every range."""
    space = search_space(search)
    values = [
        (one.low, one.high) if isinstance(one, FloatDistribution) else one.choices
        for one in space.values()
        if isinstance(one, FloatDistribution | CategoricalDistribution)
    ]
    for chosen in product(*values):
        yield dict(zip(space, chosen, strict=True))


class Search:
    """Trials of one search, each in a folder of its own.

    Args:
        config: of the run; its pre-training has finished.
        corpus: drawn from.
        selection: windows that SCCS is measured on; no other is looked at.
        baseline: folder of the encoder that every trial starts from.
        folder: of the search.
        accelerator: device and precision.
        pairs: what SimCSP contrasts instead of windows of the corpus.
    """

    def __init__(
        self,
        config: RunConfig,
        corpus: Corpus,
        selection: WindowTable,
        baseline: Path,
        folder: Path,
        accelerator: Accelerator,
        pairs: PairSource | None = None,
    ) -> None:
        self.config, self.corpus, self.selection, self.pairs = config, corpus, selection, pairs
        self.baseline, self.folder, self.accelerator = baseline, folder, accelerator
        optuna.logging.set_verbosity(optuna.logging.WARNING)

    def finished(self) -> list[TrialResult]:
        """Results of the trials that have ended, in order."""
        results: list[TrialResult] = []
        while (path := self._folder_of(len(results)) / runs.DONE).exists():
            found = storage.read_json(path)
            course = {int(step): value for step, value in found["course"].items()}
            sccs = float("nan") if found["sccs"] is None else found["sccs"]
            results.append(TrialResult(len(results), found["state"], found["settings"], sccs, course))
        return results

    def run_next(self) -> TrialResult:
        """Run the trial after those that have ended, or go on with it."""
        before = self.finished()
        trial = self._ask(before)
        folder, settings = self._folder_of(len(before)), dict(trial.params)
        state = self._train(trial, with_settings(self.config, settings), folder)
        course = _course(folder)
        later = _after_baseline(course)
        sccs = max(later.values()) if later and state != FAILED else float("nan")
        result = TrialResult(len(before), state, settings, sccs, course)
        _write_hparams(folder, result, self.config.run)
        for checkpoint in folder.glob("*checkpoint-*"):
            shutil.rmtree(checkpoint)
        runs.close_stage(folder, {key: value for key, value in result._asdict().items() if key != "number"})
        return result

    def _folder_of(self, number: int) -> Path:
        return self.folder / f"trial-{number:03}"

    def _ask(self, before: list[TrialResult]) -> Trial:
        search, space = self.config.search, search_space(self.config.search)
        seed = int(np.random.SeedSequence([self.config.seed, len(before)]).generate_state(1)[0])
        study = optuna.create_study(
            direction="maximize",
            sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=search.startup),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=search.startup),
        )
        study.add_trials([_as_known(result, space) for result in before])
        return study.ask(space)

    def _train(self, trial: Trial, config: RunConfig, folder: Path) -> str:
        encoder = load_checkpoint(self.baseline, dropout=config.encoder.dropout, tokens=config.longest_input)
        remove_top_layers(encoder, config.encoder.drop_layers)
        phase = config.pretrain.contrast
        measure = SelectionMeasure(encoder, self.selection, config, self.accelerator, phase.steps)
        told = _told_to(trial, measure, folder)
        try:
            places = (self.corpus, self.selection, folder, self.accelerator)
            run_phase("contrast", encoder, phase, config, *places, {}, self.pairs, measure=told)
        except optuna.TrialPruned:
            return PRUNED
        except InputError as error:  # diverged: the search has learned something, too
            say(f"search: {error}")
            return FAILED
        return COMPLETE


def _told_to(trial: Trial, measure: Measure, folder: Path) -> Measure:
    """Measure, tell the trial, and stop it where others were better at this step.

    Step 0 is BASELINE itself. The pruner compares the best that a trial has told, so it must not hear of that.
    """
    told = _after_baseline(_course(folder))
    for step, value in told.items():
        trial.report(value, step)

    def measured(step: int, log: RunLog) -> dict[str, float]:
        values = measure(step, log)
        if step and step not in told:
            trial.report(values[SCCS], step)
        if step and trial.should_prune():
            log.scalars(step, values)
            raise optuna.TrialPruned
        return values

    return measured


def _course(folder: Path) -> dict[int, float]:
    return {record["step"]: record[SCCS] for record in read_metrics(folder) if record.get(SCCS) is not None}


def _after_baseline(course: dict[int, float]) -> dict[int, float]:
    return {step: value for step, value in course.items() if step}


def _as_known(result: TrialResult, space: dict[str, BaseDistribution]) -> FrozenTrial:
    return create_trial(
        state=_STATES[result.state],
        params=result.settings,
        distributions=space,
        value=None if result.state == FAILED else result.sccs,
        intermediate_values=_after_baseline(result.course),
    )


def _write_hparams(folder: Path, result: TrialResult, run: str) -> None:
    """Put the trial on TensorBoard's HParams page; ``add_hparams`` would do so in a run of its own below this one.

    The page has room for 15 letters of a trial's name, and shows the columns in the order given here.
    """
    metric = "search/best_sccs"
    columns = [hparams.HParam(name, display_name=name.rsplit(".", 1)[-1].replace("_", " ")) for name in result.settings]
    page = hparams.hparams_config_pb(columns, [hparams.Metric(metric, display_name="SCCS")])
    values = hparams.hparams_pb(result.settings, trial_id=f"trial {result.number} ({run})")
    with SummaryWriter(str(folder)) as writer:
        writer.file_writer.add_summary(page)
        writer.file_writer.add_summary(values)
        if result.state != FAILED:
            writer.add_scalar(metric, result.sccs)
