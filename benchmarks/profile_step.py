"""Where the time of a training step goes, and the floor that this machine sets to it.

    python benchmarks/profile_step.py                 # MLM, SpliceBERT's model, 8 × 512 tokens
    python benchmarks/profile_step.py simcsp --batch 16

The floor is a calculation from two measured rates: of a bf16 matrix product, and of copying memory. Operations are
those of the matrix products that are computed: 2 forward and 4 backward per weight of a layer and token, and 2 T D
forward and 4 T D backward for each of the two products of attention in a layer of width D on T tokens; in the last
layer keys and values everywhere, the rest where somebody looks. Bytes are the least that must move: 28 per parameter
and step for gradients and AdamW, and per token and layer 16 D bf16 numbers of activations, written once and read twice,
and as much for their gradients. Then torch's profiler says how the time of a step is spread over kinds of operations.
"""

import argparse
import time
from collections import Counter

import engine
import torch
from one_side import StepClock, Work, device_name, matrix_product_peak
from torch.profiler import ProfilerActivity, profile, schedule

_LOOKED_AT = {"mlm": 0.16, "simcsp": 0.0, "joint": 0.16}  # share of tokens at which the last layer is computed
_BYTES_PER_PARAMETER = 28  # gradient, weight, two moments read; weight, two moments written; 4 bytes each
_ACTIVATIONS = 16  # of a layer's width per token
_KINDS = {
    "matrix products of layers and head": ("aten::mm", "aten::addmm"),
    "attention": ("aten::bmm", "aten::baddbmm", "aten::_softmax", "aten::_softmax_backward_data"),
    "dropout": ("aten::random_", "aten::lt", "aten::native_dropout_backward"),
    "GELU": ("aten::gelu", "aten::gelu_backward"),
    "layer norm": ("aten::native_layer_norm", "aten::native_layer_norm_backward"),
    "copies and casts": ("aten::copy_",),
    "optimiser": ("aten::_fused_adamw_", "aten::linalg_vector_norm"),
}


def main() -> None:
    """Print the floor and the profile."""
    parser = argparse.ArgumentParser(description="Where the time of a training step goes.")
    parser.add_argument("objective", nargs="?", default="mlm", choices=list(_LOOKED_AT))
    parser.add_argument("--batch", type=int, default=8, help="windows per step (8)")
    parser.add_argument("--tokens", type=int, default=512, help="per window (512)")
    given = parser.parse_args()
    work = Work(batch=given.batch, tokens=given.tokens)
    spent, seconds = _profiled(given.objective, work)
    views = 1 if given.objective == "mlm" else 2
    tokens = work.batch * work.tokens * views
    print(f"{device_name()}; {given.objective}, {work.batch} × {work.tokens} tokens, {seconds:.2f} s per step")
    _print_floor(work, given.objective, tokens, seconds)
    print("\n| operations | share of a step |\n|---|---|")
    total = sum(spent.values())
    for kind, time_spent in spent.most_common():
        print(f"| {kind} | {time_spent / total:.0%} |")


def _print_floor(work: Work, objective: str, tokens: int, seconds: float) -> None:
    peak, bandwidth = matrix_product_peak(), _copied_bytes_per_second()
    of_layer = work.operations * 3 / work.layers
    share = _LOOKED_AT[objective]
    operations = of_layer * (work.layers - 1 + share) + 6 * 2 * work.hidden**2 * (1 - share)
    parameters = work.weights * _BYTES_PER_PARAMETER / tokens
    moved = parameters + work.layers * _ACTIVATIONS * work.hidden * 2 * 3 * 2
    by_product, by_memory = operations / peak, moved / bandwidth
    print(f"{operations / 1e6:.0f} M operations per token at {peak / 1e9:.0f} GFLOP/s: {1 / by_product:,.0f} tokens/s")
    print(f"{moved / 1e6:.2f} MB per token at {bandwidth / 1e9:.1f} GB/s: {1 / by_memory:,.0f} tokens/s")
    floor = max(by_product, by_memory)
    print(f"measured: {tokens / seconds:,.0f} tokens/s, {floor * tokens / seconds:.0%} of the lower of the two")


def _profiled(objective: str, work: Work) -> tuple[Counter[str], float]:
    """Seconds by kind of operation in the steps that count, and seconds per step without the profiler."""
    plain = getattr(engine, objective)(work)
    device = ProfilerActivity.CUDA if torch.cuda.is_available() else ProfilerActivity.CPU
    steps = schedule(wait=0, warmup=work.warmup, active=work.steps, repeat=1)
    with profile(activities={ProfilerActivity.CPU, device}, schedule=steps, acc_events=True) as profiler:

        class Clock(StepClock):
            def tick(self) -> None:
                super().tick()
                profiler.step()

        engine.StepClock = Clock
        getattr(engine, objective)(work)
    kind_of = {name: kind for kind, names in _KINDS.items() for name in names}
    spent: Counter[str] = Counter()
    for event in profiler.key_averages():
        if not event.key.startswith("ProfilerStep"):
            alone = event.self_device_time_total if torch.cuda.is_available() else event.self_cpu_time_total
            spent[kind_of.get(event.key, "all else")] += alone / 1e6
    return spent, plain.seconds * work.batch


def _copied_bytes_per_second() -> float:
    """Read and written bytes of a copy of 256 MB, the best of five."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    source = torch.ones(64 << 20, device=device)
    target = torch.empty_like(source)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        target.copy_(source)
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return 2 * source.numel() * source.element_size() / min(seconds)


if __name__ == "__main__":
    main()
