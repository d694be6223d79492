"""How vectors are reduced before they are clustered, and new ones before they are assigned."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mep.config import Config
from mep.errors import DataError
from mep.methods.clusterers import State
from mep.methods.clusterers._lloyd import to_unit


class Reduction(Config):
    """Scaling and principal components; by default the vectors are taken as they are."""

    scale: Literal["none", "standard", "unit"] = "none"
    """none; standard: every dimension to mean 0 and variance 1; unit: every vector to length 1."""
    pca: int | None = Field(None, ge=1)
    """Principal components that are kept. Default: all dimensions, no rotation."""

    def learn(self, vectors: NDArray[np.float32], *, seed: int) -> State:
        """What `reduce` needs, learned from the vectors that are clustered, float32 (n, d).

        DataError   `pca` is larger than n or d
        """
        state: State = {}
        if self.scale == "standard":
            std = vectors.std(0)
            state = {"scale_mean": vectors.mean(0), "scale_std": np.where(std > 0, std, 1)}
        if self.pca is not None:
            from sklearn.decomposition import PCA

            if self.pca > min(vectors.shape):
                n, d = vectors.shape
                raise DataError(
                    f"{self.pca} principal components are asked of {n} images with {d} dimensions",
                    hint=f"choose pca <= {min(n, d)}",
                    field="clustering.pca",
                )
            fitted = PCA(self.pca, random_state=seed % 2**32).fit(self.reduce(state, vectors))
            state |= {"pca_mean": fitted.mean_, "pca_components": fitted.components_}
        return state

    def reduce(self, state: State, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 (m, d') of vectors float32 (m, d)."""
        reduced: NDArray[np.floating] = vectors
        if self.scale == "standard":
            reduced = (vectors - state["scale_mean"]) / state["scale_std"]
        elif self.scale == "unit":
            reduced = to_unit(vectors)
        if "pca_components" in state:
            reduced = (reduced - state["pca_mean"]) @ state["pca_components"].T
        return np.asarray(reduced, dtype=np.float32)
