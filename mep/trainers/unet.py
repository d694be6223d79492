"""The whole UNet."""

from typing import TYPE_CHECKING, Any, Literal

from mep.trainers import Trainer

if TYPE_CHECKING:
    from torch import nn


class Unet(Trainer):
    """Trains every weight of the denoising UNet; autoencoder and text encoder stay as they are."""

    kind: Literal["unet"]

    def prepare(self, pipeline: Any) -> "nn.Module":
        pipeline.vae.requires_grad_(False)
        pipeline.text_encoder.requires_grad_(False)
        return pipeline.unet.requires_grad_(True).train()
