"""Splits that keep the share of every finding, however rare, where an image may show several."""

import numpy as np
from numpy.typing import NDArray


def stratified(
    shown: NDArray[np.bool_], groups: NDArray[np.int64], fraction: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """bool (n,), True for whole groups that hold about a fraction of all images and of those with each finding.

    shown       bool (n, k)     findings of every image
    groups      int64 (n,)      0 ... number of groups - 1

    The rarest finding of what is left comes first; each group that has it goes to the side that lacks most of this
    finding, then to the one that lacks most images, then by lot. Groups without a finding come last.

    Source      iterative stratification, Sechidis, Tsoumakas & Vlahavas 2011, ECML PKDD, algorithm 1; here of groups,
                of which those with most images of the finding come first
    """
    n_groups = int(groups.max()) + 1
    counts = np.zeros((n_groups, shown.shape[1] + 1))  # the last column counts all images
    np.add.at(counts, groups, np.column_stack([shown, np.ones(len(shown), dtype=bool)]))
    lacking = np.outer([1 - fraction, fraction], counts.sum(axis=0))
    left, waiting, taken = counts.sum(axis=0), np.ones(n_groups, dtype=bool), np.zeros(n_groups, dtype=bool)
    order = rng.permutation(n_groups)
    while waiting.any():
        rarest = int(np.where(left[:-1] > 0, left[:-1], np.inf).argmin()) if left[:-1].any() else -1
        those = order[waiting[order] & (counts[order, rarest] > 0)]
        for group in those[np.argsort(-counts[those, rarest], kind="stable")].tolist():
            side = _neediest(lacking, rarest, rng)
            taken[group] = side == 1
            lacking[side] -= counts[group]
            left -= counts[group]
        waiting[those] = False
    return taken[groups]


def _neediest(lacking: NDArray[np.float64], finding: int, rng: np.random.Generator) -> int:
    """The side that lacks most of a finding, among equals most images, among these by lot."""
    more = np.round(lacking[1] - lacking[0], 9)  # equal but for rounding is equal
    return int((more[finding] or more[-1] or rng.random() - 0.5) > 0)


def rarest(shown: NDArray[np.bool_]) -> NDArray[np.int64]:
    """int64 (n,) the finding of each image that fewest of all images show; k for images without one.

    shown       bool (n, k)     findings of every image
    """
    order = np.argsort(shown.sum(axis=0), kind="stable")
    first = np.column_stack([shown[:, order], np.ones(len(shown), dtype=bool)]).argmax(axis=1)
    return np.asarray(np.append(order, shown.shape[1])[first], dtype=np.int64)
