"""What a cluster is: its most typical images, size, labels, how tight and how stable it is, and its neighbour."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from mep.methods.clusterers import _indices

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mep.methods.clusterers import Clusterer

N_MEDOIDS = 12
STABILITY_ROWS = 5000
"""Images on which the stability of clusters is measured, drawn by the seed."""


def cards(
    ids: list[str],
    label_names: list[str | None],
    vectors: NDArray[np.float32],
    labels: NDArray[np.int64],
    stability: NDArray[np.float64] | None,
) -> list[dict[str, Any]]:
    """A card a cluster, by its number.

    ids, label_names, vectors, labels   the n images that the clusters were fitted on; -1 is noise
    stability                           float64 (k,) from `stability_of`

    returns rows of: cluster, size, share, labels (name -> images), medoids (ids, most typical first), compactness
    (mean squared distance to the centre over that of all images to theirs: 0 a point, 1 as wide as the dataset),
    stability, nearest (cluster) and distance to its centre
    """
    known = [int(one) for one in np.unique(labels[labels >= 0])]
    groups = {cluster: np.flatnonzero(labels == cluster) for cluster in known}
    centers = np.stack([np.mean(vectors[rows], axis=0, dtype=np.float64) for rows in groups.values()])
    gaps = np.linalg.norm(centers[:, None] - centers[None], axis=2) if len(known) < 500 else None
    overall = float(np.var(vectors, axis=0, dtype=np.float64).sum())
    found = []
    for place, (cluster, rows) in enumerate(groups.items()):
        squares = ((vectors[rows] - centers[place]) ** 2).sum(1)
        order = np.argsort(squares, kind="stable")[:N_MEDOIDS]
        others = np.delete(np.arange(len(known)), place)
        near = int(others[gaps[place, others].argmin()]) if gaps is not None and len(others) else None
        found.append(
            {
                "cluster": cluster,
                "size": len(rows),
                "share": len(rows) / len(labels),
                "labels": dict(Counter(label_names[row] or "" for row in rows).most_common()),
                "medoids": [ids[rows[one]] for one in order],
                "compactness": float(squares.mean()) / overall if overall else 0.0,
                "stability": None if stability is None else float(stability[cluster]),
                "nearest": None if near is None else known[near],
                "distance": None if near is None or gaps is None else float(gaps[place, near]),
            }
        )
    return found


def stability_of(
    clusterer: Clusterer, vectors: NDArray[np.float32], labels: NDArray[np.int64], *, n: int, seed: int
) -> NDArray[np.float64]:
    """float64 (k,): how well each cluster comes back in bootstrap resamples."""
    rows = np.sort(np.random.default_rng(seed).permutation(len(vectors))[:STABILITY_ROWS])
    sample, known = np.asarray(vectors[rows]), labels[rows]
    found = _indices.recovery(known, list(_indices.resampled(clusterer, sample, seed=seed, n=n)))
    return np.pad(found, (0, int(labels.max()) + 1 - len(found)))
