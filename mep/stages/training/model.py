"""The model that is trained, with all that changes its weights."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from mep.diffusion.checkpoints import Stateful, check_room
from mep.diffusion.conditioner import Conditioner
from mep.diffusion.denoiser import EMA, Denoiser, TrainedWeights
from mep.diffusion.families import family_of
from mep.diffusion.new_tokens import grow
from mep.diffusion.objective import Objective, objective_of
from mep.diffusion.pipelines import load_part
from mep.diffusion.types import CLIPTextModel
from mep.errors import DataError, EnvironmentLacks
from mep.machine.graphs import compile_graphs
from mep.machine.work import Work
from mep.sections.training import TrainingConfig
from mep.stages.training.batches import EncodedInputs
from mep.stages.training.optimizers import ScheduleFreeMean, build_optimizer
from mep.stages.training.processes import AccelerateGroup, GatheredOptimizer, GatheredState, shard


@dataclass(frozen=True)
class TrainedModel:
    """The model, and what changes its weights."""

    denoiser: Denoiser
    objective: Objective
    optimizer: Optimizer
    schedule: LRScheduler
    ema: EMA
    group: AccelerateGroup
    fresh: Callable[[], Denoiser]
    """Builds the module as it was before the first step, whole and on the CPU."""

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
        """The module and the average of its weights on the main process, None on the others; all call this."""
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


def build_model(config: TrainingConfig, encoded: EncodedInputs, group: AccelerateGroup, work: Work) -> TrainedModel:
    base = encoded.inputs.base
    scheduler_config = load_part(base.pipeline, "scheduler", work.device).config
    objective = objective_of(scheduler_config, config.prediction, config.zero_terminal_snr, config.snr_gamma)
    denoiser = _build_denoiser(config, encoded, work, "cpu" if group.sharded else work.device)
    if group.sharded:
        shard(denoiser, work.device)
    parameters = list(denoiser.trained().values())
    if not parameters:
        raise DataError(
            "the captions name no new token, and nothing else is trained",
            hint="write one into the template: <morph-{cluster}>",
            field="prompts.template",
        )
    optimizer, schedule = build_optimizer(config, parameters)
    ema = (
        ScheduleFreeMean(parameters, optimizer)
        if config.optimizer == "schedule_free"
        else EMA(parameters, config.ema_decay if group.is_main or group.sharded else 0.0)
    )
    check_room(work.folder, parameters, config.optimizer, averaged=bool(config.ema_decay))
    fresh = partial(_build_denoiser, config, encoded, work, "cpu")
    return TrainedModel(denoiser, objective, optimizer, schedule, ema, group, fresh)


def _build_denoiser(config: TrainingConfig, encoded: EncodedInputs, work: Work, device: str) -> Denoiser:
    """The module that is trained, in training mode, with the machine's ways to save memory and time."""
    base = encoded.inputs.base
    dtype = {"fp32": "float32", "bf16": "bfloat16"}[config.weights]
    family = family_of(base.pipeline)
    core = load_part(base.pipeline, family.core, device, dtype=dtype)
    config.check_core(family, core)
    is_encoder_trained = config.text_encoder == "train"
    text_encoder = load_part(base.pipeline, "text_encoder", device, dtype=dtype) if config.reads_tokens else None
    torch.manual_seed(work.seed_for("new weights"))
    config.method.prepare(core, text_encoder if is_encoder_trained else None)
    if text_encoder is not None and not is_encoder_trained:
        text_encoder.requires_grad_(False)
    if encoded.new_tokens and text_encoder is not None and config.method.learns:
        tokenizer = load_part(base.pipeline, "tokenizer", device)
        grow(text_encoder, tokenizer, encoded.new_tokens, config.method.learns.begin)
    if work.machine.gradient_checkpointing:
        core.enable_gradient_checkpointing()
        if text_encoder is not None:
            text_encoder.gradient_checkpointing_enable()
    if work.machine.attention == "xformers":
        try:
            core.enable_xformers_memory_efficient_attention()
        except (ImportError, ModuleNotFoundError, ValueError) as error:
            raise EnvironmentLacks(
                f"machine.attention: xformers does not work here: {error}", hint="set machine.attention to sdpa"
            ) from error
    denoiser = Denoiser(family, core, text_encoder, _build_conditioner(encoded, text_encoder, device)).train()
    if work.machine.compile:
        compile_graphs(denoiser, work.device, work.cache_for("graphs"))
    return denoiser


def _build_conditioner(encoded: EncodedInputs, text_encoder: CLIPTextModel | None, device: str) -> Conditioner | None:
    """What makes tokens of cues, as wide as those of captions; None where the model is told captions alone."""
    if encoded.cues is None:
        return None
    family = family_of(encoded.inputs.base.pipeline)
    said = encoded.captions.read(np.zeros(1, dtype=np.int64))
    width = said[family.attended].shape[-1] if text_encoder is None else int(text_encoder.config.hidden_size)
    torch.manual_seed(encoded.work.seed_for("conditioner"))
    cues, n_tokens = encoded.cues.cues, encoded.config.conditioning.n_tokens
    return Conditioner(cues.width, of_classes=cues.vectors is None, tokens=n_tokens, width=width).to(device)
