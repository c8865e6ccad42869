"""A batch cut into chunks has the gradients of the whole batch."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import Tensor
from tqdm import tqdm
from transformers.modeling_layers import GradientCheckpointingLayer

from simcsp.config import EncoderConfig, PhaseConfig, PretrainConfig, ViewConfig
from simcsp.datasets.corpus import Drawn
from simcsp.datasets.pairs import LabelledPairs, OrthologuePairs, PairSource
from simcsp.datasets.windows import window_table
from simcsp.errors import InputError
from simcsp.model.contrastive import contrastive_loss
from simcsp.model.encoder import load_encoder
from simcsp.model.mlm import mlm_total
from simcsp.model.objectives import PretrainingObjective
from simcsp.sequence.alphabet import A
from simcsp.training.batches import Batch, PretrainingBatches
from simcsp.training.gradients import InChunks, chunk_seed, in_one_pass
from simcsp.training.loop import Plan, train

WINDOWS, LENGTH = 12, 20
BOTH = {"mlm_weight": 0.7, "contrastive_weight": 0.3, "temperature": 0.1}
LABELS = {"positives": "label", "hard_negative_weight": 2.0}
PHASES: dict[str, dict[str, Any]] = {
    "mlm": {"mlm_weight": 1.0, "contrastive_weight": 0.0},
    "simcsp": {"mlm_weight": 0.0, "contrastive_weight": 1.0},
    "joint": BOTH,
    "views": {**BOTH, "views": ViewConfig(shift=3, mutated=0.2, core=4)},
    "labels": {"mlm_weight": 0.0, "contrastive_weight": 1.0, **LABELS},
    "joint labels": {**BOTH, **LABELS, "views": ViewConfig(shift=2)},
    "orthologues": {"mlm_weight": 0.0, "contrastive_weight": 1.0, "positives": "orthologue"},
}
architectures = pytest.mark.parametrize("architecture", ["bert", "modernbert"])
phases = pytest.mark.parametrize("phase", PHASES.values(), ids=PHASES)


class Overlapping:
    """A corpus of windows that overlap here and there, one of them drawn twice."""

    window = LENGTH

    def draw(self, count: int, rng: np.random.Generator, window: int) -> Drawn:
        contig = rng.integers(A, A + 4, size=100, dtype=np.uint8)
        start = rng.integers(100 - window, size=count)
        start[1] = start[0]
        tokens = contig[start[:, None] + np.arange(window)]
        return Drawn(tokens, tokens == A, np.zeros(count, dtype=np.int64), start)

    def require_regions_of(self, length: int) -> None:
        assert length < 100


def pairs_of(phase: PhaseConfig) -> PairSource | None:
    """Windows of every kind, or of 20 sites in two species, of which neighbours overlap."""
    rows = np.arange(40)
    table = window_table(
        np.random.default_rng(0).integers(A, A + 4, size=(40, LENGTH), dtype=np.uint8),
        label=(rows % 2).astype(np.uint8),
        site_type=(rows // 2 % 2).astype(np.uint8),
        species="x",
        group=[f"site {row % 20}" for row in rows],
        origin=[f"{row // 20}:{19 * (row % 20) + row % 4}-{19 * (row % 20) + row % 4 + 2}:+" for row in rows],
    )
    return {"window": lambda _: None, "label": LabelledPairs, "orthologue": OrthologuePairs}[phase.positives](table)


def objective_of(phase: PhaseConfig, architecture: str, dropout: float, layer: int = -1) -> PretrainingObjective:
    sizes = {"hidden": 16, "layers": 2, "heads": 2, "intermediate": 32, "local_attention": 8}
    config = EncoderConfig(architecture=architecture, dropout=dropout, **sizes)  # type: ignore[arg-type]
    encoder = load_encoder(config, LENGTH + 2, seed=0).train()
    return PretrainingObjective(encoder, phase, pooling="site", layer=layer)


def batches_of(phase: PhaseConfig) -> PretrainingBatches:
    corpus: Any = Overlapping()
    return PretrainingBatches(corpus, phase, PretrainConfig(soft_masked_weight=0.5), seed=3, pairs=pairs_of(phase))


def batch_of(phase: PhaseConfig) -> Batch:
    return batches_of(phase)(0)


def gradients(objective: PretrainingObjective) -> dict[str, Tensor]:
    found = {name: p.grad.clone() for name, p in objective.named_parameters() if p.grad is not None}
    objective.zero_grad()
    return found


@pytest.fixture
def accelerator() -> Accelerator:
    return Accelerator(cpu=True, mixed_precision="no")


def assert_alike(left: dict[str, Tensor], right: dict[str, Tensor]) -> None:
    assert left.keys() == right.keys()
    for name, value in left.items():
        torch.testing.assert_close(value, right[name], rtol=1e-4, atol=1e-6, msg=name)


@architectures
@phases
@pytest.mark.parametrize("size", [1, 5, 12, 0])
@pytest.mark.parametrize("layer", [-1, 1])
def test_without_dropout_chunks_have_the_losses_and_gradients_of_the_batch(
    accelerator: Accelerator, architecture: str, phase: dict[str, Any], size: int, layer: int
) -> None:
    settings = PhaseConfig(batch_size=WINDOWS, **phase)
    objective, batch = objective_of(settings, architecture, 0.0, layer), batch_of(settings)
    expected_losses = in_one_pass(objective, batch, accelerator, 1, 2)
    expected = gradients(objective)
    losses = InChunks(objective, size, WINDOWS, accelerator)(objective, batch, accelerator, 1, 2)
    if settings.has_contrast:
        contrast = objective.contrast(batch.get("origin"), batch.get("kind"))
        assert losses.pop("negatives_per_anchor") == contrast.negatives_per_anchor() < WINDOWS - 1
    assert_alike({name: loss.detach() for name, loss in expected_losses.items()}, losses)
    assert_alike(expected, gradients(objective))


class OneGraph:
    """The peer of gradient caching: the same chunks with the same dropout, held in one graph."""

    def __init__(self, objective: PretrainingObjective, size: int) -> None:
        self.objective, self.size = objective, size

    def loss(self, batch: Batch, seed: int, step: int) -> Tensor:
        phase, mlm = self.objective.phase, torch.zeros(())
        views: list[tuple[Tensor, ...]] = []
        whole = {"total": mlm_total(batch["weight"])} if "weight" in batch else {}
        for first in range(0, WINDOWS, self.size):
            torch.manual_seed(chunk_seed(seed, step, first))
            part = {name: value[first : first + self.size] for name, value in batch.items()}

            def keep(*pair: Tensor, kept: list[tuple[Tensor, ...]] = views) -> Tensor:
                kept.append(pair)
                return torch.zeros(())

            losses = self.objective(**part, **whole, contrast=keep)
            mlm = mlm + losses.get("mlm_loss", torch.zeros(()))
        first_views, second_views = (torch.cat(side) for side in zip(*views, strict=True))
        contrast = self.objective.contrast(batch.get("origin"), batch.get("kind"))
        contrastive = contrastive_loss(first_views, second_views, contrast)
        return phase.mlm_weight * mlm + phase.contrastive_weight * contrastive


@architectures
@pytest.mark.parametrize("phase", [*PHASES.values()][1:], ids=[*PHASES][1:])
@pytest.mark.parametrize("layer", [-1, 1])
def test_with_dropout_cached_gradients_are_those_of_one_graph(
    accelerator: Accelerator, architecture: str, phase: dict[str, Any], layer: int
) -> None:
    settings = PhaseConfig(batch_size=WINDOWS, **phase)
    objective, batch = objective_of(settings, architecture, 0.3, layer), batch_of(settings)
    loss = OneGraph(objective, 5).loss(batch, 1, 2)
    loss.backward()  # type: ignore[no-untyped-call]
    expected = gradients(objective)
    losses = InChunks(objective, 5, WINDOWS, accelerator)(objective, batch, accelerator, 1, 2)
    torch.testing.assert_close(losses["loss"], loss.detach(), rtol=1e-5, atol=1e-6)
    assert_alike(expected, gradients(objective))
    other = InChunks(objective, 5, WINDOWS, accelerator)(objective, batch, accelerator, 1, 3)
    assert not torch.allclose(other["loss"], loss.detach())


def test_weights_of_the_losses_are_those_of_the_step(accelerator: Accelerator) -> None:
    settings = PhaseConfig(batch_size=WINDOWS, steps=11, mlm_weight=1.0, mlm_weight_end=0.0, contrastive_weight_end=0.5)
    objective, batch = objective_of(settings, "bert", 0.0), batch_of(settings)
    for step, mlm, contrastive in ((0, 1.0, 0.0), (4, 0.6, 0.2), (10, 0.0, 0.5)):
        for size in (0, 5):
            losses = InChunks(objective, size, WINDOWS, accelerator)(objective, batch, accelerator, 1, step)
            expected = mlm * losses["mlm_loss"] + contrastive * losses["contrastive_loss"]
            torch.testing.assert_close(losses["loss"], expected)
            assert losses["contrastive_loss"] > 0


def test_batch_that_processes_cannot_share_is_refused(
    accelerator: Accelerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = PhaseConfig(batch_size=WINDOWS)
    objective = objective_of(settings, "bert", 0.0)
    monkeypatch.setattr(Accelerator, "num_processes", property(lambda self: 5))
    with pytest.raises(InputError, match=r"a batch of 12 windows cannot be shared equally by 5 processes\. Choose"):
        InChunks(objective, 0, WINDOWS, accelerator)


def test_dropout_seeds_differ_between_runs_steps_and_chunks() -> None:
    seeds = {chunk_seed(seed, step, first) for seed in range(10) for step in range(10) for first in range(1, 11)}
    assert len(seeds) == 1000
    torch.manual_seed(max(seeds))  # torch takes all 64 bits


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch's own compiler
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on the CPU")
@architectures
def test_compiled_layers_train_to_the_weights_of_plain_ones(
    accelerator: Accelerator, architecture: str, tmp_path: Path
) -> None:
    settings = PhaseConfig(batch_size=WINDOWS, chunk=5, learning_rate=1e-3, **PHASES["joint"])
    trained = {}
    for compiled in (False, True):
        objective = objective_of(settings, architecture, dropout=0.0)
        plan = Plan(steps=3, optimiser=settings, evaluate_every=3, save_every=3, seed=0, select={}, compile=compiled)
        backward = InChunks(objective, settings.chunk, WINDOWS, accelerator)
        folder, bar = tmp_path / str(compiled), tqdm(disable=True)
        train(objective, batches_of(settings), lambda step, log: {}, plan, folder, accelerator, bar, backward)
        trained[compiled] = {name: weights.detach() for name, weights in objective.named_parameters()}
        layers = [m for m in objective.modules() if isinstance(m, GradientCheckpointingLayer)]
        assert all((layer._compiled_call_impl is not None) == compiled for layer in layers)
    for name, weights in trained[False].items():
        torch.testing.assert_close(trained[True][name], weights, rtol=1e-3, atol=1e-4, msg=name)
