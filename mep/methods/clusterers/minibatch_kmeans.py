from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from mep.methods.clusterers import CentroidClusterer, Partition, Vectors
from mep.methods.clusterers._lloyd import label_all


class MiniBatchKMeans(CentroidClusterer):
    """k-means whose centres move with every batch (Sculley 2010): for vectors that do not fit into memory.

    The defaults are those of Osorio et al. 2024: ten starts, no early end for lack of improvement.
    """

    kind: Literal["minibatch_kmeans"]
    batch_size: int = Field(4096, ge=1, le=1_000_000_000)
    """Vectors in a batch."""
    n_init: int = Field(10, ge=1, le=100_000)
    """Starts, of which the one with the least inertia is kept."""
    max_passes: int = Field(300, ge=1, le=1_000_000)
    """Most passes over the vectors."""

    def fit(self, vectors: Vectors, *, seed: int) -> Partition:
        from sklearn.cluster import MiniBatchKMeans

        fitted = MiniBatchKMeans(
            self.n_clusters(len(vectors)),
            batch_size=self.batch_size,
            n_init=self.n_init,
            max_iter=self.max_passes,
            max_no_improvement=None,
            tol=1e-4,
            random_state=seed % 2**32,
            compute_labels=False,
        ).fit(vectors)
        centers = fitted.cluster_centers_.astype(np.float32)
        return Partition(*label_all(centers, vectors), {"centers": centers})
