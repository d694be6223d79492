"""HDBSCAN."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mep.clusterers import Clusterer, Partition, nearest
from mep.errors import DataError


class Hdbscan(Clusterer):
    """Density-based clusters of any number and shape (Campello et al. 2013); sparse images are noise.

    New vectors go to the cluster of their nearest exemplar, the densest members of each cluster.
    """

    kind: Literal["hdbscan"]
    min_cluster_size: int = Field(5, ge=2)
    """Fewest images that make a cluster."""
    min_samples: int | None = Field(None, ge=1)
    """Neighbours that make a point dense; larger calls more images noise. Default: min_cluster_size."""

    def fit(self, vectors: NDArray[np.float32], *, seed: int) -> Partition:
        import hdbscan

        if self.min_cluster_size > len(vectors):
            raise DataError(
                f"clusters of {self.min_cluster_size} are asked of {len(vectors)} images",
                hint=f"choose min_cluster_size <= {len(vectors)}, or more images",
                field="clustering.method.min_cluster_size",
            )
        fitted = hdbscan.HDBSCAN(min_cluster_size=self.min_cluster_size, min_samples=self.min_samples)
        labels = fitted.fit_predict(vectors.astype(np.float64)).astype(np.int64)
        if labels.max() < 0:
            raise DataError(
                "HDBSCAN found no cluster: every image is noise",
                hint="lower min_cluster_size or min_samples, or use {kind: kmeans, k: ...}",
                field="clustering.method",
            )
        centers = np.stack([vectors[labels == cluster].mean(0) for cluster in range(labels.max() + 1)])
        distances = np.full(len(vectors), np.nan, dtype=np.float32)
        inside = labels >= 0
        distances[inside] = np.linalg.norm(vectors[inside] - centers[labels[inside]], axis=1)
        exemplars = [np.atleast_2d(points) for points in fitted.exemplars_]
        owners = np.repeat(np.arange(len(exemplars)), [len(points) for points in exemplars])
        return Partition(labels, distances, {"exemplars": np.concatenate(exemplars), "owners": owners})

    def assign(self, state: dict[str, NDArray[Any]], vectors: NDArray[np.float32]) -> NDArray[np.int64]:
        return state["owners"][nearest(state["exemplars"], vectors)[0]]
