from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from mep.errors import DataError
from mep.methods.clusterers import State, Vectors
from mep.methods.reducers import Reducer


class Pca(Reducer):
    """Principal components (Pearson 1901): the directions in which the vectors differ most."""

    kind: Literal["pca"]
    dims: int = Field(ge=1, le=1_000_000)
    """Components that are kept."""

    def learn(self, vectors: Vectors, *, seed: int) -> State:
        from sklearn.decomposition import PCA

        if self.dims > min(vectors.shape):
            n, d = vectors.shape
            raise DataError(
                f"{self.dims} principal components are asked of {n} images with {d} dimensions",
                hint=f"choose {min(n, d)} or fewer",
                field="clustering",
            )
        fitted = PCA(self.dims, random_state=seed % 2**32).fit(vectors)
        return {"pca_mean": fitted.mean_, "pca_components": fitted.components_}

    def apply(self, state: State, vectors: Vectors) -> Vectors:
        return np.asarray((vectors - state["pca_mean"]) @ state["pca_components"].T, dtype=np.float32)
