from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from mep.methods.clusterers import KClusterer, Labels, Partition, State, Vectors
from mep.methods.clusterers._lloyd import label_all, lloyd, to_unit

if TYPE_CHECKING:
    from numpy.typing import NDArray


class SphericalKMeans(KClusterer):
    """k-means on the unit sphere (Dhillon & Modha 2001): vectors count by direction, as cosine similarity compares.

    For embeddings whose length says little, such as CLIP's. Distances are chords: sqrt(2 - 2 cos).
    """

    kind: Literal["spherical_kmeans"]
    n_init: int = Field(10, ge=1, le=100_000)
    """Starts, of which the one with the least inertia is kept."""

    def fit(self, vectors: Vectors, *, seed: int) -> Partition:
        from sklearn.cluster import kmeans_plusplus

        k = self.n_clusters(len(vectors))
        rng = np.random.default_rng(seed)
        rows = rng.choice(len(vectors), min(len(vectors), max(20_000, k)), replace=False)
        sample = to_unit(np.asarray(vectors[np.sort(rows)], dtype=np.float32))
        starts = [kmeans_plusplus(sample, k, random_state=int(rng.integers(2**32)))[0] for _ in range(self.n_init)]
        refined = [lloyd(sample, to_unit(start), spherical=True) for start in starts]
        centers = min(refined, key=lambda tried: float((label_all(tried, sample)[1].astype(np.float64) ** 2).sum()))
        if len(sample) < len(vectors):
            centers = lloyd(vectors, centers, spherical=True)
        return Partition(*label_all(centers, vectors, spherical=True), {"centers": centers})

    def soften(self, vectors: Vectors, labels: Labels) -> State:
        return super().soften(to_unit(vectors), labels)

    def memberships(self, state: State, vectors: Vectors) -> NDArray[np.float32]:
        return super().memberships(state, to_unit(vectors))

    def assign(self, state: State, vectors: Vectors) -> Labels:
        return label_all(state["centers"], vectors, spherical=True)[0]
