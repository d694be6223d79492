"""Extractors: images -> the features in which real and generated sets are compared. One file, one extractor."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from mep.registry import Method

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

Features = Callable[["NDArray[np.uint8]"], "NDArray[np.float32]"]
"""uint8 RGB (b, h, w, 3) -> float32 (b, d); the same row whatever else is in the batch, within 1e-4 relative."""


@dataclass(frozen=True)
class Network:
    """Features in two steps, so that one batch can be prepared while the one before goes through the network.

    prepare     uint8 RGB (b, h, w, 3) -> what the network takes; runs on a thread, on the CPU
    forward     that -> float32 (b, d)
    """

    prepare: Callable[[NDArray[np.uint8]], Any]
    forward: Callable[[Any], NDArray[np.float32]]

    def __call__(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self.forward(self.prepare(batch))


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

    def protocol(self) -> dict[str, Any]:
        """What its numbers depend on beside the weights: layer, preprocessing, resize."""
        raise NotImplementedError

    def metric_name(self, metric: str, n: int) -> str:
        """What a metric of this extractor, measured on n images, is called where papers have a name of their own."""
        return metric


@contextmanager
def exact_arithmetic(device: str) -> Iterator[None]:
    """Full float32: no TF32, no autocast, no kernels picked by timing, so that a feature is the same in any batch."""
    import torch

    with (
        torch.inference_mode(),
        torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
        torch.autocast(torch.device(device).type, enabled=False),
    ):
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)
