"""Training steps and inference of SpliceBERT's model, side by side with the libraries at their defaults.

    python benchmarks/training_step.py                            # all rows; half an hour on two cores
    python benchmarks/training_step.py --rows mlm finetune --repeats 1

BERT 6 × 512 with SpliceBERT's ten tokens, 19,447,306 parameters with its MLM head, random weights, random sequence.
Each side runs in a fresh process, one after the other, again and again; the table gives medians over the repeats, and
the ratio (least–most) of the pairs that ran after one another. The first steps of each process do not count. How much
of the processor went to other processes meanwhile is said above the table: beyond a few per cent, measure again.

Rows: `mlm` against Hugging Face Trainer; `simcsp` against sentence-transformers' MultipleNegativesRankingLoss as in
SimCSP's pretrain.py; `joint`, one step with both losses, against those two one after the other; `finetune`, steps of an
epoch, against the loop of SpliceBERT's train_splicebert_cv.py, whose mixed precision is CUDA's, and the same loop under
bf16; `embedding` against the loop of its fetch_embedding.py. How each is set up is in peers.py and engine.py.
SimCSP's batch is the largest power of two up to --contrastive-batch that the peer has the memory for, as two short runs
of it tell; this project is measured at the full batch, too.

Windows count once, tokens as often as the peer or this project shows them to the encoder. The share is of the peak of
a bf16 product of two 4096 × 4096 matrices in the same run, for 6 N + 12 L T D operations per token and a third of them
in inference (N weights of the layers' matrices, L layers, T tokens, D width), as if all layers were computed at all
positions for both; heads do not count.
"""

import argparse
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version

import torch
from one_side import GIB, Measured, Work, available_memory, device_name, matrix_product_peak, run_side

ENCODER_PARAMETERS = 19_183_616  # of the published encoder; its MLM head adds 263,690
EPOCH = 15_381  # windows: seven of ten parts of Spliceator's 21,973 donors, as published
_FREE_SHARE = 0.85  # of the free memory may be used by the peer
_PROBES = (2, 4)  # windows whose memory tells that of others


@dataclass(frozen=True)
class Side:
    """A function of ``engine.py`` or ``peers.py``, what it is given, and how often it shows a window to the encoder."""

    module: str
    function: str
    work: Work
    views: int = 1


@dataclass(frozen=True)
class Row:
    """Peers that do one after the other what this project does at once, and the ratios aimed at on CPU and GPU."""

    name: str
    peers: tuple[Side, ...]
    here: Side
    targets: tuple[float, float]


Runs = dict[Side, list[Measured]]


def main() -> None:
    """Print a table."""
    options = _options()
    model = dict(zip(("layers", "hidden", "heads", "intermediate"), options.model, strict=True))
    work = Work(**model, tokens=options.tokens, steps=options.steps)
    print(f"{device_name()}; {', '.join(f'{name} {version(name)}' for name in _LIBRARIES)}")
    rows = list(_rows(work, options))
    sides = list(dict.fromkeys(side for row in rows for side in (*row.peers, row.here)))
    runs: Runs = {side: [] for side in sides}
    peak = 0.0
    for _ in range(options.repeats):
        for side in sides:
            peak = max(peak, matrix_product_peak())
            runs[side].append(run_side(side.module, side.function, side.work))
    _require_same_model(runs, published=work.weights == Work().weights)
    others = max(measured.others for several in runs.values() for measured in several)
    print(
        f"bf16 matrix products at {peak / 1e9:,.0f} GFLOP/s; {options.repeats} × {work.steps} steps per side; ", end=""
    )
    print(f"other processes took up to {others:.0%} of the processor\n")
    print("| work | batch | windows/s: peer | here | tokens/s: peer | here | share of peak: peer | here ", end="")
    print("| peak memory, GiB: peer | here | times the peer, target: CPU | GPU |\n" + "|---" * 12 + "|")
    for row in rows:
        print(_line(row, runs, peak), flush=True)
    for row in rows:
        if row.here.function == "finetune":
            peer, here = _seconds(row.peers, runs), _seconds((row.here,), runs)
            print(
                f"\n{row.name}: an epoch of {EPOCH:,} windows would take {EPOCH * peer / 3600:.1f} h for the peer ",
                end="",
            )
            print(f"and {EPOCH * here / 3600:.1f} h here (calculated from the rows).")


_LIBRARIES = ("torch", "transformers", "sentence-transformers")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Training steps and inference, side by side with the libraries at their defaults."
    )
    names = ("mlm", "simcsp", "joint", "finetune", "embedding")
    parser.add_argument("--rows", nargs="+", choices=names, default=names, help="what to measure")
    parser.add_argument("--repeats", type=int, default=3, help="processes per side")
    parser.add_argument("--steps", type=int, default=3, help="steps that count in each")
    batch = 512 if torch.cuda.is_available() else 64
    parser.add_argument("--contrastive-batch", type=int, default=batch, help=f"windows of SimCSP ({batch})")
    parser.add_argument("--tokens", type=int, default=512, help="per window (512)")
    size = ("layers", "hidden", "heads", "intermediate")
    published = [getattr(Work(), name) for name in size]
    parser.add_argument("--model", nargs=4, type=int, default=published, metavar=size, help="size of the encoder")
    return parser.parse_args()


