"""Autoencoders: from pixels to latents and back, made for the images of a dataset. One file, one autoencoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from mep.machine.shards import Shards
from mep.registry import Method

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mep.artifacts import Images
    from mep.diffusion.types import AutoencoderKL
    from mep.machine.work import Work

MAX_IMAGES, MAX_BYTES = 20_000, 1_000_000_000
"""Images that an autoencoder sees, and their pixels in memory; a seeded subset of larger datasets."""


class Autoencoder(Method):
    """Makes the `vae` of a pipeline."""

    noun: ClassVar[str] = "autoencoder"
    usual: ClassVar[str] = "kl"

    latent_channels: int

    @property
    def factor(self) -> int:
        """Pixels of a side that become one latent element."""
        raise NotImplementedError

    def latent_numbers(self, resolution: int) -> int:
        """Numbers in the latent of an image."""
        return self.latent_channels * (resolution // self.factor) ** 2

    def build(self, images: Images, resolution: int, work: Work) -> tuple[AutoencoderKL, Path | None]:
        """The autoencoder, every latent channel around 0, and the log of its losses where it was trained."""
        raise NotImplementedError


def pixels_of(images: Images, resolution: int, work: Work) -> NDArray[np.uint8]:
    """uint8 (n, resolution, resolution, 3) of the images, or of a seeded subset, in random order."""
    rows = work.rng("autoencoder images").permutation(len(images))[: min(MAX_IMAGES, MAX_BYTES // (3 * resolution**2))]

    def shard(part: Sequence[int]) -> NDArray[np.uint8]:
        return np.stack(list(work.map(lambda row: images.read_square(int(row), resolution), part)))

    return Shards(work, "pixels", [int(row) for row in rows]).map(shard)
