from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from mep.methods.clusterers import KClusterer, Labels, Partition, State, Vectors, distances_to_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray


class GaussianMixture(KClusterer):
    """Gaussians fitted by expectation-maximisation (Dempster et al. 1977), with a soft membership for every image.

    In many dimensions reduce first (`pca: 50`): a Gaussian needs several images a dimension.
    """

    kind: Literal["gmm"]
    covariance: Literal["diag", "spherical"] = "diag"
    """Axis-parallel ellipsoids, or balls."""
    n_init: int = Field(3, ge=1, le=100_000)
    """Starts, of which the likeliest is kept."""

    def fit(self, vectors: Vectors, *, seed: int) -> Partition:
        from sklearn.mixture import GaussianMixture

        wide = np.asarray(vectors, dtype=np.float64)
        fitted = GaussianMixture(
            self.n_clusters(len(vectors)),
            covariance_type=self.covariance,
            n_init=self.n_init,
            random_state=seed % 2**32,
            reg_covar=1e-6 * max(float(wide.var(0).mean()), 1e-12),
        ).fit(wide)
        memberships = fitted.predict_proba(wide)
        labels = memberships.argmax(1).astype(np.int64)
        state = {"weights": fitted.weights_, "means": fitted.means_, "precisions": fitted.precisions_cholesky_}
        return Partition(labels, distances_to_mean(vectors, labels), state, memberships.astype(np.float32))

    def soften(self, vectors: Vectors, labels: Labels) -> State:
        return {}

    def assign(self, state: State, vectors: Vectors) -> Labels:
        return np.asarray(self._fitted(state).predict(np.asarray(vectors, dtype=np.float64)), dtype=np.int64)

    def memberships(self, state: State, vectors: Vectors) -> NDArray[np.float32]:
        chances = self._fitted(state).predict_proba(np.asarray(vectors, dtype=np.float64))
        return np.asarray(chances, dtype=np.float32)

    def _fitted(self, state: State) -> Any:
        from sklearn.mixture import GaussianMixture

        fitted = GaussianMixture(len(state["weights"]), covariance_type=self.covariance)
        fitted.weights_, fitted.means_ = state["weights"], state["means"]
        fitted.precisions_cholesky_ = state["precisions"]
        return fitted
