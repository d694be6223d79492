"""Embedders: images -> the vectors that are clustered. One file, one embedder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from mep.imaging.encoders import Encoder
from mep.registry import Method

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Embed = Encoder


class Embedder(Method):
    """A map from an image to a vector."""

    noun: ClassVar[str] = "embedder"

    def load(self, device: str) -> Embed:
        """The function itself, its weights on the device; EnvironmentLacks where the model cannot be had."""
        raise NotImplementedError

    def known(self, ids: Sequence[str]) -> NDArray[np.float32] | None:
        """float32 (n, d), vectors that were there before the recipe; None where they are computed from the images."""
        return None
