"""The section `embedding`: what turns an image into the vector that is clustered."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, Self

from pydantic import model_validator

from mep.config import Config
from mep.imaging.edges import edges
from mep.methods.embedders import Embedder
from mep.methods.embedders.table import Table
from mep.registry import OneOf

if TYPE_CHECKING:
    from mep.imaging.encoders import Encoder


class EmbeddingConfig(Config):
    """What turns an image into a vector."""

    model: OneOf[Embedder]
    """A model, or a table of vectors that were made elsewhere."""
    view: Literal["rgb", "canny"] = "rgb"
    """What the model sees: the image, or its edges, which ignore stain and exposure (Osorio et al. 2024)."""

    @model_validator(mode="after")
    def _has_a_view(self) -> Self:
        if self.view != "rgb" and isinstance(self.model, Table):
            raise ValueError("a table was made from the images already: view: rgb")
        return self

    def load(self, device: str) -> Encoder:
        """The embedder behind the view: uint8 RGB images -> float32 (b, d)."""
        encoder = self.model.load(device)
        if self.view == "rgb":
            return encoder
        return replace(encoder, prepare=lambda images: encoder.prepare([edges(pixels) for pixels in images]))
