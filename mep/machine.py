"""How the machine trains: speed and memory, never a result."""

import resource
import sys
from typing import Literal

from pydantic import Field

from mep.config import Config, LocalPath


class TrainingMachine(Config):
    """The part of the section `machine` that training reads. Results are the same up to the last bits of a float."""

    micro_batch: int | None = Field(None, ge=1)
    """Images in one forward and backward pass on one device; their gradients are summed up to `global_batch_size`.
    Default: the device's whole share of the batch. Either way it is halved when memory runs out."""
    gradient_checkpointing: bool = False
    """Compute activations a second time instead of keeping them: less memory, about a third more time."""
    attention: Literal["sdpa", "xformers"] = "sdpa"
    """Attention kernels: those of PyTorch, or of the package xformers."""
    compile: bool = False
    """Compile the model (torch.compile): a slow start, faster steps on most GPUs."""
    accelerate: LocalPath | None = None
    """Configuration file of `accelerate config`: training runs under `accelerate launch` with its processes. They share
    every global batch, so that any number of them takes the same steps."""
    trackers: tuple[Literal["tensorboard", "trackio"], ...] = ()
    """Where losses are also written; the loss log is always written."""


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
