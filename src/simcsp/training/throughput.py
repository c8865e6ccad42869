"""How fast a training is, and how much of what the hardware can do it uses."""

import resource
import sys
import time
from functools import lru_cache
from itertools import islice

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from transformers import PreTrainedModel

_SIDES = {"cpu": 2048, "cuda": 8192}  # of the matrices multiplied to measure the peak: large enough to fill the device
_REPEATS = 5


class Meter:
    """Tokens per second, share of the device's peak, and share of the time spent waiting for data.

    Args:
        module: that is trained.
        accelerator: device and precision.
    """

    def __init__(self, module: nn.Module, accelerator: Accelerator) -> None:
        self._weights = matrix_weights(module)
        self._attention = attention_width(module)
        self._accelerator = accelerator
        self.restart()

    def restart(self) -> None:
        """Begin anew, for instance after a measurement."""
        self._start, self._waited, self._tokens, self._operations = time.perf_counter(), 0.0, 0, 0.0

    def waited(self, seconds: float) -> None:
        """Add time spent waiting for a batch."""
        self._waited += seconds

    def count(self, tokens: Tensor) -> None:
        """Add the tokens ``(…, T)`` of a step."""
        self._tokens += tokens.numel()
        self._operations += tokens.numel() * operations_per_token(self._weights, self._attention, tokens.shape[-1])

    def read(self) -> dict[str, float]:
        """Rates since the last reading, of all processes together; then begin anew."""
        seconds = time.perf_counter() - self._start
        peak = self._accelerator.num_processes * matrix_peak(
            self._accelerator.device, self._accelerator.mixed_precision
        )
        rates = {"speed/tokens_per_second": self._tokens / seconds, "speed/mfu": self._operations / seconds / peak}
        if not self._tokens:  # a frozen encoder has seen them before
            rates = {}
        rates |= {
            "speed/data_wait": self._waited / seconds,
            "speed/peak_memory_gb": peak_memory(self._accelerator.device) / 1e9,
        }
        self.restart()
        return rates


def operations_per_token(weights: int, attention: int, tokens: int) -> float:
    """Floating-point operations of one training step per token, forward and backward: 6 N + 12 T Σ D.

    The usual count of a model's operations (Chowdhery et al. 2022, appendix B), as if every layer were computed at
    every token; what is not computed counts as speed.

    Args:
        weights: N, of all matrices that a token passes.
        attention: Σ D, widths of attention added up over the layers.
        tokens: T, length of a window.
    """
    return 6.0 * weights + 12.0 * tokens * attention


def matrix_weights(module: nn.Module) -> int:
    """Weights of all linear layers and convolutions, each used once per token."""
    return sum(child.weight.numel() for child in module.modules() if isinstance(child, nn.Linear | nn.Conv1d))


def attention_width(module: nn.Module) -> int:
    """Widths of attention, added up over the layers of the Hugging Face model inside, if there is one."""
    configs = (child.config for child in module.modules() if isinstance(child, PreTrainedModel))
    return sum(config.num_hidden_layers * config.hidden_size for config in islice(configs, 1))


@lru_cache(maxsize=1)
def matrix_peak(device: torch.device, precision: str) -> float:
    """Operations per second of a large matrix product here, measured once per process."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    side = _SIDES[device.type]
    left, right = (torch.randn((side, side), dtype=dtype, device=device) for _ in range(2))
    seconds = []
    for _ in range(_REPEATS):
        _wait_for(device)
        start = time.perf_counter()
        left @ right
        _wait_for(device)
        seconds.append(time.perf_counter() - start)
    return 2.0 * side**3 / min(seconds)


def peak_memory(device: torch.device) -> int:
    """Most bytes in use so far: of the GPU's memory, or resident of this process."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
