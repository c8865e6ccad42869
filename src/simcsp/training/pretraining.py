"""The two phases of pre-training, measured as they go."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from transformers import PreTrainedModel

from simcsp.config import PhaseConfig, RunConfig
from simcsp.console import progress, say
from simcsp.datasets.corpus import Corpus
from simcsp.datasets.pairs import PairSource
from simcsp.datasets.windows import WindowTable
from simcsp.metrics.geometry import alignment, effective_rank, spread, uniformity
from simcsp.metrics.nmi import nmi
from simcsp.metrics.sccs import draw_pairs, sccs
from simcsp.model.embedding import embed, embed_layers
from simcsp.model.mlm import mask_tokens, mlm_loss, questions
from simcsp.model.objectives import PretrainingObjective
from simcsp.model.states import encode
from simcsp.report.figures import umap_figures
from simcsp.report.layout import PICTURED_IN_TRAINING
from simcsp.sequence.alphabet import with_special_tokens
from simcsp.sequence.sites import SITE_NAMES, window_name
from simcsp.training.batches import Batch, PretrainingBatches, UnspacedBatches
from simcsp.training.checkpoint import Progress
from simcsp.training.gradients import InChunks
from simcsp.training.log import RunLog
from simcsp.training.loop import Measure, Plan, train

SCCS, NMI = "validation/sccs", "validation/nmi"
_PROJECTED = 1000  # windows in TensorBoard's projector
_PROJECTOR = "00000"  # folder of the projector's files, by TensorBoard's writer
_MLM_WINDOWS = 256  # windows the held-out MLM loss is measured on
_COLLAPSED = 0.1  # spread below which windows have a cosine of 0.99 on average


class SelectionMeasure:
    """SCCS, NMI and the shape of the embedding on the selection part.

    Args:
        encoder: measured as it is at the time of the call.
        selection: windows of the selection part; nothing else is looked at.
        config: pooling, layer, clustering.
        accelerator: device and precision.
        last_step: at which the embeddings go to TensorBoard's projector, too.
    """

    def __init__(
        self,
        encoder: PreTrainedModel,
        selection: WindowTable,
        config: RunConfig,
        accelerator: Accelerator,
        last_step: int,
    ) -> None:
        self.encoder, self.selection, self.config, self.accelerator = encoder, selection, config, accelerator
        self.last_step = last_step

    def __call__(self, step: int, log: RunLog) -> dict[str, float]:
        """Measure, and draw the UMAP pictures of the moment."""
        table, settings = self.selection, self.config.encoder
        embeddings = embed(
            self.encoder, table.tokens, pooling=settings.pooling, layer=settings.layer, accelerator=self.accelerator
        )
        pairs = draw_pairs(len(embeddings), np.random.default_rng(self.config.seed))
        alike = pairs[table.label[pairs[:, 0]] == table.label[pairs[:, 1]]]
        clusters = nmi(embeddings, table.label, table.site_type, self.config.nmi, self.config.seed)
        agreement = sccs(embeddings, table.label, self.config.seed)
        self._draw(clusters.assignment, step, log)
        if step == self.last_step:
            self._project(embeddings, clusters.assignment, log)
        return {
            SCCS: agreement.value,
            "validation/sccs_ceiling": agreement.ceiling,
            NMI: clusters.value,
            "validation/nmi_donor": clusters.donor,
            "validation/nmi_acceptor": clusters.acceptor,
            "validation/nmi_seed_sd": clusters.seed_sd,
            "validation/ami": clusters.ami,
            "validation/clusters": clusters.clusters,
            "validation/alignment": alignment(embeddings[alike[:, 0]], embeddings[alike[:, 1]]),
            "validation/uniformity": uniformity(embeddings, seed=self.config.seed),
            "validation/effective_rank": effective_rank(embeddings),
            "validation/spread": self._spread(embeddings, step),
            **self._mlm(),
        }

    def _spread(self, embeddings: np.ndarray, step: int) -> float:
        value = spread(embeddings)
        if value < _COLLAPSED:
            say(f"pretrain: embeddings have collapsed at step {step}: their spread is {value:.3f} of at most 1")
        return value

    def _mlm(self) -> dict[str, float]:
        """Held-out masked language modelling, always with the same masks."""
        original = with_special_tokens(self.selection.tokens[:_MLM_WINDOWS])
        masked = mask_tokens(original, self.config.pretrain.mask_share, np.random.default_rng(self.config.seed))
        places, targets, present = questions(original, masked.chosen)
        device = self.accelerator.device
        with torch.inference_mode(), self.accelerator.autocast():
            tokens = torch.from_numpy(masked.tokens).long().to(device)
            hidden = encode(self.encoder, tokens, places=torch.from_numpy(places).to(device)).at_places
            wanted, weight = torch.from_numpy(targets).long().to(device), torch.from_numpy(present).float().to(device)
            result = mlm_loss(self.encoder, hidden, wanted, weight)
        return {"validation/mlm_loss": float(result.loss), "validation/mlm_accuracy": float(result.accuracy)}

    def _draw(self, clusters: np.ndarray, step: int, log: RunLog) -> None:
        """Every layer above the embedding by label, the one that is pooled by Leiden cluster, too."""
        rows = self._some_rows(PICTURED_IN_TRAINING)
        table, how = self.selection.take(rows), self.config.encoder
        layers = embed_layers(self.encoder, table.tokens, self.accelerator)[how.pooling]
        depth = layers.shape[1] - 1
        for layer in range(1, depth + 1):
            shown = clusters[rows] if layer == how.layer % (depth + 1) else None
            title, seed = f"layer {layer} of {depth}, step {step}", self.config.seed
            pictures = umap_figures(layers[:, layer], table.label, table.site_type, title, seed, shown)
            for colouring, picture in pictures.items():
                log.writer.add_figure(f"umap/layer {layer} {colouring}", picture, step)

    def _project(self, embeddings: np.ndarray, clusters: np.ndarray, log: RunLog) -> None:
        """The last embeddings for TensorBoard's projector, in place of what an interrupted run may have left there."""
        rows = self._some_rows(_PROJECTED)
        table = self.selection.take(rows)
        header = ["window", "label", "site type", "species", "cluster", "origin"]
        columns = zip(table.label, table.site_type, table.species, clusters[rows], table.origin, strict=True)
        metadata = [
            [window_name(label, site), "splice site" if label else "decoy", SITE_NAMES[site], species, str(c), origin]
            for label, site, species, c, origin in columns
        ]
        shutil.rmtree(Path(log.writer.log_dir) / _PROJECTOR, ignore_errors=True)
        log.writer.add_embedding(embeddings[rows], metadata=metadata, metadata_header=header, tag="windows")

    def _some_rows(self, number: int) -> np.ndarray:
        return np.random.default_rng(self.config.seed).permutation(len(self.selection.label))[:number]


