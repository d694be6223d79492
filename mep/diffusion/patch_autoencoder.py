"""An autoencoder without layers: every patch of pixels is a point, and its latent the coordinates along fixed axes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput, DiagonalGaussianDistribution
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from diffusers.models.modeling_utils import ModelMixin
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

LOG_VARIANCE = -30.0
"""Of the posterior, which has no spread: the least that diffusers keeps."""


class PatchAutoencoder(ModelMixin, ConfigMixin):
    """Linear maps from patches of pixels to latent channels and back, in the place of an AutoencoderKL.

    encoder     Conv2d whose stride is its side: float (b, 3, h, w) in [-1, 1] -> (b, latent_channels, h/side, w/side)
    decoder     the transposed convolution that leads back

    diffusers loads it once this module is imported; model_index.json names it.
    """

    config_name = "config.json"  # type: ignore[assignment]  # diffusers says None, and wants a name

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        latent_channels: int = 8,
        block_out_channels: tuple[int, ...] = (1, 1, 1),  # a level more halves the side, as in an AutoencoderKL
        scaling_factor: float = 1.0,
        shift_factor: float | None = None,
        force_upcast: bool = False,
    ):
        super().__init__()  # type: ignore[no-untyped-call]
        side = 2 ** (len(block_out_channels) - 1)
        self.encoder = nn.Conv2d(3, latent_channels, side, stride=side)
        self.decoder = nn.ConvTranspose2d(latent_channels, 3, side, stride=side)

    def encode(self, pixels: Tensor, return_dict: bool = True) -> AutoencoderKLOutput:
        """The posterior of the latents: their exact values, with no spread to speak of."""
        mean = self.encoder(pixels)
        moments = torch.cat([mean, torch.full_like(mean, LOG_VARIANCE)], dim=1)
        return AutoencoderKLOutput(latent_dist=DiagonalGaussianDistribution(moments))

    def decode(
        self, latents: Tensor, return_dict: bool = True, generator: torch.Generator | None = None
    ) -> DecoderOutput | tuple[Tensor]:
        """Pixels float (b, 3, h, w) of latents."""
        pixels = self.decoder(latents)
        return DecoderOutput(sample=pixels) if return_dict else (pixels,)

    def set_axes(self, colour: Tensor, axes: Tensor, scales: Tensor) -> None:
        """Let the latent of a patch x be (x - colour) · axes / scales.

        colour  (3,)            what is taken off every pixel
        axes    (d, channels)   orthonormal columns; d = 3 · side², a patch flattened as (3, side, side)
        scales  (channels,)
        """
        n_channels, side = len(scales), self.encoder.kernel_size[0]
        forward, back = (axes / scales).T, (axes * scales).T
        shape = n_channels, 3, side, side
        parts = {"weight": forward.reshape(shape), "bias": -forward @ colour.repeat_interleave(side**2)}
        self.encoder.load_state_dict(parts)
        self.decoder.load_state_dict({"weight": back.reshape(shape), "bias": colour})
