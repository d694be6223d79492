"""The nearest neighbours in frozen features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from mep.methods.probes import Examples, Fitted, Probe

if TYPE_CHECKING:
    from mep.machine.work import Work


class NearestNeighbours(Probe):
    """Share of each class among the k nearest training images (Fix & Hodges 1951), by the angle between features.

    Nothing is fitted, so that wrong labels among synthetic images show at once.
    """

    kind: Literal["knn"]
    k: int = Field(5, ge=1, le=1000)
    """Number of neighbours."""

    def fit(self, train: Examples, validation: Examples, n_classes: int, *, seed: int, work: Work) -> Fitted:
        from sklearn.neighbors import KNeighborsClassifier

        k = min(self.k, len(train))
        model = KNeighborsClassifier(k, algorithm="brute").fit(train.directions(), train.labels)

        def predict(examples: Examples) -> np.ndarray:
            return np.asarray(model.predict_proba(examples.directions()))

        return Fitted(predict, {"k": k})
