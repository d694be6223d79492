"""Embedders: images -> the vectors that are clustered. One file, one embedder."""

from typing import ClassVar

from mep.imaging.encoders import Encoder
from mep.registry import Method

Embed = Encoder
"""b images, each uint8 RGB (h, w, 3) of any size -> float32 (b, d), in two steps: prepare and forward."""


class Embedder(Method):
    """A map from an image to a vector."""

    noun: ClassVar[str] = "embedder"

    def load(self, device: str) -> Embed:
        """The function itself, its weights on the device.

        EnvironmentLacks    the model is neither on this machine nor can it be fetched
        """
        raise NotImplementedError
