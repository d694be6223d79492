"""The device that `auto` stands for, and the memory that was used."""

import resource
import sys


def resolve_device(device: str) -> str:
    if device != "auto":
        return device
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


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
