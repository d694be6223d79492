"""A vision model of the transformers library."""

from __future__ import annotations

from typing import Literal

from mep.imaging.encoders import TRANSFORMERS_FILES, Dtype, load_transformers
from mep.machine.hub import ModelReference
from mep.methods.embedders import Embed, Embedder


class Transformers(ModelReference, Embedder):
    """A vision transformer, such as DINO (Caron et al. 2021), DINOv2 or CLIP, with the image processor of its own.

    The processor gets uint8 images, so that it scales them exactly once.
    """

    kind: Literal["transformers"]
    pooling: Literal["cls", "mean", "cls+mean"] = "cls"
    """Which tokens of the last hidden state make the vector. Osorio et al. 2024 use the class token of dino-vitb8."""
    dtype: Dtype = "float32"
    """Arithmetic of the model; bfloat16 is faster where the machine has it, and gives slightly other vectors."""

    def load(self, device: str) -> Embed:
        return load_transformers(self.folder(TRANSFORMERS_FILES), self.pooling, device, self.dtype)
