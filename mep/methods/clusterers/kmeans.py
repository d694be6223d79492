"""k-means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from mep.methods.clusterers import KClusterer, Partition, nearest
from mep.methods.clusterers._lloyd import label_all, lloyd

if TYPE_CHECKING:
    from numpy.typing import NDArray


class KMeans(KClusterer):
    """Lloyd's k-means (Lloyd 1982) with k-means++ starts (Arthur & Vassilvitskii 2007), on the vectors as they are.

    Osorio et al. 2024 use k = 33 for PatchCamelyon and 10 for chest X-rays, with ten starts and the seed 18021999;
    with `start_rows: null` the partition is scikit-learn's own for that seed.
    """

    kind: Literal["kmeans"]
    n_init: int = Field(10, ge=1)
    """Starts, of which the one with the least inertia is kept."""
    start_rows: int | None = Field(20_000, ge=100)
    """Where there are more images, the starts compete on this many, drawn by the seed, and the winner is refined on
    all: a fifth of the time or less. Null: every start runs on all images, as scikit-learn does."""

    def fit(self, vectors: NDArray[np.float32], *, seed: int) -> Partition:
        k = self.n_clusters(len(vectors))
        if self.start_rows is None or len(vectors) <= max(self.start_rows, k):
            fitted = self._sklearn(k, vectors, seed)
            distances = np.linalg.norm(vectors - fitted.cluster_centers_[fitted.labels_], axis=1).astype(np.float32)
            return Partition(fitted.labels_.astype(np.int64), distances, {"centers": fitted.cluster_centers_})
        rows = np.random.default_rng(seed).choice(len(vectors), max(self.start_rows, k), replace=False)
        start = self._sklearn(k, vectors[np.sort(rows)], seed).cluster_centers_
        centers = lloyd(vectors, start.astype(np.float32))
        return Partition(*label_all(centers, vectors), {"centers": centers})

    def assign(self, state: dict[str, NDArray[Any]], vectors: NDArray[np.float32]) -> NDArray[np.int64]:
        return nearest(state["centers"], vectors)[0]

    def _sklearn(self, k: int, vectors: NDArray[np.float32], seed: int) -> Any:
        from sklearn.cluster import KMeans

        return KMeans(k, n_init=self.n_init, random_state=seed % 2**32).fit(vectors)
