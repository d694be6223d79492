"""A few images from a model that is being trained or tried out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mep.diffusion.pipelines import to_pixels
from mep.machine.files import write_atomically

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

GAP_PX, MARGIN_PX = 2, 56
"""Between the images of a grid, and left of its rows for their names."""


def draw(
    unet: Any, vae: Any, scheduler: Any, captions: Tensor, empty: Tensor, noise: Tensor, *, steps: int, guidance: float
) -> NDArray[np.uint8]:
    """Images uint8 (n, h, w, 3) under classifier-free guidance (Ho & Salimans 2022, arXiv:2207.12598).

    captions    float (n, tokens, d) hidden states; empty: (1, tokens, d), of the empty caption
    noise       float32 (n, c, h, w), variance 1

    Only deterministic schedulers: nothing is drawn but the noise that is given.
    """
    import torch

    device = noise.device
    scheduler.set_timesteps(steps, device=device)
    latents = noise * scheduler.init_noise_sigma
    guided = guidance != 1
    states = torch.cat([empty.expand_as(captions), captions]) if guided else captions
    with torch.inference_mode():
        for timestep in scheduler.timesteps:
            given = scheduler.scale_model_input(torch.cat([latents] * 2) if guided else latents, timestep)
            predicted = unet(given.to(unet.dtype), timestep, states.to(unet.dtype)).sample.float()
            if guided:
                without, towards = predicted.chunk(2)
                predicted = without + guidance * (towards - without)
            latents = scheduler.step(predicted, timestep, latents).prev_sample
        latents = latents / vae.config.scaling_factor + (vae.config.shift_factor or 0.0)
        return np.concatenate([to_pixels(vae.decode(one[None]).sample) for one in latents])


def strip(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Images of one size side by side, with white gaps."""
    height = images[0].shape[0]
    gap = np.full((height, GAP_PX, 3), 255, dtype=np.uint8)
    parts = [part for image in images for part in (image, gap)]
    return np.concatenate(parts[:-1], axis=1)


def grid(strips: dict[str, NDArray[np.uint8]], path: Path) -> None:
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
