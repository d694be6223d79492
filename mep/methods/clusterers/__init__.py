"""Clusterers: vectors -> groups of similar images. One file, one clusterer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Discriminator, Field, Tag

from mep.config import Config, by_shape
from mep.errors import DataError
from mep.registry import Method

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Partition:
    """
    labels        int64 (n,)      any numbering from 0; -1 is noise
    distances     float32 (n,)    to the centre of the own cluster; nan for noise
    state         arrays from which `Clusterer.assign` finds the cluster of a new vector
    memberships   float32 (n, k)  how far an image belongs to each cluster, where the method says so
    """

    labels: NDArray[np.int64]
    distances: NDArray[np.float32]
    state: dict[str, NDArray[Any]]
    memberships: NDArray[np.float32] | None = None


class Clusterer(Method):
    """Groups vectors, and assigns new ones to the groups it found."""

    noun: ClassVar[str] = "clusterer"

    def fit(self, vectors: NDArray[np.float32], *, seed: int) -> Partition:
        """Groups of the vectors, float32 (n, d).

        DataError   fewer vectors than the method needs, or no group found
        """
        raise NotImplementedError

    def assign(self, state: dict[str, NDArray[Any]], vectors: NDArray[np.float32]) -> NDArray[np.int64]:
        """int64 (m,) cluster of new vectors, float32 (m, d), in the numbering of `fit`; -1 for noise."""
        raise NotImplementedError


class ChooseK(Config):
    """The number of clusters, chosen among several by an index of the partitions; the curve is stored."""

    choose: tuple[Annotated[int, Field(ge=2)], ...] = Field(min_length=2)
    """Numbers to try."""
    by: Literal["s_dbw", "sd", "silhouette", "davies_bouldin", "stability"] = "silhouette"
    """s_dbw, sd (Halkidi et al. 2000, 2001) and davies_bouldin (1979): the least wins. silhouette (Rousseeuw 1987)
    and stability (adjusted Rand index of partitions of bootstrap resamples with the partition of all): the most."""
    rows: int = Field(5000, ge=10)
    """Images, drawn by the seed, on which the numbers compete."""


K = Annotated[
    Annotated[int, Field(ge=2), Tag("plain")] | Annotated[ChooseK, Tag("section")],
    Discriminator(by_shape),
]


class Finder(Clusterer):
    """A clusterer that looks at the vectors."""


class KClusterer(Finder):
    """A clusterer that is told how many clusters to make."""

    k: K
    """Number of clusters, or {choose: [5, 10, 20, 33, 50], by: silhouette}."""

    def with_k(self, k: int) -> Self:
        return self.model_copy(update={"k": k})

    def n_clusters(self, n: int) -> int:
        """The number of clusters to make of n images.

        DataError   more than there are images
        """
        assert isinstance(self.k, int), "the stage settles k first"
        if self.k > n:
            raise DataError(
                f"{self.k} clusters are asked of {n} images",
                hint=f"choose k <= {n}, or more images",
                field="clustering.method.k",
            )
        return self.k


def nearest(centers: NDArray[np.floating], vectors: NDArray[np.floating]) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Row of the nearest centre, int64 (m,), and the Euclidean distance to it, float32 (m,)."""
    from sklearn.metrics import pairwise_distances_argmin_min

    rows, distances = pairwise_distances_argmin_min(vectors, centers)
    return rows.astype(np.int64), distances.astype(np.float32)


def to_own_centre(vectors: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """float32 (n,) distance of every vector to the mean of its cluster; nan for noise."""
    distances = np.full(len(vectors), np.nan, dtype=np.float32)
    for cluster in np.unique(labels[labels >= 0]):
        rows = np.flatnonzero(labels == cluster)
        own = vectors[rows]
        distances[rows] = np.linalg.norm(own - own.mean(0), axis=1)
    return distances
