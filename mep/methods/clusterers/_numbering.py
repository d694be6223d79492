"""From the labels of a method to the numbers that captions say: by size, or by an earlier clustering."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mep.methods.clusterers import Labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

Codes = dict[int, tuple[int, int]]
"""Number of a cluster -> that of its coarse cluster, and its own within that one."""


def by_size(labels: Labels) -> NDArray[np.int64]:
    """int64 (k,) number of each label, 0 the most frequent."""
    sizes = np.bincount(labels[labels >= 0])
    rank = np.empty(len(sizes), dtype=np.int64)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    return rank


def matched(labels: Labels, before: Labels, rank: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64 (k,) number of the earlier cluster that shares most images, over all pairs (Kuhn 1955); others by rank."""
    from scipy.optimize import linear_sum_assignment

    shared = np.zeros((len(rank), int(before.max()) + 1))
    np.add.at(shared, (labels, before), 1)
    now, then = linear_sum_assignment(-shared)
    numbers = np.full(len(rank), -1, dtype=np.int64)
    partnered = shared[now, then] > 0
    numbers[now[partnered]] = then[partnered]
    alone = sorted(np.flatnonzero(numbers < 0), key=rank.__getitem__)
    numbers[alone] = np.setdiff1d(np.arange(shared.shape[1] + len(rank)), numbers)[: len(alone)]
    return numbers


def renumbered(labels: Labels, numbers: NDArray[np.int64]) -> Labels:
    """int64 (n,): numbers[label] for each of the method's labels; -1 for labels without a number, such as noise."""
    inside = (labels >= 0) & (labels < len(numbers))
    return np.where(inside, numbers[np.where(inside, labels, 0)], -1)


def codes_of(parents: Labels | None, labels: Labels, numbers: NDArray[np.int64], before: Labels | None) -> Codes:
    """The codes of each cluster that has images; empty where clusters lie in no coarse ones.

    parents     int64 (k,) of the method's labels
    labels      int64 (n,) as the method has them
    numbers     int64 (k,) of its labels
    before      int64 (n,) coarse clusters of the same images in an earlier clustering, whose numbers are kept; -1: none
    """
    if parents is None:
        return {}
    outer = np.where(labels >= 0, parents[np.where(labels >= 0, labels, 0)], -1)
    coarse = by_size(outer)
    if before is not None and (both := (before >= 0) & (outer >= 0)).any():
        coarse = matched(outer[both], before[both], coarse)
    codes: Codes = {}
    seen: dict[int, int] = {}
    present = np.unique(labels[labels >= 0])
    for label in present[np.argsort(numbers[present])].tolist():
        outer_number = int(coarse[parents[label]])
        codes[int(numbers[label])] = outer_number, seen.get(outer_number, 0)
        seen[outer_number] = seen.get(outer_number, 0) + 1
    return codes


def second_of(memberships: NDArray[np.float32], labels: Labels, at_least: float) -> Labels:
    """int64 (n,) the most probable cluster beside an image's own; -1 where it is less probable than that, or the image
    has no cluster.

    memberships     float32 (n, k); nan where nothing is known
    """
    others = np.nan_to_num(memberships, nan=-1.0)
    own = np.flatnonzero((labels >= 0) & (labels < others.shape[1]))
    others[own, labels[own]] = -1
    best = others.argmax(1)
    said = (labels >= 0) & (others[np.arange(len(others)), best] >= at_least)
    return np.where(said, best, -1)
