"""How the machine trains: speed and memory, never a result."""

import resource
import sys
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from mep.config import Config, LocalPath
from mep.errors import EnvironmentLacks


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
    every global batch, so that any number of them takes the same steps. With FSDP they share the model too."""
    trackers: tuple[Literal["tensorboard", "trackio"], ...] = ()
    """Where losses are also written; the loss log is always written."""

    @property
    def sharded(self) -> bool:
        """Whether each process holds a part of the model (FSDP) and not the whole."""
        return self.accelerate is not None and accelerate_settings(self.accelerate)["distributed_type"] == "FSDP"


def accelerate_settings(path: Path) -> dict[str, Any]:
    """What a configuration file of accelerate says.

    EnvironmentLacks    it is none
    """
    import yaml

    try:
        settings = yaml.safe_load(path.read_text())
        return dict(settings) | {"distributed_type": str(settings["distributed_type"])}
    except (OSError, yaml.YAMLError, TypeError, ValueError, KeyError) as error:
        raise EnvironmentLacks(
            f"machine.accelerate: {path} is no configuration of accelerate: {error}",
            hint=f"write one: accelerate config --config_file {path}",
        ) from error


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
