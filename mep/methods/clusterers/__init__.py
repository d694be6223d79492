"""Clusterers: vectors -> groups of similar images. One file, one clusterer; files with a `_` help several of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias

import numpy as np
from pydantic import Discriminator, Field, Tag

from mep.config import Config, by_shape
from mep.errors import DataError
from mep.registry import Method

if TYPE_CHECKING:
    from numpy.typing import NDArray

Vectors: TypeAlias = "NDArray[np.float32]"
"""float32 (n, d), a row for each image."""
Labels: TypeAlias = "NDArray[np.int64]"
"""int64 (n,), the cluster of each image; -1 is noise."""
State: TypeAlias = "dict[str, NDArray[Any]]"
"""The fitted model as arrays by name, from which `Clusterer.assign` finds the cluster of a new vector."""


@dataclass(frozen=True)
class Partition:
    """A cluster for every image."""

    labels: Labels  # any numbering from 0
    distances: NDArray[np.float32]  # (n,), to the centre of the image's cluster; nan for noise
    state: State
    memberships: NDArray[np.float32] | None = None  # (n, k), how strongly an image belongs to each cluster
    parents: Labels | None = None  # (k,), the coarse cluster that each one lies in


class Clusterer(Method):
    """Groups vectors, and assigns new ones to these groups."""

    noun: ClassVar[str] = "clusterer"

    def fit(self, vectors: Vectors, *, seed: int) -> Partition:
        """A cluster for each of the vectors; DataError where they are too few, or have no clusters."""
        raise NotImplementedError

    def assign(self, state: State, vectors: Vectors) -> Labels:
        """The clusters of new vectors, in the numbering of `fit`."""
        raise NotImplementedError

    def soften(self, vectors: Vectors, labels: Labels) -> State:
        """What `memberships` needs beside the fitted model: centres of the clusters, and one variance for all."""
        k = int(labels.max()) + 1
        centers = np.full((k, vectors.shape[1]), np.inf)
        for cluster in np.unique(labels[labels >= 0]):
            centers[cluster] = vectors[labels == cluster].mean(0, dtype=np.float64)
        inside = labels >= 0
        squares = (vectors[inside].astype(np.float64) - centers[labels[inside]]) ** 2
        return {"soft_centers": centers, "soft_variance": np.array(max(float(squares.mean()), 1e-12))}

    def memberships(self, state: State, vectors: Vectors) -> NDArray[np.float32]:
        """float32 (m, k): how probable each cluster is for new vectors, in the numbering of `fit`.

        Clusters are Gaussians around their centres, round, equally wide and equally frequent, as k-means has them.
        """
        from scipy.spatial.distance import cdist
        from scipy.special import softmax

        squares = cdist(np.asarray(vectors, dtype=np.float64), state["soft_centers"], "sqeuclidean")
        return np.asarray(softmax(-squares / (2 * state["soft_variance"]), axis=1), dtype=np.float32)


class ChooseK(Config):
    """Several numbers of clusters to try; an index of their partitions chooses one, and its curve is stored."""

    choose: tuple[Annotated[int, Field(ge=2, le=1_000_000)], ...] = Field(min_length=2)
    """Numbers to try."""
    by: Literal["s_dbw", "sd", "silhouette", "davies_bouldin", "stability"] = "silhouette"
    """s_dbw, sd (Halkidi et al. 2000, 2001) and davies_bouldin (1979): the least wins. silhouette (Rousseeuw 1987)
    and stability (adjusted Rand index of partitions of bootstrap resamples with the partition of all): the most."""
    rows: int = Field(5000, ge=10, le=1_000_000_000)
    """Images, drawn by the seed, on which the numbers compete."""


K = Annotated[
    Annotated[int, Field(ge=2, le=1_000_000), Tag("plain")] | Annotated[ChooseK, Tag("section")],
    Discriminator(by_shape),
]


class VectorClusterer(Clusterer):
    """A clusterer that goes by the vectors: all but `none` and `random`."""


class KClusterer(VectorClusterer):
    """A clusterer whose number of clusters is given."""

    k: K
    """Number of clusters, or {choose: [5, 10, 20, 33, 50], by: silhouette}."""

    def n_clusters(self, n: int) -> int:
        """k; DataError where it is larger than the number of images."""
        assert isinstance(self.k, int), "`settle_k` has to come first"
        if self.k > n:
            raise DataError(
                f"{self.k} clusters are asked of {n} images",
                hint=f"choose k <= {n}, or more images",
                field="clustering.method.k",
            )
        return self.k


class CentroidClusterer(KClusterer):
    """A clusterer whose clusters are the regions around centres."""

    def assign(self, state: State, vectors: Vectors) -> Labels:
        return nearest(state["centers"], vectors)[0]


def nearest(points: Vectors, vectors: Vectors) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """For each vector the row of the nearest point, int64 (m,), and the Euclidean distance to it, float32 (m,)."""
    from sklearn.metrics import pairwise_distances_argmin_min

    rows, distances = pairwise_distances_argmin_min(vectors, points)
    return rows.astype(np.int64), distances.astype(np.float32)


def distances_to_mean(vectors: Vectors, labels: Labels) -> NDArray[np.float32]:
    """float32 (n,) Euclidean distance of each vector to the mean of its cluster; nan for noise."""
    distances = np.full(len(vectors), np.nan, dtype=np.float32)
    for cluster in np.unique(labels[labels >= 0]):
        members = vectors[labels == cluster]
        distances[labels == cluster] = np.linalg.norm(members - members.mean(0), axis=1)
    return distances
