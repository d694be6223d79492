from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from mep.methods.detectors import ByScore

if TYPE_CHECKING:
    from numpy.typing import NDArray


class IsolationForest(ByScore):
    """Removes embeddings that few random cuts isolate (Liu et al. 2008)."""

    score: ClassVar[str] = "isolation"
    kind: Literal["isolation_forest"]
    trees: int = Field(200, ge=1, le=100_000)
    """Trees of the forest."""

    def scores(self, vectors: NDArray[np.float32], rows: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
        from sklearn.ensemble import IsolationForest

        fitted = IsolationForest(n_estimators=self.trees, random_state=seed).fit(np.asarray(vectors[rows]))
        return np.asarray(-fitted.score_samples(vectors))
