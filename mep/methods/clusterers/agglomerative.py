from __future__ import annotations

from typing import Literal

import numpy as np

from mep.errors import DataError
from mep.methods.clusterers import KClusterer, Labels, Partition, State, Vectors, distances_to_mean, nearest

MOST = 20_000  # exact; 20,000 images need 1.6 GB for their float64 distances


class Agglomerative(KClusterer):
    """Joins the two nearest groups until k are left (Ward 1963); new vectors go where their nearest neighbour is."""

    kind: Literal["agglomerative"]
    linkage: Literal["ward", "average", "complete", "single"] = "ward"
    """What the distance of two groups is."""

    def fit(self, vectors: Vectors, *, seed: int) -> Partition:
        from sklearn.cluster import AgglomerativeClustering

        if len(vectors) > MOST:
            raise DataError(
                f"agglomerative clustering takes at most {MOST} images, here are {len(vectors)}",
                hint="use {kind: kmeans} or {kind: hdbscan}",
                field="clustering.method",
            )
        model = AgglomerativeClustering(self.n_clusters(len(vectors)), linkage=self.linkage)
        labels = model.fit_predict(vectors).astype(np.int64)
        state = {"vectors": np.asarray(vectors), "owners": labels}
        return Partition(labels, distances_to_mean(vectors, labels), state)

    def assign(self, state: State, vectors: Vectors) -> Labels:
        return state["owners"][nearest(state["vectors"], vectors)[0]]
