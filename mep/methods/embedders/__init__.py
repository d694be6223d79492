"""Embedders: images -> the vectors that are clustered. One file, one embedder."""

from typing import ClassVar

from mep.imaging.encoders import Encoder
from mep.registry import Method

Embed = Encoder


class Embedder(Method):
    """A map from an image to a vector."""

    noun: ClassVar[str] = "embedder"

    def load(self, device: str) -> Embed:
        """The function itself, its weights on the device; EnvironmentLacks where the model cannot be had."""
        raise NotImplementedError
