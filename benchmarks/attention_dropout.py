"""Compare dropout of hidden states alone with dropout of attention weights as well: SCCS, NMI, losses, time per step.

    python benchmarks/attention_dropout.py --config configs/human.yaml --encoder.architecture bert
    python benchmarks/attention_dropout.py --config configs/human.yaml --pretrain.contrast.mlm_weight 1

From each seed one BASELINE, and from it the contrastive phase twice: as this project computes it, and by Hugging Face's
eager attention, which drops its weights in every layer as often as hidden states are dropped; without dropout the two
are one computation. SCCS and NMI are those of the selection part after the last step, losses those of new draws from
the corpus; the contrastive loss is taken under either dropout, as each training is at home in its own. Prints
Markdown: mean ± standard deviation over seeds, and the mean difference, paired by seed, ± its 95 % interval.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from scipy.stats import t as students_t
from torch import Tensor
from transformers import PreTrainedModel
from transformers.models.bert.modeling_bert import BertSelfAttention
from transformers.models.modernbert.modeling_modernbert import ModernBertAttention

from simcsp import runs
from simcsp.command_line import parse_config
from simcsp.config import PhaseConfig, RunConfig
from simcsp.console import progress, run_script, say
from simcsp.datasets.corpus import Corpus
from simcsp.datasets.splits import selection_rows
from simcsp.datasets.windows import WindowTable, load_windows
from simcsp.metrics.nmi import nmi
from simcsp.metrics.sccs import sccs
from simcsp.model.attention import IMPLEMENTATION
from simcsp.model.embedding import embed
from simcsp.model.encoder import load_checkpoint, load_encoder, save_checkpoint
from simcsp.model.objectives import PretrainingObjective
from simcsp.model.states import Encoded, pool
from simcsp.training.batches import PretrainingBatches
from simcsp.training.devices import make_accelerator
from simcsp.training.loop import Plan, train
from simcsp.training.prefetch import prefetched

SEEDS, DRAWS, BATCHES = 4, 10, 8  # trainings; draws of pairs for SCCS; batches that losses are measured on
UNSEEN = 2**32  # seed of those batches; the seeds of trainings are smaller
DIGITS = {"SCCS": 3, "NMI": 3, "contrastive loss": 3, "the same, weights dropped": 3, "MLM loss": 3, "ms per step": 0}


class PlainObjective(PretrainingObjective):
    """The same losses from the hidden states of Hugging Face's own forward pass, all layers at every token."""

    def _encode(
        self,
        tokens: Tensor,
        places: Tensor | None,
        shift: Tensor | None = None,  # noqa: ARG002 - sites are in the middle here, and
        *,
        pooled: bool = True,  # noqa: ARG002 - views are of the corpus
    ) -> Encoded:
        states = self.encoder.base_model(input_ids=tokens.flatten(0, 1).long(), output_hidden_states=True).hidden_states
        last, row = states[-1], torch.arange(len(states[-1]), device=tokens.device)[:, None]
        at_places = last[:, :0] if places is None else last[row, places.flatten(0, 1)]
        return Encoded(at_places, pool(states[self.layer], self.pooling))


class Dropped(NamedTuple):
    """Where there is dropout, and how losses are then computed."""

    where: str
    objective: type[PretrainingObjective]
    attention: str
    weights: bool


HIDDEN = Dropped("hidden states", PretrainingObjective, IMPLEMENTATION, weights=False)
WEIGHTS = Dropped("hidden states and attention weights", PlainObjective, "eager", weights=True)


