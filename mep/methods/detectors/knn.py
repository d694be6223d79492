from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from mep.methods.detectors import ByScore

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Knn(ByScore):
    """Removes embeddings far from their k-th nearest neighbour (Ramaswamy et al. 2000): small groups go."""

    score: ClassVar[str] = "distance"
    kind: Literal["knn"]
    neighbours: int = Field(10, ge=1, le=1_000_000)
    """The neighbour whose distance counts."""

    def scores(self, vectors: NDArray[np.float32], rows: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
        from sklearn.neighbors import NearestNeighbors

        n = min(self.neighbours, len(rows) - 1)
        fitted = NearestNeighbors(n_neighbors=n).fit(np.asarray(vectors[rows]))
        scores: NDArray[np.floating] = fitted.kneighbors(vectors)[0][:, -1]
        scores[rows] = fitted.kneighbors()[0][:, -1]  # here an image is not its own neighbour
        return scores.astype(np.float64)
