"""Sets of features, their distances and kernel, block by block: in float32, exactly where that is in doubt."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = 2048
"""Rows and columns of a block: 16 MB in float32."""
CHUNK = 2**21
"""Numbers that are subtracted at once when a distance is computed again in float64."""
Dtype = Literal["float32", "float64"]


@dataclass(frozen=True)
class Arithmetic:
    """How blocks are computed.

    dtype   float32 is twice as fast: the same neighbourhoods, kernel sums to some seven digits
    block   rows compared at once; changes memory, not the result
    """

    dtype: Dtype = "float32"
    block: int = BLOCK
    device: str = "cpu"


DEFAULT = Arithmetic()


def blocks(n_rows: int, size: int = BLOCK) -> Iterator[slice]:
    """Slices that cut the rows into blocks; the last one may be shorter."""
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """A set of features, prepared for distances block by block.

    given       float (n, d)    as it came: exact distances are computed from it
    rows        (n, d)          centred and divided by `unit`, in the arithmetic of the blocks
    norms       (n,)            squared norms of `rows`
    slack       float64 (n,)    what each row adds to the error of a squared distance, in units of the features
    unit        float           a power of two, so that dividing by it is exact
    kernel_row  (n,)            what each row adds to the kernel's x·y/d + 1, besides `rows`
    """

    given: NDArray[np.floating]
    rows: Tensor
    norms: Tensor
    slack: NDArray[np.float64]
    unit: float
    kernel_row: Tensor


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
