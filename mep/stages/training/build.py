"""From a recipe's section `training` to everything that the loop needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from mep.diffusion.checkpoints import Stateful, room_for
from mep.diffusion.denoiser import Denoiser
from mep.diffusion.ema import Average, TrainedWeights
from mep.diffusion.encoding import Scaling
from mep.diffusion.objective import noise_scheduler_of
from mep.diffusion.pipelines import load_part
from mep.errors import EnvironmentLacks
from mep.stages.training.batches import Batches, captions_of, posterior_of
from mep.stages.training.fsdp import WatchWhole, Whole, WholeOptimizer, shard
from mep.stages.training.optimizers import build_optimizer
from mep.stages.training.processes import Team, accelerator_of
from mep.stages.training.step import Step
from mep.stages.training.trackers import trackers_of
from mep.stages.training.validation import Seen, Watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from mep.artifacts import BaseModel, Images, Latents, Prompts, TrainingSet
    from mep.diffusion.loop import Observer, Tracker
    from mep.machine.work import Work
    from mep.stages.training.config import TrainingConfig


@dataclass(frozen=True)
class Parts:
    """What a training is made of."""

    denoiser: Denoiser
    noise_scheduler: Any
    average: Average
    step: Step
    watch: Watch
    crew: Team
    trackers: list[Tracker]
    fresh: Callable[[], Denoiser]
    """The module as it was before the first step, whole and on the CPU."""

    @property
    def state(self) -> dict[str, Stateful]:
        """All that determines what the next step does."""
        step, weights = self.step, TrainedWeights(self.denoiser.trained())
        sharded = self.crew.sharded
        return {
            "weights": Whole(weights) if sharded else weights,
            "optimizer": WholeOptimizer(step.optimizer) if sharded else step.optimizer,
            "schedule": step.schedule,
            "average": Whole(self.average) if sharded else self.average,
            "micro-batch": step.micro,
            "scaler": step.scaler,
        }

    @property
    def observer(self) -> Observer:
        return WatchWhole(self.watch, self.whole, self.crew.device) if self.crew.sharded else self.watch

    def whole(self) -> tuple[Denoiser, Average] | None:
        """The module with its weights and their average, as the main process has it; on the CPU where it was in parts.

        All processes call this alike; None for the others.
        """
        if not self.crew.sharded:
            return (self.denoiser, self.average) if self.crew.is_main else None
        weights, average = (self.state[name].state_dict() for name in ("weights", "average"))
        if not self.crew.is_main:
            return None
        denoiser = self.fresh()
        TrainedWeights(denoiser.trained()).load_state_dict(weights)
        mean = Average(list(denoiser.trained().values()), self.average.decay)
        mean.load_state_dict(average)
        return denoiser, mean


def assemble(
    config: TrainingConfig,
    images: Images,
    training_set: TrainingSet,
    prompts: Prompts,
    base: BaseModel,
    latents: Latents,
    work: Work,
) -> Parts:
    """Build model, optimizer, batches and what watches them, from the inputs of the stage."""
    _set_precision(config)
    accelerator = accelerator_of(work, config.global_batch_size)
    captions = captions_of(config, prompts, base, work)  # before the UNet: the text encoder is gone again then
    posterior = posterior_of(config, images, base, latents, work)
    scaling = Scaling.of(base)
    scheduler_config = load_part(base.pipeline, "scheduler", work.device).config
    noise_scheduler = noise_scheduler_of(scheduler_config, config.prediction, config.zero_terminal_snr)
    crew = Team(accelerator, work.device, sharded=work.machine.sharded)
    denoiser = _denoiser(config, base, work, "cpu" if crew.sharded else work.device)
    if crew.sharded:
        shard(denoiser, work.device)
    parameters = list(denoiser.trained().values())
    optimizer = build_optimizer(config, parameters)
    average = Average(parameters, config.ema_decay if crew.is_main or crew.sharded else 0.0)
    room_for(work.folder, parameters, config.optimizer, averaged=bool(config.ema_decay))
    batches = Batches(config, training_set, prompts, posterior, captions, scaling, work)
    schedule = _schedule(config, optimizer)
    trackers = trackers_of(work) if accelerator.is_main_process else []
    validation = training_set.validation
    seen = Seen(config.watch, prompts, validation, posterior, captions, scaling, noise_scheduler, base, work)
    return Parts(
        denoiser=denoiser,
        noise_scheduler=noise_scheduler,
        average=average,
        step=Step(
            config, denoiser, noise_scheduler, batches, optimizer, schedule, average, accelerator, work, crew.sharded
        ),
        watch=Watch(config.watch, config.steps, denoiser, average, seen, trackers),
        crew=crew,
        trackers=trackers,
        fresh=lambda: _denoiser(config, base, work, "cpu"),
    )


def _set_precision(config: TrainingConfig) -> None:
    parts: list[Any] = [torch.backends.cuda.matmul, torch.backends.cudnn]
    for part in parts:
        part.allow_tf32 = config.precision == "tf32"


def _denoiser(config: TrainingConfig, base: BaseModel, work: Work, device: str) -> Denoiser:
    """The module that is trained, in training mode, with the machine's ways to save memory and time."""
    dtype = {"fp32": "float32", "bf16": "bfloat16"}[config.weights]
    unet = load_part(base.pipeline, "unet", device, dtype=dtype)
    text_encoder = None
    if config.text_encoder == "train":
        text_encoder = load_part(base.pipeline, "text_encoder", device, dtype=dtype)
    torch.manual_seed(work.seed_for("new weights"))
    config.method.prepare(unet, text_encoder)
    if work.machine.gradient_checkpointing:
        unet.enable_gradient_checkpointing()
        if text_encoder is not None:
            text_encoder.gradient_checkpointing_enable()
    if work.machine.attention == "xformers":
        try:
            unet.enable_xformers_memory_efficient_attention()
        except (ImportError, ModuleNotFoundError, ValueError) as error:
            raise EnvironmentLacks(
                f"machine.attention: xformers does not work here: {error}", hint="set machine.attention to sdpa"
            ) from error
    denoiser = Denoiser(unet, text_encoder).train()
    if work.machine.compile:
        denoiser.compile()
    return denoiser


def _schedule(config: TrainingConfig, optimizer: Any) -> Any:
    from diffusers.optimization import get_scheduler

    return get_scheduler(
        config.schedule,
        getattr(optimizer, "inner", optimizer),
        num_warmup_steps=config.warmup_steps,
        num_training_steps=config.steps,
    )
