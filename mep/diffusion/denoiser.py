"""The module that is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from mep.diffusion.types import CLIPTextModel, UNet2DConditionModel


class Denoiser(nn.Module):
    """The UNet, and the text encoder where that is trained too, as one module."""

    def __init__(self, unet: UNet2DConditionModel, text_encoder: CLIPTextModel | None = None):
        super().__init__()
        self.unet = unet
        self.text_encoder = text_encoder

    def forward(self, noisy: Tensor, timesteps: Tensor, captions: Tensor) -> Tensor:
        """What the UNet predicts, float (b, c, h, w).

        noisy       float32 (b, c, h, w)
        timesteps   int64 (b,)
        captions    float32 (b, tokens, d), or token numbers int64 (b, tokens) where the text encoder is trained
        """
        captions, dtype = self.encode(captions), self.unet.dtype
        predicted: Tensor = self.unet(noisy.to(dtype), timesteps, captions.to(dtype)).sample
        return predicted

    def encode(self, captions: Tensor) -> Tensor:
        """Hidden states of captions, which they are already where the text encoder is not trained."""
        if self.text_encoder is None:
            return captions
        states: Tensor = self.text_encoder(captions)[0]
        return states

    def parts(self) -> list[tuple[str, UNet2DConditionModel | CLIPTextModel]]:
        """The parts of the pipeline that it holds, by their names there."""
        text_encoder = self.text_encoder
        return [("unet", self.unet)] + ([] if text_encoder is None else [("text_encoder", text_encoder)])

    def trained(self) -> dict[str, nn.Parameter]:
        """Parameters that require gradients, by name."""
        return {name: parameter for name, parameter in self.named_parameters() if parameter.requires_grad}
