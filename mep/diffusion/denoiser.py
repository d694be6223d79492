"""The module that is trained."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class Denoiser(nn.Module):
    """The UNet, and the text encoder where that is trained too, as one module."""

    def __init__(self, unet: Any, text_encoder: Any = None):
        super().__init__()
        self.unet: Any = unet
        self.text_encoder: Any = text_encoder

    def forward(self, noisy: Tensor, timesteps: Tensor, captions: Tensor) -> Tensor:
        """What the UNet predicts, float (b, c, h, w).

        noisy       float32 (b, c, h, w)
        timesteps   int64 (b,)
        captions    float32 (b, tokens, d), or token numbers int64 (b, tokens) where the text encoder is trained
        """
        if self.text_encoder is not None:
            captions = self.text_encoder(captions)[0]
        dtype = self.unet.dtype
        predicted: Tensor = self.unet(noisy.to(dtype), timesteps, captions.to(dtype)).sample
        return predicted

    def trained(self) -> dict[str, nn.Parameter]:
        """Parameters that require gradients, by name."""
        return {name: one for name, one in self.named_parameters() if one.requires_grad}
