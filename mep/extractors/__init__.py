"""Extractors: images -> the features in which real and generated sets are compared. One file, one extractor."""

from collections.abc import Callable
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mep.registry import Method

Features = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""uint8 RGB (b, h, w, 3) -> float32 (b, d); the same row whatever else is in the batch, within 1e-4 relative."""


class Extractor(Method):
    """A fixed map from pixels to features; not the embedder that the clusters came from."""

    noun: ClassVar[str] = "extractor"

    @property
    def name(self) -> str:
        """What tables call it; unique in a recipe."""
        raise NotImplementedError

    def load(self, device: str) -> Features:
        """The function itself, its weights on the device."""
        raise NotImplementedError

    def digest(self) -> str:
        """sha256 over the weights or, for a network drawn from a seed, over what determines them."""
        raise NotImplementedError
