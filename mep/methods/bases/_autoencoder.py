"""Training a small autoencoder on the images of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mep.artifacts import Images
from mep.config import Config
from mep.diffusion.loop import LoopSettings, Scalars, batch_rows, optimise
from mep.diffusion.pipelines import to_tensor
from mep.imaging.pixels import SYMMETRIES, symmetry
from mep.machine.shards import Shards
from mep.machine.work import Work

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from mep.diffusion.checkpoints import Stateful
    from mep.diffusion.types import AutoencoderKL

MAX_IMAGES, MAX_BYTES = 20_000, 1_000_000_000
"""Images that the autoencoder sees, and their pixels in memory; a seeded subset of larger datasets."""
CROPS_UNTIL = 0.8
"""Share of the steps on crops; the rest see half as many whole images, whose statistics group norms meet later."""


class AutoencoderTraining(Config):
    """How an autoencoder is trained: absolute error of pixels and of their differences, and a light KL term."""

    steps: int = Field(800, ge=1)
    """Optimizer steps."""
    batch_size: int = Field(16, ge=1)
    """Crops in a step."""
    crop_px: int = Field(32, ge=8)
    """Side of the random crops; a fully convolutional network learns as well from parts. Capped by the resolution."""
    learning_rate: float = Field(2e-3, gt=0, lt=1)
    """Peak learning rate of AdamW, after a warm-up of 30 steps, falling as a cosine."""
    edges: float = Field(1.0, ge=0)
    """Weight of the error of neighbouring pixels' differences, which keeps edges sharp."""
    kl: float = Field(1e-6, ge=0)
    """Weight of the Kullback-Leibler term; Rombach et al. 2022 use 1e-6."""
    ema_decay: float = Field(0.99, ge=0, lt=1)
    """Decay of the moving average of the weights that is kept."""
    symmetries: Literal["none", "mirror", "square"] = "square"
    """Turns and mirror images that crops are shown in; an autoencoder need not know up from down."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Arithmetic of forward and backward pass; weights and optimizer stay fp32."""


def train_autoencoder(
    vae: AutoencoderKL, config: AutoencoderTraining, images: Images, resolution: int, work: Work
) -> Path:
    """Train in place, then give every latent channel mean 0 and variance 1; the path of the loss log."""
    import torch
    from diffusers.optimization import get_scheduler

    from mep.diffusion.denoiser import EMA

    pixels = _pixels(images, resolution, work)
    parameters = list(vae.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=config.learning_rate, betas=(0.9, 0.99), weight_decay=0, fused=True)
    schedule = get_scheduler(
        "cosine", optimizer, num_warmup_steps=min(30, config.steps // 4), num_training_steps=config.steps
    )
    ema = EMA(parameters, config.ema_decay)
    weights, turns = np.ones(len(pixels)), SYMMETRIES[config.symmetries]

    def step(number: int) -> Scalars:
        rng = work.rng("autoencoder step", number)
        rows = batch_rows(work, number, config.batch_size, weights)
        batch = pixels[rows[: max(1, len(rows) // 2)]]
        if number < CROPS_UNTIL * config.steps:
            batch = _crops(pixels[rows], min(config.crop_px, resolution), rng)
        real = to_tensor(symmetry(batch, int(rng.choice(turns))), work.device)
        generator = torch.Generator().manual_seed(work.seed_for("autoencoder noise", number))
        loss, pixel_error = _losses(vae, config, real, generator)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        ema.step()
        return {"loss": loss.detach(), "pixel_error": pixel_error.detach()}

    state: dict[str, Stateful] = {"vae": vae, "optimizer": optimizer, "schedule": schedule, "average": ema}
    log = optimise(work, LoopSettings("autoencoder", config.steps, config.batch_size), step, state)
    ema.keep()
    vae.eval()
    normalise_latents(vae, to_tensor(pixels[:256], work.device))
    return log


def _losses(
    vae: AutoencoderKL, config: AutoencoderTraining, real: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """What is minimised, and the mean absolute error of the pixels, for images float32 (b, 3, h, w) in [-1, 1]."""
    import torch

    with torch.autocast(real.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
        posterior = vae.encode(real).latent_dist
        noise = torch.randn(posterior.mean.shape, generator=generator).to(real.device)
        rebuilt = vae.decode(posterior.mean + posterior.std * noise).sample.float()
    pixel_error = (rebuilt - real).abs().mean()
    across, down = ((rebuilt.diff(dim=dim) - real.diff(dim=dim)).abs().mean() for dim in (-1, -2))
    return pixel_error + config.edges * (across + down) + config.kl * posterior.kl().float().mean(), pixel_error


def normalise_latents(vae: AutoencoderKL, images: Tensor) -> None:
    """Fold each latent channel's mean and standard deviation over the images, (n, 3, h, w) in [-1, 1], into the 1x1
    convolutions around the latent, so that the diffusion model meets mean 0 and variance 1 in every channel."""
    import torch

    with torch.inference_mode():
        codes = torch.cat([vae.encode(part).latent_dist.mean for part in images.split(64)])
    mean, std = codes.mean((0, 2, 3)), codes.std((0, 2, 3)).clamp_min(1e-6)
    n = len(mean)
    with torch.no_grad():
        moments, back = vae.quant_conv, vae.post_quant_conv
        assert moments is not None
        assert back is not None
        assert moments.bias is not None
        assert back.bias is not None
        back.bias += (back.weight[:, :, 0, 0] * mean).sum(1)
        back.weight *= std[None, :, None, None]
        moments.weight[:n] /= std[:, None, None, None]
        moments.bias[:n] = (moments.bias[:n] - mean) / std
        moments.bias[n:] -= 2 * std.log()  # the second half is the logarithm of the variance


def _crops(pixels: NDArray[np.uint8], side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """One random crop of every image, uint8 (b, side, side, 3)."""
    corners = rng.integers(0, pixels.shape[1] - side + 1, size=(len(pixels), 2))
    return np.stack([image[y : y + side, x : x + side] for image, (y, x) in zip(pixels, corners, strict=True)])


def _pixels(images: Images, resolution: int, work: Work) -> NDArray[np.uint8]:
    """uint8 (n, resolution, resolution, 3) of the images, or of a seeded subset, in random order."""
    rows = work.rng("autoencoder images").permutation(len(images))[: min(MAX_IMAGES, MAX_BYTES // (3 * resolution**2))]

    def shard(part: Sequence[int]) -> NDArray[np.uint8]:
        return np.stack(list(work.map(lambda row: images.read_square(int(row), resolution), part)))

    return Shards(work, "pixels", [int(row) for row in rows]).map(shard)
