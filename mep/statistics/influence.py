"""How certain a kernel distance is, and a difference of two of them, in closed form.

Leaving out one image at a time tells what every image adds. What *pairs* of images add beyond their two images is then
counted twice, once for each of them; where both sets are alike there is nothing else, and the jackknife's variance is
twice the true one. So the part of the pairs, which has a closed form too, is taken off once.

Two arms share their real images. These are recognised by their features, so that an image that both arms were compared
with cancels, and one that only one of them was compared with does not.

Source  the expansion: Hoeffding 1948, Ann. Math. Stat. 19:293; the jackknife's surplus: Efron & Stein 1981, Ann. Stat.
        9:586; the difference of two distances to shared real images: Bounliphone et al. 2016, arXiv:1511.04581
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mep.statistics.pairwise import KernelSums

Floats: TypeAlias = "NDArray[np.float64]"
Keys: TypeAlias = "NDArray[np.uint64]"


@dataclass(frozen=True, eq=False)
class Influence:
    """What stands behind the error of one distance.

    real        float64 (n,)    what leaving out each real image changes; the squares add up to a variance
    keys        uint64 (n,)     the real images, by their features
    fake        variance from the generated images, one left out at a time
    pairs_real  variance from pairs of real images, which the squares count twice
    pairs_fake  variance from pairs with a generated image in them, counted twice as well
    """

    real: Floats
    keys: Keys
    fake: float
    pairs_real: float
    pairs_fake: float


def influence_of(sums: KernelSums, keys: Keys | None = None) -> Influence:
    """The parts of the error of a kernel distance; without keys real images are told apart by their place."""
    n, m = len(sums.real), len(sums.fake)
    of_real = _left_out(sums.real, sums.across_of_real, m)
    of_fake = _left_out(sums.fake, sums.across_of_fake, n)
    within_real = 2 / (n * (n - 1)) * _within(sums.real, sums.squares[0], sums.offset)
    within_fake = 2 / (m * (m - 1)) * _within(sums.fake, sums.squares[1], sums.offset)
    across = 4 / (n * m) * _across(sums.across_of_real, sums.across_of_fake, sums.squares[2], sums.offset)
    keys = np.arange(n, dtype=np.uint64) if keys is None else keys
    return Influence(of_real, keys, float(of_fake @ of_fake), within_real, within_fake + across)


def error_of_one(influence: Influence) -> float:
    """Standard error of one distance."""
    counted = float(influence.real @ influence.real) + influence.fake
    return _error(counted, influence.pairs_real + influence.pairs_fake)


def error_of_difference(a: Influence, b: Influence) -> float:
    """Standard error of distance a minus distance b, whose generated images are independent."""
    keys, places = np.unique(np.concatenate([a.keys, b.keys]), return_inverse=True)
    moved = np.zeros(len(keys))
    np.add.at(moved, places, np.concatenate([a.real, -b.real]))
    apart = 2 * len(keys) / (len(a.keys) + len(b.keys)) - 1  # 0 where all real images are shared, 1 where none is
    pairs = a.pairs_fake + b.pairs_fake + apart * (a.pairs_real + b.pairs_real)
    return _error(float(moved @ moved) + a.fake + b.fake, pairs)


def keys_of(rows: NDArray[np.floating]) -> Keys:
    """A number for every row that rows of the same values share, uint64 (n,)."""
    rows = np.ascontiguousarray(rows)
    digests = b"".join(hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in rows)
    return np.frombuffer(digests, dtype=np.uint64)


def _error(counted: float, pairs: float) -> float:
    """The pairs are at most half of what was counted: the rest is never negative."""
    return math.sqrt(max(counted - pairs, counted / 2))


def _left_out(within: Floats, across: Floats, n_others: int) -> Floats:
    """How leaving out each row moves the distance, scaled so that the squares add up to the jackknife's variance."""
    n = len(within)
    values = (within.sum() - 2 * within) / ((n - 1) * (n - 2)) - 2 * (across.sum() - across) / ((n - 1) * n_others)
    return np.asarray((values - values.mean()) * math.sqrt((n - 1) / n))


def _within(sums: Floats, squares: float, offset: float) -> float:
    """Variance of the kernel of two images of a set that neither image alone explains; unbiased, 0 for fewer than 4.

    Source  Székely & Rizzo 2014, Ann. Stat. 42:2382, U-centring
    """
    n = len(sums)
    if n < 4:
        return 0.0
    sums = sums - (n - 1) * offset
    rest = squares - 2 / (n - 2) * float(sums @ sums) + float(sums.sum()) ** 2 / ((n - 1) * (n - 2))
    return max(rest, 0.0) / (n * (n - 3))


def _across(of_rows: Floats, of_columns: Floats, squares: float, offset: float) -> float:
    """The same of a real and a generated image: the interaction of a table of two factors."""
    n, m = len(of_rows), len(of_columns)
    of_rows, of_columns = of_rows - m * offset, of_columns - n * offset
    explained = float(of_rows @ of_rows) / m + float(of_columns @ of_columns) / n - float(of_rows.sum()) ** 2 / (n * m)
    return max(squares - explained, 0.0) / ((n - 1) * (m - 1))
