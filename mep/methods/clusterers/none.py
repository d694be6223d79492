"""No clustering."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mep.methods.clusterers import Clusterer, Partition, to_own_centre

if TYPE_CHECKING:
    from numpy.typing import NDArray


class NoClusterer(Clusterer):
    """Puts every image into one cluster."""

    kind: Literal["none"]

    def fit(self, vectors: NDArray[np.float32], *, seed: int) -> Partition:
        labels = np.zeros(len(vectors), dtype=np.int64)
        return Partition(labels, to_own_centre(vectors, labels), {})

    def assign(self, state: dict[str, NDArray[Any]], vectors: NDArray[np.float32]) -> NDArray[np.int64]:
        return np.zeros(len(vectors), dtype=np.int64)
