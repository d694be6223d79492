"""No clustering."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mep.clusterers import Clusterer, Partition


class NoClusterer(Clusterer):
    """Puts every image into one cluster."""

    kind: Literal["none"]

    def fit(self, vectors: NDArray[np.float32], *, seed: int) -> Partition:
        distances = np.linalg.norm(vectors - vectors.mean(0), axis=1).astype(np.float32)
        return Partition(np.zeros(len(vectors), dtype=np.int64), distances, {})

    def assign(self, state: dict[str, NDArray[Any]], vectors: NDArray[np.float32]) -> NDArray[np.int64]:
        return np.zeros(len(vectors), dtype=np.int64)
