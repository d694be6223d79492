from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from mep.methods.clusterers import CentroidClusterer, Partition, Vectors
from mep.methods.clusterers._lloyd import label_all, lloyd


class KMeans(CentroidClusterer):
    """Lloyd's k-means (Lloyd 1982) with k-means++ starts (Arthur & Vassilvitskii 2007), on the vectors as they are.

    Osorio et al. 2024 use k = 33 for PatchCamelyon and 10 for chest X-rays, with ten starts and the seed 18021999;
    with `start_rows: null` the partition is scikit-learn's own for that seed.
    """

    kind: Literal["kmeans"]
    n_init: int = Field(10, ge=1, le=100_000)
    """Starts, of which the one with the least inertia is kept."""
    start_rows: int | None = Field(20_000, ge=100, le=1_000_000_000)
    """Where there are more images, the starts compete on this many, drawn by the seed, and the winner is refined on
    all: a fifth of the time or less. Null: every start runs on all images, as scikit-learn does."""

    def fit(self, vectors: Vectors, *, seed: int) -> Partition:
        from sklearn.cluster import KMeans

        k = self.n_clusters(len(vectors))
        n_rows = max(self.start_rows or len(vectors), k)
        start = vectors
        if len(vectors) > n_rows:
            rows = np.random.default_rng(seed).choice(len(vectors), n_rows, replace=False)
            start = vectors[np.sort(rows)]
        fitted = KMeans(k, n_init=self.n_init, random_state=seed % 2**32).fit(start)
        labels, centers = fitted.labels_, fitted.cluster_centers_
        if start is vectors:
            distances = np.linalg.norm(vectors - centers[labels], axis=1).astype(np.float32)
            return Partition(labels.astype(np.int64), distances, {"centers": centers})
        centers = lloyd(vectors, centers.astype(np.float32))
        return Partition(*label_all(centers, vectors), {"centers": centers})
