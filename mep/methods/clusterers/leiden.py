from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from mep.machine.extras import library
from mep.methods.clusterers import Labels, Partition, State, VectorClusterer, Vectors, distances_to_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_array


class Leiden(VectorClusterer):
    """Communities of the graph of nearest neighbours (Traag et al. 2019), of any number and shape.

    Images are joined with their nearest neighbours, the stronger the more neighbours they share (the Jaccard index of
    PhenoGraph, Levine et al. 2015). A new vector goes where most of its nearest neighbours are, nearer ones counting
    more. In many dimensions reduce first (`pca: 50`).
    """

    kind: Literal["leiden"]
    neighbours: int = Field(15, ge=1, le=10_000)
    """Nearest neighbours of each image; more of them give fewer and rounder clusters."""
    resolution: float = Field(1.0, gt=0, le=1_000)
    """Larger gives more clusters; 1 is modularity (Reichardt & Bornholdt 2006)."""

    def require(self) -> None:
        """EnvironmentLacks where igraph or leidenalg is not installed."""
        for module in ("igraph", "leidenalg"):
            library(module, module, "leiden")

    def fit(self, vectors: Vectors, *, seed: int) -> Partition:
        igraph, leidenalg = (library(module, module, "leiden") for module in ("igraph", "leidenalg"))
        edges, weights = shared_neighbours(vectors, self.neighbours)
        graph = igraph.Graph(n=len(vectors), edges=edges)
        found = leidenalg.find_partition(
            graph,
            leidenalg.RBConfigurationVertexPartition,
            weights=weights,
            resolution_parameter=self.resolution,
            n_iterations=-1,  # until nothing moves any more
            seed=seed % 2**31,
        )
        labels = np.array(found.membership, dtype=np.int64)
        state: State = {"vectors": np.asarray(vectors), "owners": labels}
        return Partition(labels, distances_to_mean(vectors, labels), state)

    def soften(self, vectors: Vectors, labels: Labels) -> State:
        return {}

    def assign(self, state: State, vectors: Vectors) -> Labels:
        return np.asarray(self.memberships(state, vectors).argmax(1), dtype=np.int64)

    def memberships(self, state: State, vectors: Vectors) -> NDArray[np.float32]:
        """float32 (m, k): the share of the nearest neighbours in each cluster, by one over their distance."""
        from sklearn.neighbors import KNeighborsClassifier

        n = min(self.neighbours, len(state["owners"]))
        votes = KNeighborsClassifier(n, weights="distance").fit(state["vectors"], state["owners"])
        return np.asarray(votes.predict_proba(vectors), dtype=np.float32)


def shared_neighbours(vectors: Vectors, k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The graph of k nearest neighbours: pairs int64 (e, 2), each once, and the Jaccard index of their neighbours.

    An image counts among its own neighbours, so that two that are each other's only ones are joined.
    """
    from scipy.sparse import csr_array, triu
    from sklearn.neighbors import NearestNeighbors

    n, k = len(vectors), min(k, len(vectors) - 1)
    near = NearestNeighbors(n_neighbors=k).fit(vectors).kneighbors(return_distance=False)
    own = np.arange(n)
    rows, columns = np.concatenate([own, np.repeat(own, k)]), np.concatenate([own, near.ravel()])
    sets = csr_array((np.ones(len(rows)), (rows, columns)), (n, n))
    joined = triu(sets + sets.T, k=1).tocoo()
    left, right = joined.row.astype(np.int64), joined.col.astype(np.int64)
    common = _common(sets, left, right)
    return np.stack([left, right], axis=1), common / (2 * (k + 1) - common)


def _common(sets: csr_array, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
    """How many neighbours each pair shares, block by block: the product of all pairs would fill the memory."""
    block = 100_000
    places = range(0, len(left), block)
    parts = [np.asarray((sets[left[p : p + block]] * sets[right[p : p + block]]).sum(axis=1)).ravel() for p in places]
    return np.concatenate(parts) if parts else np.zeros(0)
