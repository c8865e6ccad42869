"""Pre-train an encoder: masked language modelling to BASELINE, then SimCSP or both losses to BEST_SCCS, BEST_NMI.

    python src/pretrain.py --config configs/demo.yaml
    python src/pretrain.py --config configs/demo.yaml --pretrain.contrast.mlm_weight 1   # both losses at once
    python src/pretrain.py --config configs/demo.yaml --pretrain.baseline.steps 0 --encoder.init splicebert.510nt
    torchrun --nproc-per-node 8 --nnodes 4 --rdzv-endpoint HOST:29500 src/pretrain.py --config configs/msg.yaml

Recipes of `pretrain.also` start from BASELINE, too, and leave an encoder each.

All visible GPUs of one host are used without torchrun, too; several hosts need this folder in common. Writes
runs/<run>/pretrain. Killed or stopped, it goes on from the last checkpoint when called again.
"""

from collections.abc import Iterator
from pathlib import Path

from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from transformers import PreTrainedModel

from simcsp import runs, storage
from simcsp.command_line import parse_config
from simcsp.config import PhaseConfig, RunConfig
from simcsp.console import run_script, say
from simcsp.datasets.corpus import Corpus
from simcsp.datasets.pairs import load_pairs
from simcsp.datasets.splits import selection_rows
from simcsp.datasets.windows import load_windows
from simcsp.model.encoder import initial_files, load_checkpoint, load_encoder, remove_top_layers, save_checkpoint
from simcsp.model.splicebert import initial_folder
from simcsp.stages import enter_stage, stage_folder
from simcsp.training.dashboard import write_overview
from simcsp.training.devices import describe, make_accelerator
from simcsp.training.gradients import equal_share
from simcsp.training.pretraining import NMI, SCCS, run_phase
from simcsp.training.processes import in_own_processes


def main() -> None:
    """Run both phases."""
    config = parse_config(__doc__, stage="pretrain")
    initial = initial_folder(config.encoder.init)  # before the processes that read it
    if in_own_processes(config.processes):
        return
    accelerator = make_accelerator(config.precision)
    phases = (config.pretrain.baseline, config.pretrain.contrast, *config.pretrain.also)
    for phase in phases:  # before hours of the first are spent
        equal_share(phase.batch_size, accelerator.num_processes)
    if not _entered(config, initial, accelerator):
        return
    prepared, folder = (stage_folder(config, stage) for stage in ("prepare", "pretrain"))
    longest = max(config.pretrain.lengths or (config.data.window,))
    corpus = Corpus(prepared / "corpus", longest, balance=config.pretrain.balance)
    table = load_windows(prepared / "windows")
    selection = table.take(selection_rows(table, config.split))
    tokens = config.longest_input
    baseline = config.pretrain.baseline
    with runs.unclaimed_on_error(folder):
        encoder = load_encoder(config.encoder, tokens, config.seed)
        pairs_of = {phase: load_pairs(prepared, phase) for phase in phases}
        for phase in (phase for phase, pairs in pairs_of.items() if pairs is None):
            corpus.require_regions_of(longest + 2 * phase.views.shift)
    _show_settings(config, folder, accelerator)
    say(f"pretrain: {encoder.num_parameters():,} parameters on {describe(accelerator)}")

    shared = (config, corpus, selection)
    if not (folder / "baseline").exists():
        if baseline.steps:
            inside = folder / "phase-baseline"
            run_phase("baseline", encoder, baseline, *shared, inside, accelerator, {}, pairs_of[baseline])
        remove_top_layers(encoder, config.encoder.drop_layers)
        _keep(encoder, folder / "baseline", accelerator)
    accelerator.wait_for_everyone()
    best = {}
    for name, phase, kept in _recipes(config, folder):
        encoder = load_checkpoint(folder / "baseline", dropout=config.encoder.dropout, tokens=tokens)
        inside = folder / f"phase-{name}"
        done = run_phase(name, encoder, phase, *shared, inside, accelerator, kept, pairs_of[phase])
        best[name] = done.best
        if not kept and not (folder / name).exists():
            _keep(encoder, folder / name, accelerator)
    if accelerator.is_main_process:
        runs.close_stage(folder, {"best": best.pop("contrast"), "also": best})
    accelerator.end_training()


def _show_settings(config: RunConfig, folder: Path, accelerator: Accelerator) -> None:
    if accelerator.is_main_process:
        write_overview(folder, config)


def _keep(encoder: PreTrainedModel, target: Path, accelerator: Accelerator) -> None:
    if accelerator.is_main_process:
        with storage.whole_folder(target) as folder:
            save_checkpoint(encoder, folder)
            storage.write_checksums(folder)


def _recipes(config: RunConfig, folder: Path) -> Iterator[tuple[str, PhaseConfig, dict[str, Path]]]:
    """Name and settings of what goes on from BASELINE, and metric → folder; no metric if the last encoder is kept."""
    yield "contrast", config.pretrain.contrast, {SCCS: folder / "best_sccs", NMI: folder / "best_nmi"}
    for recipe in config.pretrain.also:
        metric = {"last": None, "sccs": SCCS, "nmi": NMI}[recipe.keep]
        yield recipe.name, recipe, {metric: folder / recipe.name} if metric else {}


def _entered(config: RunConfig, initial: Path, accelerator: Accelerator) -> bool:
    """Whether there is anything to do; the main process looks, and the others are told."""
    answer = [False]
    if accelerator.is_main_process:
        answer = [enter_stage(config, "pretrain", {**initial_files(initial), "device": describe(accelerator)})]
    (entered,) = broadcast_object_list(answer) if accelerator.num_processes > 1 else answer
    return entered


if __name__ == "__main__":
    run_script(main)