@dataclass(frozen=True)
class Trial:
    """Trainings from one seed, that of the configuration."""

    config: RunConfig
    corpus: Corpus
    selection: WindowTable
    accelerator: Accelerator

    def measured(self, folder: Path) -> list[list[float]]:
        """``DIGITS`` of BASELINE, and of the contrastive phase with either dropout."""
        how, phases, tokens = self.config.encoder, self.config.pretrain, self.config.longest_input
        encoder = load_encoder(how, tokens, self.config.seed)
        rows = [self.train(HIDDEN, encoder, phases.baseline, folder / "mlm")]
        save_checkpoint(encoder, folder / "baseline")
        for dropped in (HIDDEN, WEIGHTS):
            encoder = load_checkpoint(folder / "baseline", dropout=how.dropout, tokens=tokens)
            rows.append(self.train(dropped, encoder, phases.contrast, folder / dropped.where))
        return rows

    def train(self, dropped: Dropped, encoder: PreTrainedModel, phase: PhaseConfig, folder: Path) -> list[float]:
        """Train in place and measure."""
        once, seed = phase.steps, self.config.seed
        plan = Plan(steps=once, optimiser=phase, evaluate_every=once, save_every=once, seed=seed, select={})
        batches = PretrainingBatches(self.corpus, phase, self.config.pretrain, seed)
        objective = self.objective(dropped, encoder, phase)
        start = time.perf_counter()
        with progress(None, f"seed {seed}: {folder.name}", unit="step", total=once) as bar:
            train(objective, batches, lambda *_: {}, plan, folder, self.accelerator, bar)
        seconds = time.perf_counter() - start
        return [*self.measures(encoder), 1000 * seconds / once]

    def objective(self, dropped: Dropped, encoder: PreTrainedModel, phase: PhaseConfig) -> PretrainingObjective:
        """Losses of an encoder, which is changed to drop as asked."""
        how = self.config.encoder
        encoder.set_attn_implementation(dropped.attention)
        for module in encoder.modules():
            if isinstance(module, BertSelfAttention):
                module.dropout.p = how.dropout * dropped.weights
            elif isinstance(module, ModernBertAttention):  # without what it would drop behind its output projection
                module.attention_dropout = how.dropout * dropped.weights
        return dropped.objective(encoder, phase, pooling=how.pooling, layer=how.layer)

    def measures(self, encoder: PreTrainedModel) -> list[float]:
        """All of ``DIGITS`` but the last."""
        how, table = self.config.encoder, self.selection
        joint = replace(self.config.pretrain.contrast, mlm_weight=1.0, contrastive_weight=1.0)
        alone = replace(joint, mlm_weight=0.0)
        of_weights = self._loss("contrastive_loss", self.objective(WEIGHTS, encoder, alone).train())
        of_hidden = self._loss("contrastive_loss", self.objective(HIDDEN, encoder, alone).train())
        mlm = self._loss("mlm_loss", self.objective(HIDDEN, encoder, joint).eval())
        embeddings = embed(encoder, table.tokens, pooling=how.pooling, layer=how.layer, accelerator=self.accelerator)
        agreement = np.mean([sccs(embeddings, table.label, seed).value for seed in range(DRAWS)])
        clusters = nmi(embeddings, table.label, table.site_type, self.config.nmi, 0)
        return [float(agreement), clusters.value, of_hidden, of_weights, mlm]

    def _loss(self, name: str, objective: PretrainingObjective) -> float:
        batch_at = PretrainingBatches(self.corpus, objective.phase, self.config.pretrain, UNSEEN)
        torch.manual_seed(0)
        with torch.no_grad(), self.accelerator.autocast(), prefetched(batch_at, BATCHES, self.accelerator.device) as at:
            return float(np.mean([float(objective(**at(number))[name]) for number in range(BATCHES)]))


def main() -> None:
    """Try all seeds."""
    config = parse_config(__doc__)
    prepared, accelerator = runs.prepared_folder(config.data.name), make_accelerator(config.precision)
    corpus = Corpus(prepared / "corpus", config.longest_input - 2, balance=config.pretrain.balance)
    table = load_windows(prepared / "windows")
    selection = table.take(selection_rows(table, config.split))
    found = []
    for seed in range(config.seed, config.seed + SEEDS):
        with TemporaryDirectory() as folder:
            found.append(Trial(replace(config, seed=seed), corpus, selection, accelerator).measured(Path(folder)))
    baseline, hidden, weights = np.array(found).swapaxes(0, 1)
    say(f"| dropout of | {' | '.join(DIGITS)} |\n{'|---' * (1 + len(DIGITS))}|")
    for name, rows in (("BASELINE", baseline), (HIDDEN.where, hidden), (WEIGHTS.where, weights)):
        say(_row(name, rows, 1.0))
    say(_row("difference, 95 % interval", weights - hidden, students_t.ppf(0.975, SEEDS - 1) / SEEDS**0.5))


def _row(name: str, rows: NDArray[np.float64], deviations: float) -> str:
    """Mean ± so many standard deviations over the seeds."""
    columns = zip(DIGITS.values(), rows.mean(axis=0), deviations * rows.std(axis=0, ddof=1), strict=True)
    return f"| {name} | {' | '.join(f'{mean:.{n}f} ± {spread:.{n}f}' for n, mean, spread in columns)} |"


if __name__ == "__main__":
    run_script(main)
