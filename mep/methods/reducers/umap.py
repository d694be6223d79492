from __future__ import annotations

import importlib.util
from typing import Literal

import numpy as np
from pydantic import Field

from mep.errors import DataError
from mep.machine.extras import library
from mep.methods.clusterers import State, Vectors
from mep.methods.reducers import Reducer

N_NEAR = 5
"""Neighbours between which a new vector is placed."""


class Umap(Reducer):
    """UMAP (McInnes et al. 2018): neighbours stay neighbours, so that density shows what lies on a curved sheet.

    For hdbscan; distances between far clusters mean nothing afterwards. A new vector is placed among its five nearest,
    by one over their distances, which is near to where UMAP begins with one. It takes the seed and one core.
    """

    kind: Literal["umap"]
    dims: int = Field(10, ge=1, le=1_000)
    """Dimensions that are left."""
    neighbours: int = Field(30, ge=2, le=10_000)
    """Images that count as neighbours; more of them show the coarse structure."""
    min_dist: float = Field(0.0, ge=0, le=1)
    """How close points may come; 0 packs clusters densely."""

    def require(self) -> None:
        """EnvironmentLacks where umap-learn is not installed; not imported, which takes seconds."""
        if importlib.util.find_spec("umap") is None:
            library("umap", "umap-learn", "umap")

    def learn(self, vectors: Vectors, *, seed: int) -> State:
        if len(vectors) < self.dims + 3:
            raise DataError(
                f"{self.dims} dimensions are asked of {len(vectors)} images",
                hint=f"choose dims <= {max(len(vectors) - 3, 1)}, or more images",
                field="clustering.reduce.dims",
            )
        fitted = library("umap", "umap-learn", "umap").UMAP(
            n_components=self.dims,
            n_neighbors=min(self.neighbours, len(vectors) - 1),
            min_dist=self.min_dist,
            random_state=seed % 2**32,
            n_jobs=1,
        )
        return {"umap_vectors": vectors, "umap_places": np.asarray(fitted.fit_transform(vectors), dtype=np.float32)}

    def apply(self, state: State, vectors: Vectors) -> Vectors:
        from sklearn.neighbors import KNeighborsRegressor

        n = min(N_NEAR, len(state["umap_vectors"]))
        placed = KNeighborsRegressor(n, weights="distance").fit(state["umap_vectors"], state["umap_places"])
        return np.asarray(placed.predict(vectors), dtype=np.float32).reshape(len(vectors), -1)
