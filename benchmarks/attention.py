"""One layer of attention on the CPU: in blocks, as here, beside torch's fused kernel and a plain softmax.

    python benchmarks/attention.py                    # SpliceBERT's 16 heads of 32, 8 windows of 512 tokens, bf16
    python benchmarks/attention.py --tokens 102       # shorter windows

Prints milliseconds forward, and forward and backward, the best of some repeats, taken in turns.
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from simcsp.model.attention import attend

Attention = Callable[[Tensor, Tensor, Tensor], Tensor]


def main() -> None:
    """Time all three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=8)
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--width", type=int, default=32, help="of a head")
    parser.add_argument("--repeats", type=int, default=7)
    given = parser.parse_args()
    shape = (given.windows, given.heads, given.tokens, given.width)
    query, key, value, gradient = (torch.randn(shape, dtype=torch.bfloat16) for _ in range(4))
    inputs = [part.requires_grad_() for part in (query, key, value)]
    scale = given.width**-0.5
    kinds: dict[str, Attention] = {
        "in blocks (here)": lambda q, k, v: attend(q, k, v, scale),
        "torch's fused kernel": functional.scaled_dot_product_attention,
        "plain softmax": lambda q, k, v: torch.softmax(q @ k.mT * scale, dim=-1) @ v,
    }
    forward: dict[str, list[float]] = {name: [] for name in kinds}
    both: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(given.repeats):
        for name, attention in kinds.items():
            start = time.perf_counter()
            result = attention(*inputs)
            middle = time.perf_counter()
            torch.autograd.grad(result, inputs, gradient)
            forward[name].append(1000 * (middle - start))
            both[name].append(1000 * (time.perf_counter() - start))
    print(f"{'':22}{'forward':>12}{'and backward':>14}   ms, {torch.get_num_threads()} threads")
    for name in kinds:
        print(f"{name:22}{min(forward[name]):12.1f}{min(both[name]):14.1f}")


if __name__ == "__main__":
    main()
