from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from mep.errors import DataError
from mep.methods.clusterers import Labels, Partition, State, VectorClusterer, Vectors, distances_to_mean, nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Hdbscan(VectorClusterer):
    """Density-based clusters of any number and shape (Campello et al. 2013); sparse images are noise.

    A new vector goes to the cluster of its nearest exemplar, the densest members of each cluster; unless `noise` is
    nearest, it is noise where it lies farther from it than every member does. In many dimensions reduce first
    (`pca: 50`).
    """

    kind: Literal["hdbscan"]
    min_cluster_size: int = Field(5, ge=2, le=1_000_000_000)
    """Fewest images that make a cluster."""
    min_samples: int | None = Field(None, ge=1, le=1_000_000_000)
    """Neighbours that make a point dense; larger calls more images noise. Default: min_cluster_size."""
    noise: Literal["drop", "own_cluster", "nearest"] = "drop"
    """What becomes of noise: it is left out of training, is a cluster with prompts of its own, or joins the nearest."""

    def fit(self, vectors: Vectors, *, seed: int) -> Partition:
        import hdbscan

        if self.min_cluster_size > len(vectors):
            raise DataError(
                f"clusters of {self.min_cluster_size} are asked of {len(vectors)} images",
                hint=f"choose min_cluster_size <= {len(vectors)}, or more images",
                field="clustering.method.min_cluster_size",
            )
        fitted = hdbscan.HDBSCAN(
            min_cluster_size=self.min_cluster_size, min_samples=self.min_samples, prediction_data=True
        )
        labels = fitted.fit_predict(np.asarray(vectors, dtype=np.float64)).astype(np.int64)
        if labels.max() < 0:
            raise DataError(
                "HDBSCAN found no cluster: every image is noise",
                hint="lower min_cluster_size or min_samples, or use {kind: kmeans, k: ...}",
                field="clustering.method",
            )
        k = int(labels.max()) + 1
        exemplars = [np.atleast_2d(points) for points in fitted.exemplars_]
        owners = np.repeat(np.arange(k), [len(points) for points in exemplars])
        reach = [nearest(points, vectors[labels == cluster])[1].max() for cluster, points in enumerate(exemplars)]
        state = {"exemplars": np.concatenate(exemplars), "owners": owners, "reach": np.array(reach, dtype=np.float64)}
        memberships = hdbscan.all_points_membership_vectors(fitted).reshape(len(vectors), -1).astype(np.float32)
        if self.noise == "nearest":
            labels = np.where(labels >= 0, labels, owners[nearest(state["exemplars"], vectors)[0]])
        elif self.noise == "own_cluster":
            labels = np.where(labels >= 0, labels, k)
        return Partition(labels, distances_to_mean(vectors, labels), state, memberships)

    def soften(self, vectors: Vectors, labels: Labels) -> State:
        return {}

    def memberships(self, state: State, vectors: Vectors) -> NDArray[np.float32]:
        """One over the distance to the nearest exemplar of each cluster; of the images that it was fitted on, HDBSCAN
        has its own."""
        from scipy.spatial.distance import cdist

        k = len(state["reach"])
        points = [state["exemplars"][state["owners"] == cluster] for cluster in range(k)]
        near = np.stack([cdist(vectors, own).min(1) for own in points], axis=1)
        strength = 1 / np.maximum(near, 1e-12)
        return np.asarray(strength / strength.sum(1, keepdims=True), dtype=np.float32)

    def assign(self, state: State, vectors: Vectors) -> Labels:
        rows, distances = nearest(state["exemplars"], vectors)
        labels = state["owners"][rows]
        if self.noise == "nearest":
            return labels
        too_far = distances > state["reach"][labels] * (1 + 1e-6)
        return np.where(too_far, -1 if self.noise == "drop" else len(state["reach"]), labels)
