"""Training: fine-tune the base on captions and cached latents."""

import shutil
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from mep.artifacts import BaseModel, Latents, Model, Prompts, TrainingSet
from mep.diffusion import denoising_loss, loss_weights, target_of
from mep.files import link_or_copy, write_json
from mep.loop import batch_rows, optimise
from mep.pipelines import encode_prompts, forget_places, load_pipeline, prepare_libraries
from mep.registry import OneOf
from mep.stage import Work, stage
from mep.stages.base import BaseConfig
from mep.stages.latents import LatentsConfig
from mep.trainers import Trainer
from mep.trainers.unet import Unet

if TYPE_CHECKING:
    from torch import Tensor


class TrainingConfig(BaseConfig, LatentsConfig):
    """The model to start from, and how it is trained."""

    method: OneOf[Trainer] = Unet(kind="unet")
    steps: int = Field(ge=1)
    """Optimizer steps."""
    batch_size: int = Field(16, ge=1)
    """Images in an optimizer step."""
    learning_rate: float = Field(1e-5, gt=0, lt=1)
    """Peak learning rate of AdamW. 1e-5 fine-tunes Stable Diffusion; a UNet from scratch wants about 1e-3."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """What the learning rate does after the warm-up."""
    warmup_steps: int = Field(0, ge=0)
    """Steps in which the learning rate rises from zero."""
    weight_decay: float = Field(1e-2, ge=0)
    """Decoupled weight decay (Loshchilov & Hutter 2019)."""
    max_grad_norm: float = Field(1.0, gt=0)
    """Gradients longer than this are shortened to it."""
    caption_dropout: float = Field(0.1, ge=0, le=1)
    """Share of images trained with the empty caption, which guidance needs (Ho & Salimans 2022, arXiv:2207.12598)."""
    timesteps: Literal["uniform", "stratified"] = "uniform"
    """How noise levels are drawn. Stratified gives every batch one from each of batch_size equal bands, which lowers
    the variance of the loss (Kingma et al. 2021, arXiv:2107.00630)."""
    snr_gamma: float | None = Field(None, gt=0)
    """Min-SNR loss weighting (Hang et al. 2023); its authors use 5. Null weighs all timesteps alike."""
    ema_decay: float = Field(0.999, ge=0, lt=1)
    """Decay of the moving average of the weights that generation uses; 0 keeps the last weights. It warms up as
    min(decay, (1 + step) / (10 + step))."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Arithmetic of the UNet's forward and backward pass; weights and optimizer stay fp32."""


@stage(version=1, draws=True, repeats=True)
def training(
    config: TrainingConfig,
    training_set: TrainingSet,
    prompts: Prompts,
    base: BaseModel,
    latents: Latents,
    *,
    work: Work,
) -> Model:
    """Fine-tune the base on captions and cached latents."""
    prepare_libraries()  # a resumed run may begin here
    import torch
    from accelerate import Accelerator
    from diffusers import DDPMScheduler
    from diffusers.optimization import get_scheduler
    from diffusers.training_utils import EMAModel

    torch.manual_seed(work.seed_for("training"))  # for dropout layers, where a base has any
    pipeline = load_pipeline(base.pipeline, work.device)
    noise_scheduler = DDPMScheduler.from_config(pipeline.scheduler.config)
    accelerator = Accelerator(cpu=work.device == "cpu", device_placement=False)  # machine.device places the model
    model = config.method.prepare(pipeline)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True)
    schedule = get_scheduler(
        config.schedule, optimizer, num_warmup_steps=config.warmup_steps, num_training_steps=config.steps
    )
    average = EMAModel(parameters, decay=config.ema_decay, foreach=True)
    model, optimizer = accelerator.prepare(model, optimizer)
    draw = Batches(config, training_set, prompts, latents, pipeline, work)
    dtype = torch.bfloat16 if config.precision == "bf16" else torch.float32

    def step(number: int) -> dict[str, Any]:
        clean, captions, noise, timesteps = draw(number, noise_scheduler.config.num_train_timesteps)
        noisy = noise_scheduler.add_noise(clean, noise, timesteps)
        with torch.autocast(clean.device.type, dtype, enabled=config.precision != "fp32"):
            prediction = model(noisy, timesteps, captions).sample
        target = target_of(noise_scheduler, clean, noise, timesteps)
        loss = denoising_loss(prediction, target, loss_weights(noise_scheduler, timesteps, config.snr_gamma))
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(parameters, config.max_grad_norm)
        learning_rate = schedule.get_last_lr()[0]
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        average.step(parameters)
        return {"loss": loss.detach(), "learning_rate": learning_rate}

    state = {"model": model, "optimizer": optimizer, "schedule": schedule, "average": average}
    log = optimise(work, "training", config.steps, step, state)
    if config.ema_decay > 0:
        average.copy_to(parameters)
    _publish(pipeline, base, work)
    shutil.copyfile(log, work.out / "losses.jsonl")
    facts = {"steps": config.steps, "images": len(training_set.ids), "parameters": sum(p.numel() for p in parameters)}
    write_json(work.out / "training.json", facts | {"resolution": base.resolution})
    return Model(work.out)


