"""k-means."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mep.clusterers import Clusterer, Partition, nearest
from mep.errors import DataError


class KMeans(Clusterer):
    """Lloyd's k-means (Lloyd 1982) with k-means++ starts, on the vectors as they are."""

    kind: Literal["kmeans"]
    k: int = Field(ge=2)
    """Number of clusters. Osorio et al. 2024 use 33 for PatchCamelyon and 10 for chest X-rays."""
    n_init: int = Field(10, ge=1)
    """Starts, of which the one with the least inertia is kept."""

    def fit(self, vectors: NDArray[np.float32], *, seed: int) -> Partition:
        from sklearn.cluster import KMeans

        if self.k > len(vectors):
            raise DataError(
                f"{self.k} clusters are asked of {len(vectors)} images",
                hint=f"choose k <= {len(vectors)}, or more images",
                field="clustering.method.k",
            )
        fitted = KMeans(self.k, n_init=self.n_init, random_state=seed % 2**32).fit(vectors)
        distances = np.linalg.norm(vectors - fitted.cluster_centers_[fitted.labels_], axis=1).astype(np.float32)
        return Partition(fitted.labels_.astype(np.int64), distances, {"centers": fitted.cluster_centers_})

    def assign(self, state: dict[str, NDArray[Any]], vectors: NDArray[np.float32]) -> NDArray[np.int64]:
        return nearest(state["centers"], vectors)[0]
