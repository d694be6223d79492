"""The section `machine` of a recipe: speed and memory, never a result."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from mep.config import Config, LocalPath
from mep.errors import EnvironmentLacks
from mep.machine.addresses import Address
from mep.machine.engines import Engine
from mep.machine.engines.local import Local
from mep.machine.libraries import is_installed
from mep.machine.slurm import SlurmConfig
from mep.registry import OneOf

DEVICES = r"^(auto|cpu|cuda(:\d+)?|mps)$"


class MachineConfig(Config):
    """What changes speed and memory but never a result; no part of it enters a fingerprint."""

    micro_batch: int | None = Field(None, ge=1, le=1_000_000)
    """Images in one forward and backward pass on one device; their gradients are summed up to `global_batch_size`.
    Default: the device's whole share of the batch. Either way it is halved when memory runs out."""
    gradient_checkpointing: bool = False
    """Compute activations a second time instead of keeping them: less memory, about a third more time."""
    attention: Literal["sdpa", "xformers"] = "sdpa"
    """Attention kernels: those of PyTorch, or of the package xformers."""
    compile: bool = False
    """Compile the model on a GPU (torch.compile) for training and generation: a slow start, faster steps. Graphs are
    kept in `runs/cache/graphs`. On a CPU it does not pay, and is left out with a word in the log."""
    deterministic: bool = False
    """Train on a GPU with kernels that add up in a fixed order alone: a resumed training has the same bytes, and is
    slower by a fifth. A CPU does so anyway."""
    at_once: int = Field(1, ge=1, le=64)
    """Arms, and stages that do not need each other, that are made at the same time, each in a process of its own: on a
    CPU with its share of the cores, else on a GPU of its own; with the engine `ray`, anywhere on the cluster. Small
    models are faster side by side."""
    slurm: SlurmConfig | None = None
    """Stages that take long become jobs of Slurm that ask for this; `mep run --on slurm` does so with the defaults."""
    accelerate: LocalPath | None = None
    """Configuration file of `accelerate config`: training runs under `accelerate launch` with its processes. They share
    every global batch, so that any number of them takes the same steps. With FSDP they share the model too."""
    stores: tuple[Address, ...] = Field((), max_length=32)
    """Stores that hosts share, as s3://lab/mep: what lies there under the same fingerprint is fetched and not made."""
    trackers: tuple[Literal["tensorboard", "trackio"], ...] = ()
    """Where losses are also written; the loss log is always written."""
    device: str = Field("auto", pattern=DEVICES)
    """Where models run: cpu, cuda, cuda:1, mps, or auto for the best that is there."""
    engine: OneOf[Engine] = Local(kind="local")
    """Where work on many images runs."""
    batch_size: int = Field(64, ge=1, le=65536)
    """Images that a model sees at once when it embeds, encodes, generates or extracts."""
    generation_batch_size: int | None = Field(None, ge=1, le=65536)
    """Images that are generated at once. Default: batch_size."""
    decode_batch_size: int = Field(8, ge=1, le=65536)
    """Latents that the autoencoder decodes at once when it generates; what needs most memory at 512 pixels."""
    checkpoint_every_s: float = Field(30, ge=0.1)
    """Seconds of training between two checkpoints; more where writing one would take over 1 % of the time."""

    @model_validator(mode="after")
    def _in_one_way(self) -> Self:
        if self.slurm is not None:
            if self.at_once > 1 or self.engine.kind != "local":
                raise ValueError("with slurm the partition says what runs at once: take at_once and engine out")
            if self.accelerate is not None:
                raise ValueError("slurm gives a job to each training: start mep inside of a job for accelerate")
        return self

    def require_for_training(self) -> None:
        """EnvironmentLacks where a package that a training here would import is not installed; none is imported."""
        takes = {
            "machine.attention": ("xformers",) if self.attention == "xformers" else (),
            "machine.trackers": self.trackers,
        }
        for field, packages in takes.items():
            for package in packages:
                if not is_installed(package):
                    instead = f"take it out of {field}" if field == "machine.trackers" else f"set {field} to sdpa"
                    message = f"{field} names {package}, which is not installed"
                    raise EnvironmentLacks(message, hint=f"pip install {package}, or {instead}")

    @property
    def trains_together(self) -> bool:
        """Whether several processes train one model."""
        return self.accelerate is not None or self.engine.trains_together

    @property
    def sharded(self) -> bool:
        """Whether each process holds a part of the model (FSDP) and not the whole."""
        return self.accelerate is not None and accelerate_settings(self.accelerate)["distributed_type"] == "FSDP"


ONE_PROCESS = MachineConfig(device="cpu", engine=Local(kind="local", workers=1, processes=1), batch_size=32)
"""This process alone, without threads, on its CPU."""


def accelerate_settings(path: Path) -> dict[str, Any]:
    """What a configuration file of accelerate says; EnvironmentLacks where it is none."""
    import yaml

    try:
        settings = yaml.safe_load(path.read_text())
        return dict(settings) | {"distributed_type": str(settings["distributed_type"])}
    except (OSError, yaml.YAMLError, TypeError, ValueError, KeyError) as error:
        raise EnvironmentLacks(
            f"machine.accelerate: {path} is no configuration of accelerate: {error}",
            hint=f"write one: accelerate config --config_file {path}",
        ) from error