def run_phase(
    name: str,
    encoder: PreTrainedModel,
    phase: PhaseConfig,
    config: RunConfig,
    corpus: Corpus,
    selection: WindowTable,
    folder: Path,
    accelerator: Accelerator,
    select: dict[str, Path],
    pairs: PairSource | None = None,
    measure: Measure | None = None,
) -> Progress:
    """Train one phase from wherever its checkpoints are; ``encoder`` ends with the weights of the last step.

    Args:
        name: of the phase; with the seed, decides its batches.
        encoder: trained in place.
        phase: its settings.
        config: of the run.
        corpus: drawn from.
        selection: windows that it is measured on.
        folder: for checkpoints and logs.
        accelerator: device and precision.
        select: metric → folder that keeps the model with its highest value.
        pairs: what SimCSP contrasts instead of windows of the corpus.
        measure: instead of a :class:`SelectionMeasure` of the encoder.
    """
    objective = PretrainingObjective(encoder, phase, pooling=config.encoder.pooling, layer=config.encoder.layer)
    seed = int(np.random.SeedSequence([config.seed, len(name), *name.encode()]).generate_state(1)[0])
    plan = Plan(
        steps=phase.steps,
        optimiser=phase,
        evaluate_every=phase.evaluate_every,
        save_every=phase.save_every,
        seed=seed,
        select=select,
        compile=config.compile,
        keep=folder.with_name(name) if config.pretrain.keep_measured and name in {"baseline", "contrast"} else None,
    )
    batches: Callable[[int], Batch] = PretrainingBatches(corpus, phase, config.pretrain, seed, pairs)
    if config.published.unspaced_contrast and phase.has_contrast:
        batches = UnspacedBatches(batches)
    measure = measure or SelectionMeasure(encoder, selection, config, accelerator, phase.steps)
    with progress(None, f"pretrain: {name}", unit="step", total=phase.steps) as bar:
        backward = InChunks(objective, phase.chunk, phase.batch_size, accelerator)
        done = train(objective, batches, measure, plan, folder, accelerator, bar, backward)
    best = "; ".join(f"best {m.split('/')[-1].upper()} {v:.3f} at step {s}" for m, (v, s) in done.best.items())
    say(f"pretrain: {name} done at step {done.step}{'; ' + best if best else ''}")
    return done
