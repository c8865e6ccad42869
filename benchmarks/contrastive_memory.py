"""A contrastive step of 4,096 windows: all of them in one forward pass, against chunks with cached gradients.

    python benchmarks/contrastive_memory.py
    python benchmarks/contrastive_memory.py --chunk 64 --batch 1024

Both give the same gradients (tests/training); this shows what that saves and costs. The full step of SpliceBERT's
model on 512 tokens would need terabytes, so that both do it with BERT 2 × 128 on windows of 128 tokens, which takes
some 11 GB. Each runs in a fresh process, one after the other, again and again. Memory is the largest of the process,
and what of it came on top of libraries, model and data; the ratios are medians over the repeats (least–most). Aimed
at: at most 1/8 of the memory in at most 1.4 times the time.
"""

import argparse
import statistics

from one_side import GIB, Measured, Work, device_name, run_side


def main() -> None:
    """Print a table."""
    options = _options()
    whole = Work(
        layers=2,
        hidden=128,
        heads=4,
        intermediate=512,
        tokens=options.tokens,
        batch=options.batch,
        warmup=1,
        steps=options.steps,
    )
    chunked = Work(**{**vars(whole), "chunk": options.chunk})
    runs: dict[Work, list[Measured]] = {whole: [], chunked: []}
    for _ in range(options.repeats):
        for work, measured in runs.items():
            measured.append(run_side("engine", "simcsp", work))
    print(f"{device_name()}; BERT 2 × 128, {whole.tokens} tokens, batch of {whole.batch:,}, two views\n")
    print("| windows per forward pass | seconds per step | peak memory, GiB | above idle, GiB |\n|---|---|---|---|")
    for work, measured in runs.items():
        seconds = statistics.median(m.seconds for m in measured) * work.batch
        peak, above = (statistics.median(values) / GIB for values in zip(*map(_memory, measured), strict=True))
        print(f"| {work.chunk or work.batch:,} | {seconds:.1f} | {peak:.2f} | {above:.2f} |")
    others = max(m.others for measured in runs.values() for m in measured)
    print(f"\nother processes took up to {others:.0%} of the processor; beyond a few per cent, measure again")
    pairs = list(zip(*runs.values(), strict=True))
    print(f"time, chunks / whole: {_spread([b.seconds / a.seconds for a, b in pairs])}, aimed at ≤ 1.4")
    print(f"peak memory, whole / chunks: {_spread([a.peak / b.peak for a, b in pairs])}, aimed at ≥ 8")
    above = [_memory(a)[1] / _memory(b)[1] for a, b in pairs]
    print(f"memory above idle, whole / chunks: {_spread(above)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A contrastive step in one forward pass, against cached chunks.")
    parser.add_argument("--batch", type=int, default=4096, help="windows per step (4096)")
    parser.add_argument("--chunk", type=int, default=128, help="windows per forward pass of the chunked step (128)")
    parser.add_argument("--tokens", type=int, default=128, help="per window (128)")
    parser.add_argument("--steps", type=int, default=2, help="steps that count in each process")
    parser.add_argument("--repeats", type=int, default=3, help="processes per side")
    return parser.parse_args()


def _memory(measured: Measured) -> tuple[int, int]:
    return measured.peak, measured.peak - measured.idle


def _spread(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"


if __name__ == "__main__":
    main()
