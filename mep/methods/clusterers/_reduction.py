"""What is done to vectors before they are clustered, and again before a new one is assigned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from mep.config import Config
from mep.errors import DataError
from mep.methods.clusterers._lloyd import to_unit

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Reduction(Config):
    """Scaling and principal components; by default the vectors are taken as they are."""

    scale: Literal["none", "standard", "unit"] = "none"
    """none; standard: every dimension to mean 0 and variance 1; unit: every vector to length 1."""
    pca: int | None = Field(None, ge=1)
    """Principal components that are kept. Default: all dimensions, no rotation."""

    def learn(self, vectors: NDArray[np.float32], *, seed: int) -> dict[str, NDArray[Any]]:
        """What `reduce` needs to know of the vectors that are clustered, float32 (n, d)."""
        state: dict[str, NDArray[Any]] = {}
        if self.scale == "standard":
            spread = vectors.std(0)
            state = {"scale_mean": vectors.mean(0), "scale_std": np.where(spread > 0, spread, 1)}
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

    def reduce(self, state: dict[str, NDArray[Any]], vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 (m, d') of vectors float32 (m, d)."""
        if self.scale == "standard":
            vectors = (vectors - state["scale_mean"]) / state["scale_std"]
        elif self.scale == "unit":
            vectors = to_unit(vectors)
        if "pca_components" in state:
            vectors = (vectors - state["pca_mean"]) @ state["pca_components"].T
        return np.asarray(vectors, dtype=np.float32)
