"""Validity indices: how good a partition is, so that a number of clusters can be chosen."""

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mep.errors import DataError
from mep.methods.clusterers import Clusterer

LOWER_IS_BETTER = {"s_dbw": True, "sd": True, "davies_bouldin": True, "silhouette": False, "stability": False}
N_RESAMPLES = 10
"""Bootstrap resamples behind the index `stability`."""


def scatter(vectors: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """Mean norm of the clusters' variances over the norm of the variance of all; lower is more compact.

    Scat of Halkidi, Batistakis & Vazirgiannis 2001.
    """
    return float(np.mean(_variance_norms(vectors, labels)) / _norm_of_variance(vectors))


def separation(vectors: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """Dis of Halkidi, Vazirgiannis & Batistakis 2000: lower where centres are far apart and evenly spread."""
    gaps = _gaps(_centers(vectors, labels))
    between = gaps[np.triu_indices(len(gaps), 1)]
    return float(between.max() / max(between.min(), 1e-12) * (1 / gaps.sum(1)).sum())


def s_dbw(vectors: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """Scatter within clusters plus density between them; lower is better.

    vectors     float (n, d)
    labels      int64 (n,)    0 ... k - 1, none of them empty

    Source      Halkidi & Vazirgiannis 2001, Clustering validity assessment: finding the optimal partitioning
    """
    centers = _centers(vectors, labels)
    k = len(centers)
    radius = np.sqrt(np.sum(_variance_norms(vectors, labels))) / k
    groups = [vectors[labels == cluster] for cluster in range(k)]
    near = np.array([[_count_near(group, center, radius) for group in groups] for center in centers])
    total = 0.0
    for i, j in itertools.combinations(range(k), 2):
        middle = (centers[i] + centers[j]) / 2
        n_between = _count_near(groups[i], middle, radius) + _count_near(groups[j], middle, radius)
        n_densest = max(near[i, i] + near[i, j], near[j, i] + near[j, j])
        total += 2 * n_between / n_densest if n_densest else 0.0
    return scatter(vectors, labels) + total / (k * (k - 1))


def silhouette(vectors: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """Rousseeuw 1987; -1 to 1, higher is better."""
    from sklearn.metrics import silhouette_score

    return float(silhouette_score(vectors, labels))


def davies_bouldin(vectors: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """Davies & Bouldin 1979; lower is better."""
    from sklearn.metrics import davies_bouldin_score

    return float(davies_bouldin_score(vectors, labels))


def stability(clusterer: Clusterer, vectors: NDArray[np.float32], labels: NDArray[np.int64], *, seed: int) -> float:
    """Mean adjusted Rand index of the partition with those of bootstrap resamples; up to 1, higher is better."""
    from sklearn.metrics import adjusted_rand_score

    return float(np.mean([adjusted_rand_score(labels, other) for other in resampled(clusterer, vectors, seed=seed)]))


def resampled(
    clusterer: Clusterer, vectors: NDArray[np.float32], *, seed: int, n: int = N_RESAMPLES
) -> Iterator[NDArray[np.int64]]:
    """For each bootstrap resample, the cluster int64 (n,) that its partition assigns to every vector."""
    import warnings

    for number in range(n):
        rows = np.random.default_rng([seed, number]).integers(len(vectors), size=len(vectors))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a resample of few images has fewer distinct ones than clusters
                partition = clusterer.fit(vectors[rows], seed=seed + number)
        except DataError:  # this resample has no clusters
            yield np.full(len(vectors), -1, dtype=np.int64)
        else:
            yield clusterer.assign(partition.state, vectors)


def recovery(labels: NDArray[np.int64], others: list[NDArray[np.int64]]) -> NDArray[np.float64]:
    """float64 (k,): how well others recover each cluster, as its mean best Jaccard index; above 0.75 is stable.

    Source   Hennig 2007, Cluster-wise assessment of cluster stability
    """
    k = int(labels.max()) + 1
    best_jaccard = np.zeros((len(others), k))
    for row, other in zip(best_jaccard, others, strict=True):
        table = np.zeros((k, int(other.max(initial=0)) + 1))
        both = (labels >= 0) & (other >= 0)
        np.add.at(table, (labels[both], other[both]), 1)
        sizes = np.bincount(labels[labels >= 0], minlength=k)[:, None]
        other_sizes = np.bincount(other[other >= 0], minlength=table.shape[1])[None]
        row[:] = (table / np.maximum(sizes + other_sizes - table, 1)).max(1)
    return np.asarray(best_jaccard.mean(0))


def _centers(vectors: NDArray[np.floating], labels: NDArray[np.int64]) -> NDArray[np.floating]:
    return np.stack([vectors[labels == cluster].mean(0) for cluster in range(int(labels.max()) + 1)])


def _variance_norms(vectors: NDArray[np.floating], labels: NDArray[np.int64]) -> list[float]:
    return [_norm_of_variance(vectors[labels == cluster]) for cluster in range(int(labels.max()) + 1)]


def _norm_of_variance(vectors: NDArray[np.floating]) -> float:
    return float(np.linalg.norm(vectors.var(0, dtype=np.float64)))


def _gaps(centers: NDArray[np.floating]) -> NDArray[np.float64]:
    from scipy.spatial.distance import cdist

    return np.asarray(cdist(centers, centers))


def _count_near(vectors: NDArray[np.floating], point: NDArray[np.floating], radius: float) -> int:
    return int((np.linalg.norm(vectors - point, axis=1) <= radius).sum())
