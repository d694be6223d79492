"""Distances between sets of features and the nearest rows, block by block: float32, exact where that is in doubt."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

BLOCK = 2048  # rows and columns of a block: 16 MB in float32
CHUNK = 2**21  # numbers that are subtracted at once when a distance is computed again in float64
SPARE = 3  # neighbours kept beyond the last that is asked for, so that float32 may confuse their order
Dtype = Literal["float32", "float64"]


@dataclass(frozen=True)
class Arithmetic:
    """How blocks are computed."""

    dtype: Dtype = "float32"  # twice as fast: the same neighbourhoods, kernel sums to some seven digits
    block: int = BLOCK  # rows compared at once; changes memory, not the result
    device: str = "cpu"


DEFAULT = Arithmetic()


def blocks(n_rows: int, size: int = BLOCK) -> Iterator[slice]:
    """Slices that cut the rows into blocks; the last one may be shorter."""
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """A set of features, prepared for distances block by block."""

    given: NDArray[np.floating]  # (n, d), as it came: exact distances are computed from it
    rows: Tensor  # (n, d), centred and divided by `unit`, in the arithmetic of the blocks
    norms: Tensor  # (n,), squared norms of `rows`
    slack: NDArray[np.float64]  # (n,), what a row adds to the error of a squared distance, in units of the features
    unit: float  # a power of two, so that dividing by it is exact
    kernel_row: Tensor  # (n,), what each row adds to the kernel's x·y/d + 1, besides `rows`


def prepare(
    real: NDArray[np.floating], fake: NDArray[np.floating], arithmetic: Arithmetic
) -> tuple[FeatureSet, FeatureSet]:
    """Both sets around the mean of the first, in a common unit."""
    centre = real.mean(axis=0, dtype=np.float64)
    chunks = (rows[part] for rows in (real, fake) for part in _chunks(rows))
    spread = max(float(np.abs(chunk - centre).max(initial=0.0)) for chunk in chunks)
    unit = 2.0 ** math.floor(math.log2(spread)) if spread > 0 else 1.0
    return _prepared(real, centre, unit, arithmetic), _prepared(fake, centre, unit, arithmetic)


def _chunks(rows: NDArray[np.floating]) -> Iterator[slice]:
    return blocks(len(rows), max(1, CHUNK // rows.shape[1]))


def _prepared(
    given: NDArray[np.floating], centre: NDArray[np.float64], unit: float, arithmetic: Arithmetic
) -> FeatureSet:
    import torch

    n, d = given.shape
    rows, norms, beside = np.empty((n, d), dtype=arithmetic.dtype), np.empty(n), np.empty(n)
    for part in _chunks(given):
        centred = (given[part] - centre) / unit
        rows[part] = centred
        norms[part] = np.einsum("nd,nd->n", rows[part], rows[part], dtype=np.float64)
        beside[part] = centred @ (centre / unit)
    # A product of d terms is off by √d roundings or so; four times that is never reached, and costs next to nothing.
    slack = (8 + 4 * math.sqrt(d)) * float(np.finfo(arithmetic.dtype).eps) * norms * unit**2
    # x·y of the rows as given, from the centred: x_c·y_c + x_c·c + y_c·c + |c|², half of |c|² a side
    kernel_row = (beside * unit**2 + float(centre @ centre) / 2) / d + 0.5
    dtype = getattr(torch, arithmetic.dtype)

    def on_device(values: NDArray[np.floating]) -> Tensor:
        return torch.as_tensor(values, dtype=dtype, device=arithmetic.device)

    return FeatureSet(given, on_device(rows), on_device(norms), slack, unit, on_device(kernel_row))


def squared_distances(left: FeatureSet, right: FeatureSet, i: slice, j: slice) -> Tensor:
    """Squared distances of a block in units of `unit`², with round-off: those of equal rows may be below 0."""
    import torch

    squared = torch.addmm(right.norms[j], left.rows[i], right.rows[j].T, alpha=-2)
    return squared.add_(left.norms[i, None])


def exact_distances(
    left: FeatureSet, right: FeatureSet, i: NDArray[np.int64], j: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Squared distances of the pairs (i, j), from the features as they were given, in float64."""
    squared = np.empty(len(i))
    for part in blocks(len(i), max(1, CHUNK // left.given.shape[1])):
        difference = left.given[i[part]].astype(np.float64)
        difference -= right.given[j[part]]
        squared[part] = np.square(difference, out=difference).sum(axis=1)
    return squared


def kernel_of(squared: Tensor, left: FeatureSet, right: FeatureSet, i: slice, j: slice) -> Tensor:
    """The kernel of a block, from its squared distances."""
    import torch

    half = left.unit**2 / (2 * left.rows.shape[1])  # x_c·y_c = (|x_c|² + |y_c|² - |x - y|²) / 2
    base = torch.add(right.norms[j] * half + right.kernel_row[j], squared, alpha=-half)
    base.add_((left.norms[i] * half + left.kernel_row[i])[:, None])
    return (base * base).mul_(base)  # ten times faster than ** 3


def nearest_rows(
    queries: NDArray[np.floating],
    base: NDArray[np.floating],
    k: int = 1,
    *,
    skip: NDArray[np.int64] | None = None,
    arithmetic: Arithmetic = DEFAULT,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Rows of the k nearest base images of every query, int64 (m, k), and squared distances, float64 (m, k), exact.

    skip    int64 (m,)   for every query, a base row that does not count, such as the query itself
    """
    base_set, query_set = prepare(base, queries, arithmetic)
    nearest = NearestRows(len(queries), k + SPARE, base_set.rows.device)
    for i in blocks(len(queries), arithmetic.block):
        for j in blocks(len(base), arithmetic.block):
            squared = squared_distances(query_set, base_set, i, j)
            if skip is not None:
                here = np.flatnonzero((skip[i] >= j.start) & (skip[i] < j.stop))
                squared[here, skip[i][here] - j.start] = math.inf
            nearest.add(squared, i, j.start)
    rows, squared_rows = nearest.exact(query_set, base_set, list(range(1, k + 1)))
    return rows[:, :k], squared_rows[:, :k]


class NearestRows:
    """The nearest columns of every row, over blocks that come one after the other."""

    def __init__(self, n_rows: int, k: int, device: torch.device):
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

    def exact(
        self, left: FeatureSet, right: FeatureSet, ks: list[int]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Rows and squared distances, the nearest first; what lies within round-off of ranks `ks` is exact."""
        values, rows = np.asarray(self.values.cpu()) * left.unit**2, np.asarray(self.rows.cpu())
        slack = left.slack[:, None] + right.slack[rows]
        doubtful = np.zeros(values.shape, dtype=bool)
        for k in ks:
            doubtful |= np.abs(values - values[:, k - 1, None]) <= 2 * slack
        doubtful &= rows >= 0
        i, place = np.nonzero(doubtful)
        values[i, place] = exact_distances(left, right, i, rows[i, place])
        order = np.argsort(values, axis=1, kind="stable")
        return np.take_along_axis(rows, order, 1), np.take_along_axis(values, order, 1)


def smallest(table: Tensor, k: int, n_parts: int = 16) -> tuple[Tensor, Tensor]:
    """The k smallest values of every row and their columns, in any order.

    They stand in those k places whose smallest value over n_parts stripes is smallest: a fifth of the time of a topk.
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
