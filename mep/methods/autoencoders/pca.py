"""Principal components of patches: an autoencoder in a second, and the sharpest for its size."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from mep.methods.autoencoders import Autoencoder, pixels_of

if TYPE_CHECKING:
    from mep.artifacts import Images
    from mep.diffusion.types import AutoencoderKL
    from mep.machine.work import Work


class Pca(Autoencoder):
    """The largest principal components of the patches of the training images, as channels of the latent.

    No other linear map loses less of the pixels, nothing is trained, and neighbouring channels do not share
    information. For small models of small images; on the builtin sample eight channels of 4 px patches lose less by a
    trained instrument than real training images differ from held-out ones.
    """

    kind: Literal["pca"]
    patch_px: Literal[2, 4, 8, 16] = 4
    """Side of a patch, which becomes one element of the latent."""
    latent_channels: int = Field(8, ge=1, le=768)
    """Components that are kept, of 3 times the square of the side of a patch."""
    whitening: float = Field(0.6, ge=0, le=1)
    """Power of a component's deviation that its channel is divided by. 1 gives fine grain as much weight in the loss
    as the layout of the tissue, 0 leaves grain to the last steps of sampling."""

    @model_validator(mode="after")
    def _components_are_there(self) -> Pca:
        most = 3 * self.patch_px**2
        if self.latent_channels > most:
            raise PydanticCustomError(
                "cross_field",
                "{found} channels of patches that have {most} numbers",
                {"found": self.latent_channels, "most": most, "field": "latent_channels"}
                | {"hint": f"take at most {most}, or larger patches"},
            )
        return self

    @property
    def factor(self) -> int:
        return self.patch_px

    def build(self, images: Images, resolution: int, work: Work) -> tuple[AutoencoderKL, Path | None]:
        import torch

        from mep.diffusion.patch_autoencoder import PatchAutoencoder

        n_levels = self.patch_px.bit_length()
        vae = PatchAutoencoder(self.latent_channels, block_out_channels=(1,) * n_levels)
        colour, axes, deviations = self._components(images, resolution, work)
        scales = deviations**self.whitening
        scales *= np.sqrt(np.mean((deviations / scales) ** 2))  # so that the latent as a whole has variance 1
        vae.set_axes(*(torch.from_numpy(array).float() for array in (colour, axes, scales)))
        return cast("AutoencoderKL", vae), None

    def _components(self, images: Images, resolution: int, work: Work) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean colour (3,), axes (d, channels) and the deviation along each (channels,), of pixels in [-1, 1].

        The mean is the same all over a patch, as it is in images that have no preferred place.
        """
        side, d = self.patch_px, 3 * self.patch_px**2
        total, squares, n = np.zeros(d), np.zeros((d, d)), 0
        pixels = pixels_of(images, resolution, work)
        cut = resolution // side * side
        for image in pixels[:, :cut, :cut]:
            grid = image.reshape(cut // side, side, cut // side, side, 3) / 127.5 - 1
            patches = grid.transpose(0, 2, 4, 1, 3).reshape(-1, d)
            total, squares, n = total + patches.sum(0), squares + patches.T @ patches, n + len(patches)
        colour = total.reshape(3, -1).mean(1) / n
        mean = colour.repeat(side**2)
        covariance = squares / n - np.outer(mean, total / n) - np.outer(total / n, mean) + np.outer(mean, mean)
        values, axes = np.linalg.eigh(covariance)
        values, axes = values[::-1][: self.latent_channels], axes[:, ::-1][:, : self.latent_channels]
        signs = np.sign(axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])])  # the same on every machine
        return colour, axes * signs, np.sqrt(values.clip(1e-8))
