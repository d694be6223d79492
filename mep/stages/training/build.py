"""From a recipe's section `training` to everything that the loop needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch

from mep.diffusion.checkpoints import check_room
from mep.diffusion.denoiser import Denoiser
from mep.diffusion.ema import EMA
from mep.diffusion.loop import LoopSettings
from mep.diffusion.objective import noise_scheduler_of
from mep.diffusion.pipelines import load_part
from mep.errors import EnvironmentLacks
from mep.stages.training.batches import Batches, encode_inputs
from mep.stages.training.fsdp import shard
from mep.stages.training.model import TrainedModel
from mep.stages.training.optimizers import build_optimizer, build_schedule
from mep.stages.training.processes import AccelerateGroup
from mep.stages.training.step import Step
from mep.stages.training.trackers import trackers_of
from mep.stages.training.validation import Validation, ValidationData

if TYPE_CHECKING:
    from mep.artifacts import BaseModel
    from mep.diffusion.checkpoints import Stateful
    from mep.machine.work import Work
    from mep.stages.training.config import TrainingConfig
    from mep.stages.training.model import TrainingInputs


@dataclass(frozen=True)
class TrainingSetup:
    """What a training is made of."""

    config: TrainingConfig
    model: TrainedModel
    step: Step
    validation: Validation
    loop: LoopSettings

    @property
    def state(self) -> dict[str, Stateful]:
        """All that determines what the next step does."""
        return self.model.state | self.step.state


def assemble(config: TrainingConfig, inputs: TrainingInputs, work: Work) -> TrainingSetup:
    """Build model, optimizer, batches and validation from the inputs of the stage."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = config.precision == "tf32"
    group = AccelerateGroup(work, config.global_batch_size)
    encoded = encode_inputs(config, inputs, work)  # before the UNet is loaded: the text encoder is gone by then
    model = _build_model(config, inputs.base, group, work)
    trackers = trackers_of(work) if group.is_main else []
    batches = Batches(config, inputs.training_set, encoded, work)
    data = ValidationData(config.watch, inputs, encoded, model.noise_scheduler, work)
    validation = Validation(config, model, data, trackers)
    loop = LoopSettings("training", config.steps, config.global_batch_size, group, validation, trackers)
    return TrainingSetup(config, model, Step(config, model, batches, work), validation, loop)


def _build_model(config: TrainingConfig, base: BaseModel, group: AccelerateGroup, work: Work) -> TrainedModel:
    scheduler_config = load_part(base.pipeline, "scheduler", work.device).config
    noise_scheduler = noise_scheduler_of(scheduler_config, config.prediction, config.zero_terminal_snr)
    denoiser = _build_denoiser(config, base, work, "cpu" if group.sharded else work.device)
    if group.sharded:
        shard(denoiser, work.device)
    parameters = list(denoiser.trained().values())
    optimizer = build_optimizer(config, parameters)
    ema = EMA(parameters, config.ema_decay if group.is_main or group.sharded else 0.0)
    check_room(work.folder, parameters, config.optimizer, averaged=bool(config.ema_decay))
    fresh = partial(_build_denoiser, config, base, work, "cpu")
    return TrainedModel(denoiser, noise_scheduler, optimizer, build_schedule(config, optimizer), ema, group, fresh)


def _build_denoiser(config: TrainingConfig, base: BaseModel, work: Work, device: str) -> Denoiser:
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
