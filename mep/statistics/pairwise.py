"""Everything that is read off the distances between all pairs of images, in one pass over blocks.

`compare` computes each block of the three tables real-real, fake-fake and fake-real once and takes from it the
neighbourhoods of precision, recall, density and coverage, the kernel sums of KID and the nearest real image of every
fake. Memory stays at a few blocks however many images there are; time grows as n².

Blocks are float32, which is twice as fast as float64, and decisions are exact: whatever float32 leaves in doubt, some
ten pairs in a million, is computed again from the features themselves in float64. So a copy at the border of a
neighbourhood lies on it to the last bit, whatever the block, and features far from the origin lose nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

BLOCK = 2048
"""Rows and columns of a block: 16 MB in float32."""

SPARE = 3
"""Neighbours kept beyond the last that is asked for, so that float32 may confuse their order."""

CHUNK = 2**21
"""Numbers that are subtracted at once where a distance is computed again in float64."""

Dtype = Literal["float32", "float64"]


@dataclass(frozen=True, eq=False)
class Hits:
    """Who lies within whose neighbourhood of k.

    balls       int64 (m,)   real neighbourhoods that each fake lies in
    covered     bool (n,)    whether some fake lies in the neighbourhood of a real image
    recalled    bool (n,)    whether a real image lies in the neighbourhood of some fake
    """

    balls: NDArray[np.int64]
    covered: NDArray[np.bool_]
    recalled: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class KernelSums:
    """Row sums of the kernel (x·y/d + 1)³, float64: within each set without the image itself, and across."""

    real: NDArray[np.float64]
    fake: NDArray[np.float64]
    across_of_real: NDArray[np.float64]
    across_of_fake: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Pairs:
    """What one pass over all pairs leaves.

    radii_real          k -> float64 (n,)   squared distance to the k-th nearest other real image
    radii_fake          k -> float64 (m,)   the same among the fakes
    hits                k -> Hits
    nearest_real        int64 (m,)          row of the real image nearest to each fake
    nearest_squared     float64 (m,)        squared distance to it
    kernel              None where it was not asked for
    """

    radii_real: dict[int, NDArray[np.float64]]
    radii_fake: dict[int, NDArray[np.float64]]
    hits: dict[int, Hits]
    nearest_real: NDArray[np.int64]
    nearest_squared: NDArray[np.float64]
    kernel: KernelSums | None


def compare(
    real: NDArray[np.floating],
    fake: NDArray[np.floating],
    *,
    ks: Sequence[int] = (3, 5),
    strict: bool = False,
    kernel: bool = True,
    dtype: Dtype = "float32",
    block: int = BLOCK,
    device: str = "cpu",
) -> Pairs:
    """One pass over all pairs of two sets.

    real    float32 or float64 (n, d)   n > max(ks)
    fake    float32 or float64 (m, d)   m > max(ks)
    ks      sizes of neighbourhood
    strict  whether what lies exactly on the border is outside
    kernel  whether the kernel sums are wanted too
    dtype   arithmetic of the blocks; neighbourhoods are the same either way, kernel sums to some seven digits
    block   rows compared at once; changes memory, not the result
    """
    one, other = _prepare(real, fake, dtype, device)
    wanted = sorted({1, *ks})
    radii_real, sums_real = _within(one, wanted, kernel, block)
    radii_fake, sums_fake = _within(other, sorted(ks) or [1], kernel, block)
    across = _Across(one, other, {k: radii_real[k] for k in ks}, {k: radii_fake[k] for k in ks}, strict, kernel)
    across.run(block)
    nearest, squared = across.nearest()
    sums = None
    if kernel:
        sums = KernelSums(sums_real, sums_fake, across.sums_of_real, across.sums_of_fake)
    return Pairs(radii_real, radii_fake, across.hits(), nearest, squared, sums)


def nearest_rows(
    queries: NDArray[np.floating],
    base: NDArray[np.floating],
    k: int = 1,
    *,
    skip: NDArray[np.int64] | None = None,
    dtype: Dtype = "float32",
    block: int = BLOCK,
    device: str = "cpu",
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Rows of the k nearest base images of every query, int64 (m, k), and squared distances, float64 (m, k), exact.

    skip    int64 (m,)   a base row for every query that does not count, say the query itself
    """
    under, above = _prepare(base, queries, dtype, device)
    best = _Nearest(len(queries), k + SPARE, under.rows.device)
    for i in blocks(len(queries), block):
        for j in blocks(len(base), block):
            squared = _squared(above, under, i, j)
            if skip is not None:
                here = np.flatnonzero((skip[i] >= j.start) & (skip[i] < j.stop))
                squared[here, skip[i][here] - j.start] = math.inf
            best.add(squared, i, j.start)
    found = best.exact(above, under, list(range(1, k + 1)))
    return found.rows[:, :k], found.squared[:, :k]


