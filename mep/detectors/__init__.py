"""Outlier detectors: which images should not shape a cluster or a caption. One file, one detector."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mep.registry import Method


@dataclass(frozen=True)
class Verdict:
    """
    mask        bool (n,)   True stays
    reasons     n texts, empty for those that stay
    features    what was measured, n values each
    """

    mask: NDArray[np.bool_]
    reasons: list[str]
    features: dict[str, list[Any]]


Read = Callable[[int], NDArray[np.uint8]]
"""Row -> RGB pixels (h, w, 3)."""


class Detector(Method):
    """Tells inliers from outliers, by pixels or by vectors."""

    noun: ClassVar[str] = "detector"

    def inspect(self, n: int, read: Read, vectors: NDArray[np.float32], mapper: Callable[..., Any]) -> Verdict:
        """A verdict on n images.

        read        gives the pixels of a row
        vectors     float32 (n, d)
        mapper      the engine's `map`, for work on each image
        """
        raise NotImplementedError
