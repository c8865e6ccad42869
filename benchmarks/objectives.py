r"""Compare what contrast can be of, from one BASELINE and with as many windows seen: SCCS, NMI, probes, MLM loss.

    python src/prepare.py --config benchmarks/objectives.yaml
    python benchmarks/objectives.py --config benchmarks/objectives.yaml
    python benchmarks/objectives.py --config benchmarks/objectives.yaml \
        --encoder.init CHECKPOINT --pretrain.baseline.steps 0 --pretrain.contrast.steps 120

From each seed one BASELINE (or a checkpoint), and from it the contrastive phase in every way that the prepared set
allows. All see the same number of windows per step, three times the batch size: MLM alone as many windows, two views of
half as many, or, with labels and orthologues, two views of a third beside a third for MLM. Measured on the selection
part, which no way has seen the labels of: SCCS and NMI, AUROC of a linear probe, held-out MLM loss. Prints Markdown:
mean ± standard deviation over seeds.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from accelerate import Accelerator
from transformers import PreTrainedModel

from simcsp import runs
from simcsp.command_line import parse_config
from simcsp.config import PhaseConfig, RunConfig, ViewConfig
from simcsp.console import progress, run_script, say
from simcsp.datasets.corpus import Corpus
from simcsp.datasets.pairs import LABELLED, ORTHOLOGUES, load_pairs
from simcsp.datasets.splits import selection_rows
from simcsp.datasets.windows import load_windows
from simcsp.metrics.nmi import nmi
from simcsp.metrics.probe import linear_probe
from simcsp.metrics.sccs import sccs
from simcsp.model.embedding import embed
from simcsp.model.encoder import load_checkpoint, load_encoder, save_checkpoint
from simcsp.model.objectives import PretrainingObjective
from simcsp.training.batches import PretrainingBatches
from simcsp.training.devices import make_accelerator
from simcsp.training.gradients import InChunks
from simcsp.training.loop import Plan, train
from simcsp.training.pretraining import SelectionMeasure

SEEDS, DRAWS = 2, 10  # trainings; draws of pairs for SCCS
NAMES = ("SCCS", "NMI", "AUROC donor", "AUROC acceptor", "MLM loss")


@dataclass(frozen=True)
class Trial:
    """Trainings from one seed, that of the configuration."""

    config: RunConfig
    prepared: Path
    accelerator: Accelerator

    def measured(self, folder: Path) -> dict[str, list[float]]:
        """``NAMES`` of BASELINE and of every way."""
        how, tokens = self.config.encoder, self.config.longest_input
        encoder = load_encoder(how, tokens, self.config.seed)
        found = {"BASELINE": self.trained(encoder, self.config.pretrain.baseline, folder / "baseline")}
        save_checkpoint(encoder, folder / "start")
        for name, phase in ways(self.config.pretrain.contrast, self.prepared):
            encoder = load_checkpoint(folder / "start", dropout=how.dropout, tokens=tokens)
            found[name] = self.trained(encoder, phase, folder / name)
        return found

    def trained(self, encoder: PreTrainedModel, phase: PhaseConfig, folder: Path) -> list[float]:
        """Train in place and measure; 0 steps measure what is there."""
        how, once, seed = self.config.encoder, phase.steps, self.config.seed
        if not once:
            return self.measures(encoder)
        plan = Plan(steps=once, optimiser=phase, evaluate_every=once, save_every=once, seed=seed, select={})
        corpus = Corpus(self.prepared / "corpus", self.config.data.window, balance=self.config.pretrain.balance)
        pairs = load_pairs(self.prepared, phase)
        batches = PretrainingBatches(corpus, phase, self.config.pretrain, seed, pairs)
        objective = PretrainingObjective(encoder, phase, pooling=how.pooling, layer=how.layer)
        with progress(None, f"seed {seed}: {folder.name}", unit="step", total=once) as bar:
            backward = InChunks(objective, phase.chunk, phase.batch_size, self.accelerator)
            train(objective, batches, lambda *_: {}, plan, folder, self.accelerator, bar, backward)
        return self.measures(encoder)

    def measures(self, encoder: PreTrainedModel) -> list[float]:
        """``NAMES``."""
        how, table = self.config.encoder, load_windows(self.prepared / "windows")
        table = table.take(selection_rows(table, self.config.split))
        embeddings = embed(encoder, table.tokens, pooling=how.pooling, layer=how.layer, accelerator=self.accelerator)
        agreement = np.mean([sccs(embeddings, table.label, seed).value for seed in range(DRAWS)])
        clusters = nmi(embeddings, table.label, table.site_type, self.config.nmi, 0)
        probe = linear_probe(embeddings, table.label, table.site_type, table.group, seed=0)
        mlm = SelectionMeasure(encoder, table, self.config, self.accelerator, 0)._mlm()["validation/mlm_loss"]
        return [float(agreement), clusters.value, probe["probe_auroc_donor"], probe["probe_auroc_acceptor"], mlm]


def ways(phase: PhaseConfig, prepared: Path) -> Iterator[tuple[str, PhaseConfig]]:
    """Every kind of contrast beside MLM, with as many windows in a step."""
    third = phase.batch_size
    joint = replace(phase, mlm_weight=1.0, contrastive_weight=1.0)
    yield "MLM alone", replace(phase, mlm_weight=1.0, contrastive_weight=0.0, batch_size=3 * third)
    two = replace(joint, batch_size=3 * third // 2)
    yield "dropout", two
    yield "shift of 5 nt", replace(two, views=ViewConfig(shift=5))
    yield "10 % mutated", replace(two, views=ViewConfig(mutated=0.1))
    if (prepared / LABELLED).exists():
        yield "labels", replace(joint, positives="label")
        yield "labels, 10 % mutated", replace(joint, positives="label", views=ViewConfig(mutated=0.1))
        yield "labels without MLM", replace(two, positives="label", mlm_weight=0.0)
    if (prepared / ORTHOLOGUES).exists():
        yield "orthologues", replace(joint, positives="orthologue")


def main() -> None:
    """Try all seeds."""
    config = parse_config(__doc__)
    prepared, accelerator = runs.prepared_folder(config.data.name), make_accelerator(config.precision)
    found = []
    for seed in range(config.seed, config.seed + SEEDS):
        with TemporaryDirectory() as folder:
            found.append(Trial(replace(config, seed=seed), prepared, accelerator).measured(Path(folder)))
    say(f"| contrast of, beside MLM | {' | '.join(NAMES)} |\n{'|---' * (1 + len(NAMES))}|")
    for name in found[0]:
        rows = np.array([one[name] for one in found])
        spread = rows.std(axis=0, ddof=1) if len(rows) > 1 else np.zeros(len(NAMES))
        say(f"| {name} | {' | '.join(f'{m:.3f} ± {s:.3f}' for m, s in zip(rows.mean(axis=0), spread, strict=True))} |")


if __name__ == "__main__":
    run_script(main)