def blocks(n_rows: int, size: int = BLOCK) -> Iterator[slice]:
    """Slices that cut the rows into blocks; the last one may be shorter."""
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))


@dataclass(frozen=True, eq=False)
class _Set:
    """A set of features, prepared.

    given       float (n, d)    as it came: what exact distances are computed from
    rows        (n, d)          centred and divided by `unit`, in the arithmetic of the blocks
    norms       (n,)            squared norms of `rows`
    slack       float64 (n,)    its part of what a squared distance may be off by, in units of the features
    unit        float           a power of two, so that dividing by it is exact
    kernel_row  (n,)            its part of the kernel's x·y/d + 1 beside that of `rows`
    """

    given: NDArray[np.floating]
    rows: Tensor
    norms: Tensor
    slack: NDArray[np.float64]
    unit: float
    kernel_row: Tensor


def _prepare(real: NDArray[np.floating], fake: NDArray[np.floating], dtype: Dtype, device: str) -> tuple[_Set, _Set]:
    centre = real.mean(axis=0, dtype=np.float64)
    spread = max(float(np.abs(rows - centre).max(initial=0.0)) for s in (real, fake) for rows in _parts(s))
    unit = 2.0 ** math.floor(math.log2(spread)) if spread > 0 else 1.0
    return _set(real, centre, unit, dtype, device), _set(fake, centre, unit, dtype, device)


