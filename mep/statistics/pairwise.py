"""Everything that scores take from the distances between all pairs of images, in one pass over blocks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from mep.statistics.distances import (
    DEFAULT,
    SPARE,
    Arithmetic,
    FeatureSet,
    NearestRows,
    blocks,
    exact_distances,
    kernel_of,
    prepare,
    squared_distances,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

Radii: TypeAlias = "tuple[NDArray[np.float64], NDArray[np.float64]]"
"""Squared radii of one size of neighbourhood: of the real images, and of the fakes."""


@dataclass(frozen=True, eq=False)
class Hits:
    """Who lies within whose neighbourhood of k."""

    balls: NDArray[np.int64]  # (m,), real neighbourhoods that each fake lies in
    covered: NDArray[np.bool_]  # (n,), whether some fake lies in the neighbourhood of a real image
    recalled: NDArray[np.bool_]  # (n,), whether a real image lies in the neighbourhood of some fake


@dataclass(frozen=True, eq=False)
class KernelSums:
    """Row sums of the kernel (x·y/d + 1)³, float64: within each set without the image itself, and across.

    squares     float64 (3,)    sums of (kernel - offset)² within the real images, within the fakes, and across
    offset      the kernel of the mean of the real images: large sums of nearly equal numbers would lose their digits
    """

    real: NDArray[np.float64]
    fake: NDArray[np.float64]
    across_of_real: NDArray[np.float64]
    across_of_fake: NDArray[np.float64]
    squares: NDArray[np.float64]
    offset: float


@dataclass(frozen=True, eq=False)
class PairwiseResult:
    """What one pass over all pairs gives; radii and hits by k."""

    radii_real: dict[int, NDArray[np.float64]]  # (n,), squared distance to the k-th nearest other real image
    radii_fake: dict[int, NDArray[np.float64]]  # (m,), the same among the fakes
    hits: dict[int, Hits]
    nearest_real: NDArray[np.int64]  # (m,), row of the real image nearest to each fake
    nearest_squared: NDArray[np.float64]  # (m,), squared distance to it
    kernel: KernelSums | None  # None if it was not asked for


def compare(
    real: NDArray[np.floating],
    fake: NDArray[np.floating],
    *,
    ks: Sequence[int] = (3, 5),
    strict: bool = False,
    kernel: bool = True,
    arithmetic: Arithmetic = DEFAULT,
) -> PairwiseResult:
    """One pass over all pairs of two sets; memory stays at a few blocks, time grows as n².

    Decisions are exact although blocks are float32: what float32 leaves in doubt, some ten pairs in a million, is
    computed again in float64 from the features as given. A copy at the border of a neighbourhood lies on it to the
    last bit, whatever the block, and features far from the origin lose nothing.

    real    float32 or float64 (n, d)   n > max(ks)
    fake    float32 or float64 (m, d)   m > max(ks)
    ks      sizes of neighbourhood
    strict  whether what lies exactly on the border is outside
    kernel  whether the kernel sums are wanted too
    """
    real_set, fake_set = prepare(real, fake, arithmetic)
    sums = _no_sums(real, len(fake)) if kernel else None
    radii_real = _within(real_set, sorted({1, *ks}), sums, 0, arithmetic.block)
    radii_fake = _within(fake_set, sorted(ks) or [1], sums, 1, arithmetic.block)
    hits = HitCounter(real_set, fake_set, {k: (radii_real[k], radii_fake[k]) for k in ks}, strict)
    nearest = NearestRows(len(fake), 1 + SPARE, real_set.rows.device)
    for i in blocks(len(fake), arithmetic.block):
        for j in blocks(len(real), arithmetic.block):
            squared = squared_distances(fake_set, real_set, i, j)
            nearest.add(squared, i, j.start)
            hits.add(squared, i, j)
            if sums:
                values = kernel_of(squared, fake_set, real_set, i, j)
                sums.across_of_fake[i] += _summed(values, 1)
                sums.across_of_real[j] += _summed(values, 0)
                sums.squares[2] += float(_about(values, sums.offset).square_().sum())
    rows, squared_rows = nearest.exact(fake_set, real_set, [1])
    return PairwiseResult(radii_real, radii_fake, hits.by_k, rows[:, 0], squared_rows[:, 0], sums)


def _no_sums(real: NDArray[np.floating], m: int) -> KernelSums:
    """Sums to add to; their offset is the kernel of the mean with itself."""
    n, centre = len(real), real.mean(axis=0, dtype=np.float64)
    offset = (float(centre @ centre) / len(centre) + 1) ** 3
    return KernelSums(np.zeros(n), np.zeros(m), np.zeros(n), np.zeros(m), np.zeros(3), offset)


def _within(
    features: FeatureSet, ks: list[int], sums: KernelSums | None, place: int, block: int
) -> dict[int, NDArray[np.float64]]:
    """Squared radii of every size of neighbourhood in a set; each pair once. Fills in the sums of this set."""
    n = len(features.given)
    nearest = NearestRows(n, ks[-1] + SPARE, features.rows.device)
    for i in blocks(n, block):
        for j in blocks(i.stop, block):
            squared = squared_distances(features, features, i, j)
            if sums:
                values = kernel_of(squared, features, features, i, j)
                _add_within(sums, (sums.real, sums.fake)[place], place, values, i, j)
            if i == j:
                squared.fill_diagonal_(math.inf)  # nobody is their own neighbour
            else:
                nearest.add(squared.T, j, i.start)
            nearest.add(squared, i, j.start)
    _, squared_rows = nearest.exact(features, features, ks)
    return {k: squared_rows[:, k - 1] for k in ks}


def _add_within(sums: KernelSums, of_rows: NDArray[np.float64], place: int, values: Tensor, i: slice, j: slice) -> None:
    """The kernel of the rows i with the rows j of one set; an image with itself is no pair."""
    if i == j:
        of_rows[i] += _summed(values.fill_diagonal_(0), 1)
        sums.squares[place] += float(_about(values, sums.offset).fill_diagonal_(0).square_().sum())
        return
    of_rows[i] += _summed(values, 1)
    of_rows[j] += _summed(values, 0)
    sums.squares[place] += 2 * float(_about(values, sums.offset).square_().sum())


def _about(values: Tensor, offset: float) -> Tensor:
    """In float64: the kernel can exceed what float32 holds, and its squares even more."""
    return values.double().sub_(offset)


def _summed(values: Tensor, axis: int) -> NDArray[np.float64]:
    return np.asarray(values.sum(axis).double().cpu())


class HitCounter:
    """Counts who lies within whose neighbourhood, block by block of fake-real pairs."""

    def __init__(self, real: FeatureSet, fake: FeatureSet, radii: Mapping[int, Radii], strict: bool):
        self.real, self.fake, self.radii = real, fake, radii
        self.within = np.less if strict else np.less_equal
        n, m = len(real.given), len(fake.given)
        self.by_k = {
            k: Hits(np.zeros(m, dtype=np.int64), np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)) for k in radii
        }
        if radii:
            # the largest distance in a block at which a pair may be a hit of the largest neighbourhood
            self.near_real, self.near_fake = (
                features.norms.new_tensor((widest + 2 * features.slack) / features.unit**2)
                for features, widest in zip((real, fake), radii[max(radii)], strict=True)
            )
            self.slack_real, self.slack_fake = (
                features.norms.new_tensor(2 * features.slack / features.unit**2) for features in (real, fake)
            )

    def add(self, squared: Tensor, i: slice, j: slice) -> None:
        """Distances of the fake rows `i` to the real rows `j`: near pairs are counted, those in doubt exactly."""
        if not self.radii:
            return
        near = squared <= self.near_real[j] + self.slack_fake[i].max()
        near.logical_or_(squared <= (self.near_fake[i] + self.slack_real[j].max())[:, None])
        rows, columns = near.nonzero(as_tuple=True)
        values = np.asarray(squared[rows, columns].double().cpu()) * self.real.unit**2
        fakes, reals = np.asarray(rows.cpu()) + i.start, np.asarray(columns.cpu()) + j.start
        slack = 2 * (self.fake.slack[fakes] + self.real.slack[reals])
        doubtful = np.zeros(len(fakes), dtype=bool)
        for of_real, of_fake in self.radii.values():
            doubtful |= np.abs(values - of_real[reals]) <= slack
            doubtful |= np.abs(values - of_fake[fakes]) <= slack
        values[doubtful] = exact_distances(self.fake, self.real, fakes[doubtful], reals[doubtful])
        for k, (of_real, of_fake) in self.radii.items():
            hits, inside = self.by_k[k], self.within(values, of_real[reals])
            hits.balls[:] += np.bincount(fakes[inside], minlength=len(hits.balls))
            hits.covered[reals[inside]] = True
            hits.recalled[reals[self.within(values, of_fake[fakes])]] = True
