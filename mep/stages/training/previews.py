"""A few images from a model that is being trained or tried out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch
from numpy.typing import NDArray
from PIL import ImageDraw
from PIL.Image import Image
from torch import Tensor

from mep.diffusion.denoiser import Denoiser
from mep.diffusion.families import Condition
from mep.diffusion.pipelines import decode_latents, to_pixels
from mep.diffusion.types import AutoencoderKL
from mep.machine.files import write_atomically

GAP_PX, MARGIN_PX = 2, 56
"""Between the images of a grid, and left of its rows for their names."""


@dataclass(frozen=True)
class Guided:
    """A model under classifier-free guidance (Ho & Salimans 2022, arXiv:2207.12598).

    captions    by name, float (n, ...)     what the captions say
    empty       by name, float (1, ...)     what the empty one does
    scale       1 is no guidance
    """

    denoiser: Denoiser
    captions: Condition
    empty: Condition
    scale: float

    def __call__(self, latents: Tensor, timestep: Tensor) -> Tensor:
        """What the model predicts for latents (n, c, h, w), float32 (n, c, h, w)."""
        if self.scale == 1:
            return self._predict(latents, timestep, self.captions)
        both = {name: torch.cat([self.empty[name].expand_as(values), values]) for name, values in self.captions.items()}
        without, towards = self._predict(torch.cat([latents] * 2), timestep, both).chunk(2)
        return without + self.scale * (towards - without)

    def _predict(self, latents: Tensor, timestep: Tensor, condition: Condition) -> Tensor:
        core, family = self.denoiser.core, self.denoiser.family
        said = {name: values.to(core.dtype) for name, values in condition.items()}
        return family.predict(core, latents.to(core.dtype), timestep.expand(len(latents)), said).float()


def draw_previews(model: Guided, vae: AutoencoderKL, scheduler: Any, noise: Tensor, *, steps: int) -> NDArray[np.uint8]:
    """Images uint8 (n, h, w, 3), one for each caption, from noise float32 (n, c, h, w) of variance 1."""
    scheduler.set_timesteps(steps, device=noise.device)
    latents = noise * scheduler.init_noise_sigma
    with torch.inference_mode():
        for timestep in scheduler.timesteps:
            predicted = model(scheduler.scale_model_input(latents, timestep), timestep)
            latents = scheduler.step(predicted, timestep, latents, return_dict=False)[0]
        return np.concatenate([to_pixels(decode_latents(vae, latent[None])) for latent in latents])


def image_strip(images: NDArray[np.uint8]) -> Image:
    """Images (n, h, w, 3) side by side, with white gaps."""
    padded = np.pad(images, ((0, 0), (0, 0), (0, GAP_PX), (0, 0)), constant_values=255)
    return PIL.Image.fromarray(np.concatenate(padded, axis=1)[:, :-GAP_PX])


def save_strips(strips: Sequence[Path], path: Path) -> None:
    """Strips below each other, each with the number that is its file's name on its left, as one PNG."""
    images = [PIL.Image.open(strip) for strip in strips]
    width, height = images[0].size
    sheet = PIL.Image.new("RGB", (MARGIN_PX + width, len(images) * (height + GAP_PX) - GAP_PX), "white")
    pen = ImageDraw.Draw(sheet)
    for row, (strip, image) in enumerate(zip(strips, images, strict=True)):
        top = row * (height + GAP_PX)
        sheet.paste(image, (MARGIN_PX, top))
        pen.text((4, top + height // 2 - 6), str(int(strip.stem)), fill="black")
    write_atomically(path, lambda file: sheet.save(file, format="png"))
