"""Where training runs, in which precision, and compiled."""

from datetime import timedelta
from typing import Literal

import torch
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs
from torch import nn
from transformers.modeling_layers import GradientCheckpointingLayer

_WAITING = timedelta(hours=2)  # of other processes while the main one measures


def make_accelerator(precision: Literal["auto", "bf16", "fp32"]) -> Accelerator:
    """The device that is there, in the precision asked for.

    ``auto`` is bf16 autocast where the hardware multiplies bf16 (CUDA from Ampere on, CPUs with AVX-512 BF16 or
    AMX), and fp32 elsewhere. Only CUDA and the CPU are used: on others the same seed would not give the same
    numbers.
    """
    cuda = torch.cuda.is_available()
    if precision == "auto":
        native = torch.cuda.is_bf16_supported(including_emulation=False) if cuda else _cpu_multiplies_bf16()
        precision = "bf16" if native else "fp32"
    mixed = "no" if precision == "fp32" else "bf16"
    return Accelerator(mixed_precision=mixed, cpu=not cuda, kwargs_handlers=[InitProcessGroupKwargs(timeout=_WAITING)])


def describe(accelerator: Accelerator, processes: int | None = None) -> str:
    """Devices and precision in words; numbers are repeatable on these only, so stages record them.

    Args:
        accelerator: of one of the processes that share the work.
        processes: as many of them as there will be, if this one is not one of them.
    """
    processes = processes or accelerator.num_processes
    cuda = accelerator.device.type == "cuda"
    device = torch.cuda.get_device_name(accelerator.device) if cuda else "cpu"
    many = f"{processes} × " if processes > 1 else ""
    return f"{many}{device}, {'bf16 autocast' if accelerator.mixed_precision == 'bf16' else 'fp32'}"


def compile_layers(module: nn.Module) -> None:
    """Layer by layer: all have one code, so that it is compiled once, and what is between them stays as it is."""
    for child in module.modules():
        if isinstance(child, GradientCheckpointingLayer):
            child.compile()


def _cpu_multiplies_bf16() -> bool:
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
