"""What a cluster is: its most typical images, its size and labels, how tight and stable it is, and its neighbour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mep.methods.clusterers import Clusterer, Labels, Vectors
from mep.methods.clusterers._choice import resampled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mep.artifacts.vectors import ClusterSummary

N_MEDOIDS = 12
MOST_COMPARED = 500
"""From this many clusters on, no nearest cluster is given: the differences of all centres would fill the memory."""
STABILITY_ROWS = 5000  # images on which the stability of clusters is measured, drawn by the seed


def summaries(
    ids: Sequence[str],
    label_names: Sequence[str | None],
    vectors: Vectors,
    labels: Labels,
    stability: NDArray[np.float64] | None,
) -> list[ClusterSummary]:
    """A summary of each cluster, by its number.

    ids, label_names, vectors, labels   the n images that the clusters were fitted on; -1 is noise
    stability                           float64 (k,) from `stability_of`
    """
    clusters = [int(cluster) for cluster in np.unique(labels[labels >= 0])]
    members = [np.flatnonzero(labels == cluster) for cluster in clusters]
    centers = np.stack([np.mean(vectors[rows], axis=0, dtype=np.float64) for rows in members])
    neighbours = _neighbours(clusters, centers)
    overall = float(np.var(vectors, axis=0, dtype=np.float64).sum())
    table: list[ClusterSummary] = []
    for cluster, rows, center, (neighbour, distance) in zip(clusters, members, centers, neighbours, strict=True):
        squares = ((vectors[rows] - center) ** 2).sum(1)
        order = np.argsort(squares, kind="stable")[:N_MEDOIDS]
        table.append(
            {
                "cluster": cluster,
                "size": len(rows),
                "share": len(rows) / len(labels),
                "labels": dict(Counter(label_names[row] or "" for row in rows.tolist()).most_common()),
                "medoids": [ids[row] for row in rows[order].tolist()],
                "compactness": float(squares.mean()) / overall if overall else 0.0,
                "stability": None if stability is None else float(stability[cluster]),
                "nearest": neighbour,
                "distance": distance,
            }
        )
    return table


def _neighbours(clusters: list[int], centers: NDArray[np.float64]) -> list[tuple[int, float] | tuple[None, None]]:
    """For each cluster, the cluster with the nearest centre and the distance to it."""
    k = len(centers)
    if not 2 <= k < MOST_COMPARED:
        return [(None, None)] * k
    gaps = np.linalg.norm(centers[:, None] - centers[None], axis=2)
    np.fill_diagonal(gaps, np.inf)
    return [(clusters[row.argmin()], float(row.min())) for row in gaps]


def stability_of(clusterer: Clusterer, vectors: Vectors, labels: Labels, *, n: int, seed: int) -> NDArray[np.float64]:
    """float64 (k,): each cluster's best Jaccard index in a bootstrap resample, mean of n; above 0.75 is stable.

    Source   Hennig 2007, Cluster-wise assessment of cluster stability
    """
    rows = np.sort(np.random.default_rng(seed).permutation(len(vectors))[:STABILITY_ROWS])
    others = resampled(clusterer, np.asarray(vectors[rows]), seed=seed, n=n)
    return np.asarray(np.mean([_best_jaccard(labels[rows], other, int(labels.max()) + 1) for other in others], axis=0))


def _best_jaccard(labels: Labels, other: Labels, k: int) -> NDArray[np.float64]:
    """float64 (k,): the Jaccard index of each cluster with the cluster of the other partition that is most like it."""
    shared = np.zeros((k, int(other.max(initial=0)) + 1))
    both = (labels >= 0) & (other >= 0)
    np.add.at(shared, (labels[both], other[both]), 1)
    sizes = np.bincount(labels[labels >= 0], minlength=k)[:, None]
    other_sizes = np.bincount(other[other >= 0], minlength=shared.shape[1])
    return np.asarray((shared / np.maximum(sizes + other_sizes - shared, 1)).max(1))
