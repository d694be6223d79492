"""What a training works on: the inputs of the stage, and the model with all that changes its weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mep.diffusion.ema import EMA, TrainedWeights
from mep.stages.training.fsdp import GatheredOptimizer, GatheredState

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

    from mep.artifacts import BaseModel, Images, Latents, Prompts, TrainingSet
    from mep.diffusion.checkpoints import Stateful
    from mep.diffusion.denoiser import Denoiser
    from mep.diffusion.types import DDPMScheduler
    from mep.stages.training.processes import AccelerateGroup


@dataclass(frozen=True)
class TrainingInputs:
    """The artifacts that the stage reads."""

    images: Images
    training_set: TrainingSet
    prompts: Prompts
    base: BaseModel
    latents: Latents


@dataclass(frozen=True)
class TrainedModel:
    """The model, and what changes its weights.

    fresh       builds the module as it was before the first step, whole and on the CPU
    """

    denoiser: Denoiser
    noise_scheduler: DDPMScheduler
    optimizer: Optimizer
    schedule: LRScheduler
    ema: EMA
    group: AccelerateGroup
    fresh: Callable[[], Denoiser]

    @property
    def state(self) -> dict[str, Stateful]:
        """What a checkpoint keeps of it."""
        weights = TrainedWeights(self.denoiser.trained())
        sharded = self.group.sharded
        return {
            "weights": GatheredState(weights) if sharded else weights,
            "optimizer": GatheredOptimizer(self.optimizer) if sharded else self.optimizer,
            "schedule": self.schedule,
            "average": GatheredState(self.ema) if sharded else self.ema,
        }

    def gathered(self) -> tuple[Denoiser, EMA] | None:
        """The module and the average of its weights on the main process, on the CPU where they were sharded.

        All processes call this at the same point; the others get None.
        """
        if not self.group.sharded:
            return (self.denoiser, self.ema) if self.group.is_main else None
        weights, shadow = (self.state[name].state_dict() for name in ("weights", "average"))
        if not self.group.is_main:
            return None
        denoiser = self.fresh()
        TrainedWeights(denoiser.trained()).load_state_dict(weights)
        ema = EMA(list(denoiser.trained().values()), self.ema.decay)
        ema.load_state_dict(shadow)
        return denoiser, ema
