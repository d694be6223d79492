from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from mep.methods.detectors import ByScore

if TYPE_CHECKING:
    from numpy.typing import NDArray


class LocalOutlierFactor(ByScore):
    """Removes embeddings in places much thinner than their neighbours' (Breunig et al. 2000): rare groups stay."""

    score: ClassVar[str] = "lof"
    kind: Literal["lof"]
    neighbours: int = Field(20, ge=1, le=1_000_000)
    """Neighbours that make a neighbourhood."""

    def scores(self, vectors: NDArray[np.float32], rows: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
        from sklearn.neighbors import LocalOutlierFactor

        n = min(self.neighbours, len(rows) - 1)
        fitted = LocalOutlierFactor(n_neighbors=n, novelty=True).fit(np.asarray(vectors[rows]))
        scores: NDArray[np.float64] = -fitted.score_samples(vectors)
        scores[rows] = -fitted.negative_outlier_factor_  # here an image is not its own neighbour
        return scores
