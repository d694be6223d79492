"""No outlier removal."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mep.detectors import Detector, Read, Verdict


class NoDetector(Detector):
    """Keeps every image."""

    kind: Literal["none"]

    def inspect(self, n: int, read: Read, vectors: NDArray[np.float32], mapper: Callable[..., Any]) -> Verdict:
        return Verdict(np.ones(n, dtype=bool), [""] * n, {})
