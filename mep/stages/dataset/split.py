"""Who is set aside: whole groups, near duplicates among them, with the share of every label that was asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def draw_groups(
    labels: NDArray[np.int64], groups: NDArray[np.int64], fraction: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """bool (n,): whole groups in random order, each taken when it brings the count of its labels nearer to the share.

    labels      int64 (n,)    -1 counts as a label of its own
    groups      int64 (n,)    0 ... number of groups - 1
    """
    from scipy.sparse import coo_array

    n_groups, n_labels = int(groups.max()) + 1, int(labels.max()) + 2
    counts = coo_array((np.ones(len(labels)), (groups, labels + 1)), (n_groups, n_labels)).tocsr()
    bounds, columns, sizes = (one.tolist() for one in (counts.indptr, counts.indices, counts.data))
    missing = (np.bincount(labels + 1, minlength=n_labels) * fraction).tolist()
    taken = np.zeros(n_groups, dtype=bool)
    for group in rng.permutation(n_groups).tolist():
        own = range(bounds[group], bounds[group + 1])
        if sum(abs(missing[columns[at]] - sizes[at]) - abs(missing[columns[at]]) for at in own) < 0:
            taken[group] = True
            for at in own:
                missing[columns[at]] -= sizes[at]
    return taken[groups]


def joined(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64 (n,): groups in which two images are together when either grouping has them together."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n, first = len(one), int(one.max()) + 1
    size = first + int(other.max()) + 1
    graph = coo_array((np.ones(n, dtype=np.int8), (one, first + other)), (size, size))
    return np.asarray(connected_components(graph, directed=False)[1][one], dtype=np.int64)


def straddling(groups: NDArray[np.int64], splits: NDArray[np.int8]) -> NDArray[np.bool_]:
    """bool (n,), True for images whose group lies in more than one split."""
    first = np.full(int(groups.max()) + 1, -1, dtype=np.int8)
    first[groups[::-1]] = splits[::-1]
    mixed = np.zeros(len(first), dtype=bool)
    mixed[groups[splits != first[groups]]] = True
    return mixed[groups]
