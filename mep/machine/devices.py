"""The device that `auto` stands for, and the memory that was used."""

import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def resolve_device(device: str) -> str:
    if device != "auto":
        return device
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


@contextmanager
def products(*, tf32: bool, repeatable: bool = False) -> Iterator[None]:
    """How float32 is multiplied on a GPU while the context lasts: with 10 bits of each factor (TF32), or with all.

    repeatable  take no kernel by timing, and none that adds up in another order each time
    """
    import torch

    before = torch.get_float32_matmul_precision()
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=repeatable, allow_tf32=tf32):
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)


@contextmanager
def fixed_order(*, required: bool) -> Iterator[None]:
    """Let a GPU, where required, take only kernels that add up in the same order each time; others raise an error."""
    if not required:
        yield
        return
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it torch refuses products of matrices
    before, cudnn = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.deterministic
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.deterministic = True
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        torch.backends.cudnn.deterministic = cudnn


def peak_memory_mb() -> float:
    """Most memory that this process ever held, in megabytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def memory_note(device: str) -> str:
    """Most memory held so far, of the device where it has its own."""
    if device.startswith("cuda"):
        import torch

        return f"{torch.cuda.max_memory_allocated(device) / 1e9:.1f} GB"
    return f"{peak_memory_mb() / 1e3:.1f} GB"
