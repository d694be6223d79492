from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from mep.methods.detectors import Detector, Verdict, judge
from mep.methods.detectors.hsv import measure_features

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mep.artifacts import Images
    from mep.machine.work import Work


class Quantile(Detector):
    """Removes images at the ends of the dataset's own distribution of the nine features of `hsv`.

    For any stain, scanner or modality: no threshold has to be known. Every feature removes its share, so that up to
    nine times as many may go.
    """

    kind: Literal["quantile"]
    low: float = Field(0.005, ge=0, lt=0.5)
    """Share of the training images with the lowest values that each feature removes; 0: none."""
    high: float = Field(0.005, ge=0, lt=0.5)
    """Share with the highest values; 0: none."""

    def inspect(self, images: Images, vectors: NDArray[np.float32], train: NDArray[np.bool_], work: Work) -> Verdict:
        features = measure_features(images, work)
        low, high = (
            {name: float(np.quantile(values[train], share)) for name, values in features.items()}
            for share in (self.low, 1 - self.high)
        )
        return judge(features, low, high)
