"""A few images from a model that is being trained or tried out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mep.diffusion.pipelines import decode_latents, to_pixels
from mep.machine.files import write_atomically

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mep.diffusion.types import AutoencoderKL, DPMSolverMultistepScheduler, UNet2DConditionModel

GAP_PX, MARGIN_PX = 2, 56
"""Between the images of a grid, and left of its rows for their names."""


@dataclass(frozen=True)
class GuidedUnet:
    """A UNet under classifier-free guidance (Ho & Salimans 2022, arXiv:2207.12598).

    captions    float (n, tokens, d)    hidden states
    empty       float (1, tokens, d)    of the empty caption
    scale       1 is no guidance
    """

    unet: UNet2DConditionModel
    captions: Tensor
    empty: Tensor
    scale: float

    def __call__(self, latents: Tensor, timestep: Tensor) -> Tensor:
        """What the UNet predicts for latents (n, c, h, w), float32 (n, c, h, w)."""
        if self.scale == 1:
            return self._predict(latents, timestep, self.captions)
        states = torch.cat([self.empty.expand_as(self.captions), self.captions])
        without, towards = self._predict(torch.cat([latents] * 2), timestep, states).chunk(2)
        return without + self.scale * (towards - without)

    def _predict(self, latents: Tensor, timestep: Tensor, states: Tensor) -> Tensor:
        dtype = self.unet.dtype
        predicted: Tensor = self.unet(latents.to(dtype), timestep, states.to(dtype)).sample.float()
        return predicted


def draw_previews(
    unet: GuidedUnet, vae: AutoencoderKL, scheduler: DPMSolverMultistepScheduler, noise: Tensor, *, steps: int
) -> NDArray[np.uint8]:
    """Images uint8 (n, h, w, 3), one for each caption.

    noise       float32 (n, c, h, w), variance 1

    The scheduler has to be a deterministic one: all randomness is in the noise that is given.
    """
    scheduler.set_timesteps(steps, device=noise.device)
    latents = noise * scheduler.init_noise_sigma
    with torch.inference_mode():
        for timestep in scheduler.timesteps:
            predicted = unet(scheduler.scale_model_input(latents, timestep), timestep)
            latents = scheduler.step(predicted, timestep, latents, return_dict=False)[0]
        return np.concatenate([to_pixels(decode_latents(vae, latent[None])) for latent in latents])


def image_strip(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Images of one size side by side, with white gaps."""
    height = images[0].shape[0]
    gap = np.full((height, GAP_PX, 3), 255, dtype=np.uint8)
    columns = [column for image in images for column in (image, gap)]
    return np.concatenate(columns[:-1], axis=1)


def save_strips(strips: dict[str, NDArray[np.uint8]], path: Path) -> None:
    """Strips below each other, each with its name on its left, as one PNG."""
    from PIL import Image, ImageDraw

    height, width = next(iter(strips.values())).shape[:2]
    sheet = Image.new("RGB", (MARGIN_PX + width, len(strips) * (height + GAP_PX) - GAP_PX), "white")
    pen = ImageDraw.Draw(sheet)
    for row, (name, pixels) in enumerate(strips.items()):
        top = row * (height + GAP_PX)
        sheet.paste(Image.fromarray(pixels), (MARGIN_PX, top))
        pen.text((4, top + height // 2 - 6), name, fill="black")
    write_atomically(path, lambda file: sheet.save(file, format="png"))
