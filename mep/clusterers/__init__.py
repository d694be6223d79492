"""Clusterers: vectors -> groups of similar images. One file, one clusterer."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mep.registry import Method


@dataclass(frozen=True)
class Partition:
    """
    labels      int64 (n,)    any numbering from 0; -1 is noise
    distances   float32 (n,)  to the centre of the own cluster; nan for noise
    state       arrays from which `Clusterer.assign` finds the cluster of a new vector
    """

    labels: NDArray[np.int64]
    distances: NDArray[np.float32]
    state: dict[str, NDArray[Any]]


class Clusterer(Method):
    """Groups vectors, and assigns new ones to the groups it found."""

    noun: ClassVar[str] = "clusterer"

    def fit(self, vectors: NDArray[np.float32], *, seed: int) -> Partition:
        """Groups of the vectors, float32 (n, d).

        DataError   fewer vectors than the method needs, or no group found
        """
        raise NotImplementedError

    def assign(self, state: dict[str, NDArray[Any]], vectors: NDArray[np.float32]) -> NDArray[np.int64]:
        """int64 (m,) cluster of new vectors, float32 (m, d), in the numbering of `fit`."""
        raise NotImplementedError


def nearest(centers: NDArray[np.floating], vectors: NDArray[np.floating]) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Row of the nearest centre, int64 (m,), and the Euclidean distance to it, float32 (m,)."""
    from sklearn.metrics import pairwise_distances_argmin_min

    rows, distances = pairwise_distances_argmin_min(vectors, centers)
    return rows.astype(np.int64), distances.astype(np.float32)
