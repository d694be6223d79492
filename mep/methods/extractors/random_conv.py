"""A convolutional network whose weights are drawn from a seed; needs no download."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from mep.config import digest
from mep.errors import DataError
from mep.methods.extractors import Extractor, Features, exact_arithmetic

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, device

ARCHITECTURE = 1
"""Raise by one when the same seed and width should now give other features; it enters the digest."""
DEPTHS = 4
"""Levels, each at half the resolution of the one before: a unit of the last one sees 38 pixels."""

SMALLEST_PX = 2 ** (DEPTHS - 1)
N_CALIBRATION = 64
CALIBRATION_PX = 64


class RandomConv(Extractor):
    """Mean activations of an untrained network, for images unlike those that trained networks have seen.

    Naeem et al. 2020 (arXiv:2002.09797) find that an untrained network is a sound base for such comparisons, and the
    better one where images are unlike ImageNet's. This one is small: four 3x3 convolutions, halving the resolution
    in between, every activation averaged over the image.

    The first level sees plain colours and takes the cosine of what its filters see, as in the random features of
    Rahimi & Recht 2007: averages of cosines describe the whole distribution of colours, not only its mean, and no
    unit falls silent on a dataset that has one colour only, as rectified ones do (4 of 16 on drawn pink tissue). The
    others are rectified, and their filters sum to zero in every input channel: what is flat passes unnoticed, and
    their averages measure texture, at twice the scale from one level to the next.
    """

    kind: Literal["random_conv"]
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Another seed is another network, and its numbers are not comparable."""
    width: int = Field(default=64, ge=8, le=1024, multiple_of=4)
    """Number of features, a quarter from each level. A covariance has full rank from width + 1 images on, so that
    64 allow a Fréchet distance between sets of a few hundred."""

    def load(self, device: str) -> Features:
        import torch

        weights = _weights(self.seed, self.width // DEPTHS)
        measured = _forward(torch.from_numpy(_calibration_images(self.seed)), weights, torch.device("cpu"))
        mean, std = measured.mean(0), measured.std(0)

        @torch.inference_mode()
        def features(batch: NDArray[np.uint8]) -> NDArray[np.float32]:
            if min(batch.shape[1:3]) < SMALLEST_PX:
                raise DataError(
                    f"images of {batch.shape[2]}x{batch.shape[1]} pixels are too small, {SMALLEST_PX} are needed",
                    hint="evaluate at a higher resolution",
                )
            # a copy, because torch shares no memory that is read-only or mirrored
            pooled = _forward(torch.from_numpy(batch.copy()), weights, torch.device(device)).cpu()
            return np.asarray((pooled - mean) / std, dtype=np.float32)

        return features

    def digest(self) -> str:
        return digest({"kind": self.kind, "seed": self.seed, "width": self.width, "architecture": ARCHITECTURE})

    def protocol(self) -> dict[str, Any]:
        return {"layer": f"mean activations of {DEPTHS} levels", "preprocessing": "x / 127.5 - 1", "resize": "none"}


def _weights(seed: int, width: int) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Filters float32 (width, channels, 3, 3) and phases float32 (width,) of every level.

    Drawn with numpy, whose streams are the same on every device and under every version of torch; scaled as He et al.
    2015 (arXiv:1502.01852) do for rectifiers.
    """
    rng = np.random.Generator(np.random.PCG64([seed, ARCHITECTURE, 0]))
    levels = []
    for depth in range(DEPTHS):
        channels = 3 if depth == 0 else width
        filters = rng.standard_normal((width, channels, 3, 3)) * np.sqrt(2 / (channels * 9))
        phases = np.zeros(width)
        if depth == 0:
            filters *= np.pi  # 85 of 255 grey levels then turn a cosine by about three radians
            phases = rng.uniform(0, 2 * np.pi, width)
        else:
            filters -= filters.mean(axis=(2, 3), keepdims=True)
        levels.append((filters.astype(np.float32), phases.astype(np.float32)))
    return levels


def _calibration_images(seed: int) -> NDArray[np.uint8]:
    """Clouds and grains in random colours, (n, h, w, 3): what the features of every dataset are standardised on.

    Their amplitudes fall as 1/f to the power of 0 to 2, which spans white noise and photographs.
    """
    rng = np.random.Generator(np.random.PCG64([seed, ARCHITECTURE, 1]))
    frequency = np.hypot(np.fft.fftfreq(CALIBRATION_PX)[:, None], np.fft.fftfreq(CALIBRATION_PX)[None, :])
    frequency[0, 0] = np.inf
    images = []
    for _ in range(N_CALIBRATION):
        noise = np.fft.fft2(rng.standard_normal((CALIBRATION_PX, CALIBRATION_PX, 3)), axes=(0, 1))
        clouds = np.fft.ifft2(noise * frequency[:, :, None] ** -rng.uniform(0, 2), axes=(0, 1)).real
        clouds /= clouds.std()
        images.append(rng.normal(128, 40, 3) + rng.uniform(0, 64) * clouds @ rng.standard_normal((3, 3)))
    return np.round(np.clip(images, 0, 255)).astype(np.uint8)


def _forward(images: Tensor, weights: list[tuple[NDArray[np.float32], NDArray[np.float32]]], target: device) -> Tensor:
    """Activations of every level averaged over each image, (b, 4 width), before standardisation."""
    import torch
    from torch.nn import functional

    with exact_arithmetic(target.type):
        maps = images.to(target).permute(0, 3, 1, 2).float() / 127.5 - 1
        pooled = []
        for depth, (filters, phases) in enumerate(weights):
            if depth > 0:
                maps = functional.avg_pool2d(maps, 2)
            # Edges are repeated: with zeros around it, a flat bright image would have a texture.
            maps = functional.pad(maps, (1, 1, 1, 1), mode="replicate")
            maps = functional.conv2d(maps, torch.from_numpy(filters).to(target), torch.from_numpy(phases).to(target))
            maps = torch.cos(maps) if depth == 0 else functional.relu(maps)
            pooled.append(maps.mean(dim=(2, 3)))
    return torch.cat(pooled, dim=1)
