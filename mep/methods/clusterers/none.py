"""No clustering."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mep.methods.clusterers import Clusterer, Partition, State, distances_to_mean


class NoClusterer(Clusterer):
    """Puts every image into one cluster."""

    kind: Literal["none"]

    def fit(self, vectors: NDArray[np.float32], *, seed: int) -> Partition:
        labels = np.zeros(len(vectors), dtype=np.int64)
        return Partition(labels, distances_to_mean(vectors, labels), {})

    def assign(self, state: State, vectors: NDArray[np.float32]) -> NDArray[np.int64]:
        return np.zeros(len(vectors), dtype=np.int64)
