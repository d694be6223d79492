from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

import numpy as np

from mep.methods.clusterers import Clusterer, Labels, Partition, State, VectorClusterer, Vectors, distances_to_mean
from mep.registry import OneOf

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Random(Clusterer):
    """As many clusters of the same sizes as another clusterer gives, but with members drawn by lot.

    Whatever captions gain with it, they gain from being longer and more varied, not from morphology. An image's lot is
    a digest of its vector and the seed, so that equal images share a cluster and a new image draws in the same way.
    """

    kind: Literal["random"]
    like: OneOf[VectorClusterer]
    """The clusterer whose sizes are taken, with its settings."""

    def fit(self, vectors: Vectors, *, seed: int) -> Partition:
        labels = self.like.fit(vectors, seed=seed).labels
        sizes = np.bincount(labels[labels >= 0])
        lots = _lots(vectors, seed)
        ends = np.cumsum(sizes)
        state = {"ends": np.sort(lots)[ends - 1], "seed": np.array(seed)}
        labels = self.assign(state, vectors)
        return Partition(labels, distances_to_mean(vectors, labels), state)

    def assign(self, state: State, vectors: Vectors) -> Labels:
        """Cluster whose share of all lots an image's lot falls into; beyond the last one it is noise."""
        ends = state["ends"]
        labels = np.searchsorted(ends, _lots(vectors, int(state["seed"])))
        return np.where(labels < len(ends), labels, -1).astype(np.int64)


def _lots(vectors: Vectors, seed: int) -> NDArray[np.uint64]:
    """uint64 (n,), the first eight bytes of the sha256 of seed and vector."""
    key = str(seed).encode()
    digests = (hashlib.sha256(key + np.ascontiguousarray(vector).tobytes()).digest()[:8] for vector in vectors)
    return np.frombuffer(b"".join(digests), dtype=">u8").astype(np.uint64)