def _rows(work: Work, options: argparse.Namespace) -> Iterator[Row]:
    asked = set(options.rows)
    mlm = Side("peers", "mlm", work)
    if "mlm" in asked:
        yield Row("MLM step", (mlm,), Side("engine", "mlm", work), (6, 3))
    if asked & {"simcsp", "joint"}:
        full = replace(work, batch=options.contrastive_batch)
        fitting = replace(work, batch=_fitting_batch(full))
        simcsp = Side("peers", "simcsp", fitting, views=2)
        if "simcsp" in asked:
            yield Row("SimCSP step", (simcsp,), Side("engine", "simcsp", fitting, views=2), (6, 3))
            if fitting != full:
                yield Row("SimCSP step, full batch here", (simcsp,), Side("engine", "simcsp", full, views=2), (6, 3))
        if "joint" in asked:
            yield Row("MLM + SimCSP", (mlm, simcsp), Side("engine", "joint", fitting, views=2), (8, 4))
    if "finetune" in asked:
        windows = replace(work, batch=16, tokens=min(402, work.tokens))
        here = Side("engine", "finetune", windows)
        yield Row("fine-tuning, AMP as published", (Side("peers", "finetune_published", windows),), here, (5, 3))
        yield Row("fine-tuning, peer in bf16", (Side("peers", "finetune_bf16", windows),), here, (5, 3))
    if "embedding" in asked:
        windows = replace(work, warmup=1, steps=2 * work.steps)
        yield Row("inference", (Side("peers", "embedding", windows),), Side("engine", "embedding", windows), (6, 6))


def _fitting_batch(full: Work) -> int:
    """The largest power of two, up to the batch asked for, that the contrastive peer has the memory for."""
    less, more = (run_side("peers", "simcsp", replace(full, batch=batch, warmup=1, steps=1)) for batch in _PROBES)
    each = max(1, (more.peak - less.peak) // (_PROBES[1] - _PROBES[0]))
    fixed = less.peak - _PROBES[0] * each
    batch = full.batch
    while batch > _PROBES[0] and fixed + batch * each > _FREE_SHARE * available_memory():
        batch = 1 << (batch - 1).bit_length() - 1
    need = (fixed + full.batch * each) / GIB
    print(f"SimCSP's peer would need {need:.0f} GiB at batch {full.batch}: measured at {batch}")
    return batch


def _require_same_model(runs: Runs, *, published: bool) -> None:
    sizes = {measured.parameters for several in runs.values() for measured in several}
    if len(sizes) != 1 or (published and sizes != {ENCODER_PARAMETERS}):
        raise SystemExit(f"The encoders are not the same, or not SpliceBERT's: {sorted(sizes)} parameters.")


def _seconds(sides: tuple[Side, ...], runs: Runs) -> float:
    """Median seconds per window of sides that run one after the other."""
    return statistics.median(_per_repeat(sides, runs))


def _per_repeat(sides: tuple[Side, ...], runs: Runs) -> list[float]:
    return [sum(each) for each in zip(*([m.seconds for m in runs[side]] for side in sides), strict=True)]


def _line(row: Row, runs: Runs, peak: float) -> str:
    work = row.here.work
    operations = work.operations * (1 if row.here.function == "embedding" else 3)  # twice as many backward

    def cells(sides: tuple[Side, ...]) -> list[str]:
        seconds = _seconds(sides, runs)
        tokens = sum(side.views * side.work.tokens for side in sides) / seconds
        memory = max(measured.peak for side in sides for measured in runs[side]) / GIB
        return [f"{1 / seconds:.2f}", f"{tokens:,.0f}", f"{tokens * operations / peak:.0%}", f"{memory:.1f}"]

    here, batch, peers_batch = (row.here,), work.batch, row.peers[-1].work.batch
    pairs = zip(cells(row.peers), cells(here), strict=True)
    ratios = [a / b for a, b in zip(_per_repeat(row.peers, runs), _per_repeat(here, runs), strict=True)]
    times = f"**{statistics.median(ratios):.1f}** ({min(ratios):.1f}–{max(ratios):.1f})"
    measured = ("not measured", times) if torch.cuda.is_available() else (times, "not measured")
    return (
        " | ".join(
            (
                f"| {row.name}",
                f"{batch}" if batch == peers_batch else f"{batch}, peer {peers_batch}",
                *(cell for pair in pairs for cell in pair),
                *(f"{what}, ≥ {target:g}" for what, target in zip(measured, row.targets, strict=True)),
            )
        )
        + " |"
    )


if __name__ == "__main__":
    main()
