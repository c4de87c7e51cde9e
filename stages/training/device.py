"""The device that a process computes on, and what makes its results repeatable and fast."""

import os
import platform
import re
import resource
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import scipy.linalg.cython_blas  # noqa: F401 - compiled products are its, and only what is loaded can be limited
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from stages.support.process import InputError


def prepare(device: str, threads: int = 1) -> torch.device:
    """Set this process up for `auto`, `cpu` or `cuda`, before anything is computed in it.

    Gradients that vanish through hundreds of steps become subnormal numbers, which slow a CPU several times:
    they are flushed to zero. On CUDA only deterministic kernels are allowed, and float32 means float32: cuDNN's layers
    would by default round the factors of their products to TF32's 10 bits.

    Raises:
        InputError: `cuda` is asked for and there is none.
    """
    torch.set_flush_denormal(True)
    torch.set_num_threads(threads)
    threadpool_limits(threads)
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("params.yaml: device: 'cuda' was asked for, but torch finds no CUDA device; use cpu or auto")
    if device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    # Else every new tensor costs a pass over memory.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    return torch.device("cuda")


def seed_draws(device: torch.device, seed: int) -> None:
    """Seed what torch draws on `device`.

    `torch.manual_seed` seeds every kind of device that torch knows. Where there is none, it writes down for each who
    called, to seed it should it come: milliseconds a call, and memory that stays.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed_all(seed)


def to_device(device: torch.device, *tensors: Tensor) -> tuple[Tensor, ...]:
    """A batch's tensors on `device`: on CUDA by way of pinned memory, so that the copy waits for nothing."""
    if device.type != "cuda":
        return tensors
    return tuple(tensor.pin_memory().to(device, non_blocking=True) for tensor in tensors)


def products_in(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Within it, matrix products are in `precision`: `float32`, or `bfloat16`, which is quicker on some processors.

    Weights, sums, softmax and all that is scored outside of it stay float32.
    """
    # A cache of rounded weights would be part of a CUDA graph, and stay as it was when that was captured.
    cached = device.type != "cuda"
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16", cache_enabled=cached)


def machine(device: torch.device) -> dict[str, str]:
    """What computes: the operating system, the processor, and the device's own name."""
    cpuinfo = Path("/proc/cpuinfo")
    models = re.findall(r"model name\s*:\s*(.+)", cpuinfo.read_text()) if cpuinfo.exists() else []
    return {
        "machine": platform.platform(),
        "processor": f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores",
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
    }


def peak_memory_bytes(device: torch.device) -> int:
    """The most memory held so far: on the GPU where that computes, else resident in this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