def _parts(rows: NDArray[np.floating]) -> Iterator[NDArray[np.floating]]:
    return (rows[part] for part in blocks(len(rows), max(1, CHUNK // rows.shape[1])))


def _set(given: NDArray[np.floating], centre: NDArray[np.float64], unit: float, dtype: Dtype, device: str) -> _Set:
    import torch

    n, d = given.shape
    rows, norms, beside = np.empty((n, d), dtype=dtype), np.empty(n), np.empty(n)
    for part in blocks(n, max(1, CHUNK // d)):
        centred = (given[part] - centre) / unit
        rows[part] = centred
        norms[part] = np.einsum("nd,nd->n", rows[part], rows[part], dtype=np.float64)
        beside[part] = centred @ (centre / unit)
    # A product of d terms is off by √d roundings or so; four times that is never reached, and costs next to nothing.
    slack = (8 + 4 * math.sqrt(d)) * float(np.finfo(dtype).eps) * norms * unit**2
    # x·y of the rows as given, from the centred: x_c·y_c + x_c·c + y_c·c + |c|², half of |c|² a side
    kernel_row = (beside * unit**2 + float(centre @ centre) / 2) / d + 0.5
    place = {"dtype": getattr(torch, dtype), "device": device}
    return _Set(given, torch.as_tensor(rows, **place), torch.as_tensor(norms, **place), slack, unit,
                torch.as_tensor(kernel_row, **place))  # fmt: skip


def _squared(left: _Set, right: _Set, i: slice, j: slice) -> Tensor:
    """Squared distances of a block in units of `unit`², with round-off: those of equal rows may be below 0."""
    import torch

    squared = torch.addmm(right.norms[j], left.rows[i], right.rows[j].T, alpha=-2)
    return squared.add_(left.norms[i, None])


def _exact(left: _Set, right: _Set, i: NDArray[np.int64], j: NDArray[np.int64]) -> NDArray[np.float64]:
    """Squared distances of the pairs (i, j), from the features as they were given, in float64."""
    found = np.empty(len(i))
    for part in blocks(len(i), max(1, CHUNK // left.given.shape[1])):
        apart = left.given[i[part]].astype(np.float64)
        apart -= right.given[j[part]]
        found[part] = np.square(apart, out=apart).sum(axis=1)
    return found


def _kernel(squared: Tensor, left: _Set, right: _Set, i: slice, j: slice) -> Tensor:
    """The kernel of a block, from its squared distances."""
    import torch

    half = left.unit**2 / (2 * left.rows.shape[1])  # x_c·y_c = (|x_c|² + |y_c|² - |x - y|²) / 2
    base = torch.add(right.norms[j] * half + right.kernel_row[j], squared, alpha=-half)
    base.add_((left.norms[i] * half + left.kernel_row[i])[:, None])
    return (base * base).mul_(base)  # ten times faster than ** 3


def _within(
    one: _Set, ks: list[int], kernel: bool, block: int
) -> tuple[dict[int, NDArray[np.float64]], NDArray[np.float64]]:
    """Squared radii of every size of neighbourhood in a set, and the row sums of its kernel; each pair once."""
    n = len(one.given)
    best = _Nearest(n, ks[-1] + SPARE, one.rows.device)
    sums = np.zeros(n)
    for i in blocks(n, block):
        for j in blocks(i.stop, block):
            squared = _squared(one, one, i, j)
            if kernel:
                values = _kernel(squared, one, one, i, j)
                if i == j:
                    values.fill_diagonal_(0)
                sums[i] += _summed(values, 1)
                if i != j:
                    sums[j] += _summed(values, 0)
            if i == j:
                squared.fill_diagonal_(math.inf)  # nobody is their own neighbour
            else:
                best.add(squared.T, j, i.start)
            best.add(squared, i, j.start)
    found = best.exact(one, one, ks)
    return {k: found.squared[:, k - 1] for k in ks}, sums


def _summed(values: Tensor, axis: int) -> NDArray[np.float64]:
    return np.asarray(values.sum(axis).double().cpu())


@dataclass(frozen=True, eq=False)
class _Found:
    rows: NDArray[np.int64]
    squared: NDArray[np.float64]


class _Nearest:
    """The nearest columns of every row, over blocks that come one after the other."""

    def __init__(self, n_rows: int, k: int, device: Any):
        import torch

        self.values = torch.full((n_rows, k), math.inf, dtype=torch.float64, device=device)
        self.rows = torch.full((n_rows, k), -1, dtype=torch.int64, device=device)

    def add(self, squared: Tensor, i: slice, first: int) -> None:
        """Distances of the rows `i` to columns from `first` on."""
        import torch

        values, rows = smallest(squared, min(self.values.shape[1], squared.shape[1]))
        values = torch.cat([self.values[i], values.double()], dim=1)
        rows = torch.cat([self.rows[i], rows + first], dim=1)
        self.values[i], order = torch.topk(values, self.values.shape[1], dim=1, largest=False)
        self.rows[i] = rows.gather(1, order)

    def exact(self, left: _Set, right: _Set, ks: list[int]) -> _Found:
        """Sorted, and exact at the ranks `ks`: whatever is within round-off of such a rank is computed again."""
        values, rows = np.asarray(self.values.cpu()) * left.unit**2, np.asarray(self.rows.cpu())
        slack = left.slack[:, None] + right.slack[rows]
        doubtful = np.zeros(values.shape, dtype=bool)
        for k in ks:
            doubtful |= np.abs(values - values[:, k - 1, None]) <= 2 * slack
        doubtful &= rows >= 0
        i, place = np.nonzero(doubtful)
        values[i, place] = _exact(left, right, i, rows[i, place])
        order = np.argsort(values, axis=1, kind="stable")
        return _Found(np.take_along_axis(rows, order, 1), np.take_along_axis(values, order, 1))


def smallest(table: Tensor, k: int, n_parts: int = 16) -> tuple[Tensor, Tensor]:
    """The k smallest values of every row and their columns, in any order.

    The row is seen as n_parts stripes; the k smallest stand in those k places whose smallest value over the stripes is
    smallest. Finding these takes one pass, a fifth of the time of a selection over the whole row.
    """
    import torch

    n, width = table.shape
    if width < 4 * k * n_parts or width % n_parts:
        return torch.topk(table, k, dim=1, largest=False, sorted=False)
    striped = table.view(n, n_parts, width // n_parts)
    places = torch.topk(striped.amin(1), k, dim=1, largest=False, sorted=False)[1]
    candidates = striped.gather(2, places[:, None, :].expand(n, n_parts, k)).reshape(n, n_parts * k)
    values, which = torch.topk(candidates, k, dim=1, largest=False, sorted=False)
    return values, which // k * (width // n_parts) + places.gather(1, which % k)


class _Across:
    """The pass over fake-real pairs."""

    def __init__(
        self,
        real: _Set,
        fake: _Set,
        radii_real: dict[int, NDArray[np.float64]],
        radii_fake: dict[int, NDArray[np.float64]],
        strict: bool,
        kernel: bool,
    ):
        self.real, self.fake, self.strict, self.kernel = real, fake, strict, kernel
        self.radii_real, self.radii_fake = radii_real, radii_fake
        n, m = len(real.given), len(fake.given)
        self.balls = {k: np.zeros(m, dtype=np.int64) for k in radii_real}
        self.covered = {k: np.zeros(n, dtype=bool) for k in radii_real}
        self.recalled = {k: np.zeros(n, dtype=bool) for k in radii_real}
        self.sums_of_real, self.sums_of_fake = np.zeros(n), np.zeros(m)
        self.best = _Nearest(m, 1 + SPARE, real.rows.device)

    def run(self, block: int) -> None:
        near_real, near_fake = self._widest(self.real, self.radii_real), self._widest(self.fake, self.radii_fake)
        slack_real, slack_fake = self._slack(self.real), self._slack(self.fake)
        for i in blocks(len(self.fake.given), block):
            for j in blocks(len(self.real.given), block):
                squared = _squared(self.fake, self.real, i, j)
                self.best.add(squared, i, j.start)
                if self.balls:
                    near = squared <= near_real[j] + slack_fake[i].max()
                    near.logical_or_(squared <= (near_fake[i] + slack_real[j].max())[:, None])
                    self._decide(squared, near, i.start, j.start)
                if self.kernel:
                    summed = _kernel(squared, self.fake, self.real, i, j)
                    self.sums_of_fake[i] += _summed(summed, 1)
                    self.sums_of_real[j] += _summed(summed, 0)

    def _slack(self, one: _Set) -> Tensor:
        return one.norms.new_tensor(2 * one.slack / one.unit**2)

    def _widest(self, one: _Set, radii: dict[int, NDArray[np.float64]]) -> Tensor:
        """What a distance in a block may be for its pair to be a hit of the largest neighbourhood."""
        return one.norms.new_tensor((radii[max(radii)] + 2 * one.slack) / one.unit**2) if radii else one.norms

    def _decide(self, squared: Tensor, near: Tensor, first_fake: int, first_real: int) -> None:
        """Count hits among pairs that are near; those in doubt are computed again first."""
        rows, columns = near.nonzero(as_tuple=True)
        values = np.asarray(squared[rows, columns].double().cpu()) * self.real.unit**2
        i, j = np.asarray(rows.cpu()) + first_fake, np.asarray(columns.cpu()) + first_real
        slack = 2 * (self.fake.slack[i] + self.real.slack[j])
        doubtful = np.zeros(len(i), dtype=bool)
        for k in self.radii_real:
            doubtful |= np.abs(values - self.radii_real[k][j]) <= slack
            doubtful |= np.abs(values - self.radii_fake[k][i]) <= slack
        values[doubtful] = _exact(self.fake, self.real, i[doubtful], j[doubtful])
        within = np.less if self.strict else np.less_equal
        for k in self.radii_real:
            inside = within(values, self.radii_real[k][j])
            self.balls[k] += np.bincount(i[inside], minlength=len(self.balls[k]))
            self.covered[k][j[inside]] = True
            self.recalled[k][j[within(values, self.radii_fake[k][i])]] = True

    def nearest(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        found = self.best.exact(self.fake, self.real, [1])
        return found.rows[:, 0], found.squared[:, 0]

    def hits(self) -> dict[int, Hits]:
        return {k: Hits(self.balls[k], self.covered[k], self.recalled[k]) for k in self.balls}