class Batches:
    """The batch of a step, everything random in it drawn from the step's own seed."""

    def __init__(
        self,
        config: TrainingConfig,
        training_set: TrainingSet,
        prompts: Prompts,
        latents: Latents,
        pipeline: Any,
        work: Work,
    ):
        import torch

        row_of = {image_id: row for row, image_id in enumerate(latents.ids)}
        self.rows = np.array([row_of[image_id] for image_id in training_set.ids])
        self.prompt_rows = np.array([prompts.of_image[image_id] for image_id in training_set.ids])
        self.captions = encode_prompts(pipeline, [prompt.text for prompt in prompts.prompts])
        self.no_caption = encode_prompts(pipeline, [""])
        self.mean, self.std = latents.mean, latents.std
        self.scale = float(pipeline.vae.config.scaling_factor)
        self.shift = float(pipeline.vae.config.shift_factor or 0.0)
        self.weights, self.config, self.work, self.torch = training_set.weights, config, work, torch

    def __call__(self, step: int, n_timesteps: int) -> "tuple[Tensor, Tensor, Tensor, Tensor]":
        """Clean latents and noise, float32 (b, c, h, w); captions (b, tokens, d); timesteps int64 (b,)."""
        torch, size = self.torch, self.config.batch_size
        rows = batch_rows(self.work, step, size, self.weights)
        rng = self.work.rng("step", step)
        turns = rng.integers(self.mean.shape[1], size=size)
        dropped = torch.from_numpy(rng.random(size) < self.config.caption_dropout)
        generator = torch.Generator().manual_seed(self.work.seed_for("noise", step))
        mean = torch.from_numpy(self.mean[self.rows[rows], turns])
        std = torch.from_numpy(self.std[self.rows[rows], turns])
        clean = (mean + std * torch.randn(mean.shape, generator=generator) - self.shift) * self.scale
        noise = torch.randn(mean.shape, generator=generator)
        level = torch.rand(size, generator=generator)
        if self.config.timesteps == "stratified":
            level = (torch.randperm(size, generator=generator) + level) / size
        timesteps = (level * n_timesteps).long()
        device = self.captions.device
        captions = self.captions[torch.from_numpy(self.prompt_rows[rows]).to(device)]
        captions = torch.where(dropped.to(device)[:, None, None], self.no_caption, captions)
        return clean.to(device), captions, noise.to(device), timesteps.to(device)


def _publish(pipeline: Any, base: BaseModel, work: Work) -> None:
    """The whole pipeline in `out/pipeline`: the trained UNet, and everything else as the base has it."""
    target = work.out / "pipeline"
    shutil.rmtree(target, ignore_errors=True)
    for path in sorted(base.pipeline.rglob("*")):
        relative = path.relative_to(base.pipeline)
        if path.is_file() and relative.parts[0] != "unet":
            link_or_copy(path, target / relative)
    pipeline.unet.save_pretrained(target / "unet", safe_serialization=True)
    forget_places(target / "unet")  # the other files are links into the base
