"""An AutoencoderKL, the autoencoder of Stable Diffusion, small and trained on the images of the dataset."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from mep.diffusion.image_order import ImageOrder
from mep.diffusion.loop import LoopSettings, Scalars, optimise
from mep.diffusion.pipelines import to_tensor
from mep.imaging.pixels import SYMMETRIES, symmetry
from mep.methods.autoencoders import Autoencoder, pixels_of

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    from mep.artifacts import Images
    from mep.diffusion.checkpoints import Stateful
    from mep.diffusion.types import AutoencoderKL
    from mep.machine.work import Work

CROPS_UNTIL = 0.8
"""Share of the steps on crops; the rest see half as many whole images, whose statistics group norms meet later."""


class Kl(Autoencoder):
    """Trained on the absolute error of pixels and of their differences, with a light KL term."""

    kind: Literal["kl"]
    channels: tuple[Annotated[int, Field(le=65536)], ...] = Field((16, 32, 64), min_length=1, max_length=6)
    """Channels of each level; every level after the first halves the side."""
    layers: int = Field(1, ge=1, le=4)
    """Residual blocks in a level."""
    latent_channels: int = Field(4, ge=1, le=64)
    """Channels of the latent; Stable Diffusion has 4 at an eighth of the side."""
    steps: int = Field(800, ge=1, le=1_000_000_000)
    """Optimizer steps."""
    batch_size: int = Field(16, ge=1, le=65536)
    """Crops in a step."""
    crop_px: int = Field(32, ge=8, le=8192)
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

    @property
    def factor(self) -> int:
        return 1 << (len(self.channels) - 1)

    def build(self, images: Images, resolution: int, work: Work) -> tuple[AutoencoderKL, Path | None]:
        import torch

        from mep.diffusion import types

        torch.manual_seed(work.seed_for("autoencoder"))
        vae = types.AutoencoderKL(**self._settings(resolution)).to(work.device)
        return vae, _train(vae, self, images, resolution, work)

    def _settings(self, resolution: int) -> dict[str, Any]:
        n = len(self.channels)
        return {
            "in_channels": 3,
            "out_channels": 3,
            "down_block_types": ("DownEncoderBlock2D",) * n,
            "up_block_types": ("UpDecoderBlock2D",) * n,
            "block_out_channels": self.channels,
            "layers_per_block": self.layers,
            "latent_channels": self.latent_channels,
            "norm_num_groups": math.gcd(8, *self.channels),
            "sample_size": resolution,
            "mid_block_add_attention": False,
            "scaling_factor": 1.0,  # training ends by giving every latent channel mean 0 and variance 1
        }


def _train(vae: AutoencoderKL, config: Kl, images: Images, resolution: int, work: Work) -> Path:
    """Train in place, then give every latent channel mean 0 and variance 1; the path of the loss log."""
    import torch
    from diffusers.optimization import get_scheduler

    from mep.diffusion.denoiser import EMA

    pixels = pixels_of(images, resolution, work)
    parameters = list(vae.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=config.learning_rate, betas=(0.9, 0.99), weight_decay=0, fused=True)
    schedule = get_scheduler(
        "cosine", optimizer, num_warmup_steps=min(30, config.steps // 4), num_training_steps=config.steps
    )
    ema = EMA(parameters, config.ema_decay)
    order, turns = ImageOrder(work, np.ones(len(pixels))), SYMMETRIES[config.symmetries]

    def step(number: int) -> Scalars:
        rng = work.rng("autoencoder step", number)
        rows = order(number, config.batch_size)
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


def _losses(vae: AutoencoderKL, config: Kl, real: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
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
