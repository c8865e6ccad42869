"""Pre-train an encoder: masked language modelling to BASELINE, then SimCSP or both losses to BEST_SCCS, BEST_NMI.

    python src/pretrain.py --config configs/demo.yaml
    python src/pretrain.py --config configs/demo.yaml --pretrain.contrast.mlm_weight 1   # both losses at once
    python src/pretrain.py --config configs/demo.yaml --pretrain.baseline.steps 0 --encoder.init splicebert.510nt
    torchrun --nproc-per-node 8 --nnodes 4 --rdzv-endpoint HOST:29500 src/pretrain.py --config configs/msg.yaml

All visible GPUs of one host are used without torchrun, too; several hosts need this folder in common. Writes
runs/<run>/pretrain. Killed or stopped, it goes on from the last checkpoint when called again.
"""

from pathlib import Path

from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from simcsp import runs
from simcsp.command_line import parse_config
from simcsp.config import RunConfig
from simcsp.console import run_script, say
from simcsp.datasets.corpus import Corpus
from simcsp.datasets.pairs import load_pairs
from simcsp.datasets.splits import selection_rows
from simcsp.datasets.windows import load_windows
from simcsp.model.encoder import initial_files, load_checkpoint, load_encoder, save_checkpoint
from simcsp.model.splicebert import initial_folder
from simcsp.stages import enter_stage, stage_folder
from simcsp.training.devices import describe, make_accelerator
from simcsp.training.gradients import equal_share
from simcsp.training.pretraining import NMI, SCCS, run_phase
from simcsp.training.processes import in_own_processes


def main() -> None:
    """Run both phases."""
    config = parse_config(__doc__)
    initial = initial_folder(config.encoder.init)  # before the processes that read it
    if in_own_processes(config.processes):
        return
    accelerator = make_accelerator(config.precision)
    for phase in (config.pretrain.baseline, config.pretrain.contrast):  # before hours of the first are spent
        equal_share(phase.batch_size, accelerator.num_processes)
    if not _entered(config, initial, accelerator):
        return
    prepared, folder = (stage_folder(config, stage) for stage in ("prepare", "pretrain"))
    longest = max(config.pretrain.lengths or (config.data.window,))
    corpus = Corpus(prepared / "corpus", longest, balance=config.pretrain.balance)
    table = load_windows(prepared / "windows")
    selection = table.take(selection_rows(table, config.split))
    tokens = config.longest_input
    baseline, contrast = config.pretrain.baseline, config.pretrain.contrast
    with runs.unclaimed_on_error(folder):
        encoder = load_encoder(config.encoder, tokens, config.seed)
        pairs_of = {phase: load_pairs(prepared, phase) for phase in (baseline, contrast)}
        for phase in (phase for phase, pairs in pairs_of.items() if pairs is None):
            corpus.require_regions_of(longest + 2 * phase.views.shift)
    say(f"pretrain: {encoder.num_parameters():,} parameters on {describe(accelerator)}")

    shared = (config, corpus, selection)
    if not (folder / "baseline").exists():
        if baseline.steps:
            inside = folder / "phase-baseline"
            run_phase("baseline", encoder, baseline, *shared, inside, accelerator, {}, pairs_of[baseline])
        if accelerator.is_main_process:
            with runs.whole_folder(folder / "baseline") as target:
                save_checkpoint(encoder, target)
                runs.write_checksums(target)
    accelerator.wait_for_everyone()
    encoder = load_checkpoint(folder / "baseline", dropout=config.encoder.dropout, tokens=tokens)
    select = {SCCS: folder / "best_sccs", NMI: folder / "best_nmi"}
    inside = folder / "phase-contrast"
    done = run_phase("contrast", encoder, contrast, *shared, inside, accelerator, select, pairs_of[contrast])
    if accelerator.is_main_process:
        runs.close_stage(folder, {"best": done.best})
    accelerator.end_training()


def _entered(config: RunConfig, initial: Path, accelerator: Accelerator) -> bool:
    """Whether there is anything to do; the main process looks, and the others are told."""
    answer = [False]
    if accelerator.is_main_process:
        answer = [enter_stage(config, "pretrain", {**initial_files(initial), "device": describe(accelerator)})]
    (entered,) = broadcast_object_list(answer) if accelerator.num_processes > 1 else answer
    return entered


if __name__ == "__main__":
    run_script(main)
