"""Embedders: images -> the vectors that are clustered. One file, one embedder."""

from collections.abc import Callable
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mep.registry import Method

Embed = Callable[[list[NDArray[np.uint8]]], NDArray[np.float32]]
"""b images, each uint8 RGB (h, w, 3) of any size -> float32 (b, d)."""


class Embedder(Method):
    """A map from an image to a vector."""

    noun: ClassVar[str] = "embedder"

    def load(self, device: str) -> Embed:
        """The function itself, its weights on the device.

        EnvironmentLacks    the model is neither on this machine nor can it be fetched
        """
        raise NotImplementedError
