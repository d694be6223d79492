"""The kernel distance: no Gaussian is assumed, its expectation does not depend on n, and it may be negative."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from mep.methods.scores import Better, PairScore, Rows, check_sets
from mep.statistics.distances import Arithmetic
from mep.statistics.influence import Influence, error_of_difference, error_of_one, influence_of
from mep.statistics.pairwise import KernelSums, PairwiseResult, compare

if TYPE_CHECKING:
    from mep.artifacts.score_row import JsonObject

KERNEL = "(x·y/d + 1)³"


class Kid(PairScore):
    """Kernel distance over all pairs (Bińkowski et al. 2018, arXiv:1801.01401), unbiased and without subsets."""

    kind: Literal["kid"]

    better: ClassVar[Better] = {"kid": "lower"}
    kernel: ClassVar[bool] = True
    smooth: ClassVar[bool] = True
    gap: ClassVar[bool] = True
    grouped: ClassVar[bool] = True

    def minimum(self) -> int:
        """3: with one image left out, a set of 2 has no pair, and so no error."""
        return 3

    def read(self, pairs: PairwiseResult) -> dict[str, float]:
        assert pairs.kernel is not None
        return {"kid": distance_of(pairs.kernel)}

    def influences(self, pairs: PairwiseResult) -> dict[str, Influence]:
        assert pairs.kernel is not None
        return {"kid": influence_of(pairs.kernel)}

    def null(self, real: Rows, fake: Rows, train: Rows | None, *, seed: int) -> dict[str, float]:
        return {"kid": 0.0}

    def protocol(self, metric: str) -> JsonObject:
        return {"kernel": KERNEL}


def kernel_distance(real: Rows, fake: Rows) -> float:
    """Unbiased squared maximum mean discrepancy under the kernel (x·y/d + 1)³; around 0 when alike, lower is closer.

    returns     may be negative: only its expectation is not; tables multiply it by 1000

    Source  Gretton et al. 2012, JMLR 13:723, their unbiased U-statistic; Bińkowski et al. 2018, arXiv:1801.01401
    """
    return distance_of(_sums(real, fake, 2))


def kernel_distance_error(real: Rows, fake: Rows) -> float:
    """Standard error of `kernel_distance`, in closed form; see `mep.statistics.influence`.

    returns     95 % intervals built with it: how often they hold the truth is in docs/metrics.md

    DataError   fewer than 3 rows: with one left out, a set of 2 has no pair
    """
    return error_of_one(influence_of(_sums(real, fake, 3)))


def kernel_difference(real: Rows, fake_a: Rows, fake_b: Rows) -> tuple[float, float]:
    """Kernel distance of arm a minus that of arm b to the same real images, and its standard error.

    real            (n, d)
    fake_a, fake_b  (m, d), (l, d)  independent of each other

    returns     the difference over its error is close to normal where the two distances are equal, whether or not the
                arms are: shuffling the images of both arms, which supposes that, finds a difference in half of the
                experiments where two arms lie equally far to opposite sides

    DataError   fewer than 3 rows
    """
    sums = [_sums(real, fake, 3) for fake in (fake_a, fake_b)]
    a, b = (influence_of(of_arm) for of_arm in sums)
    return distance_of(sums[0]) - distance_of(sums[1]), error_of_difference(a, b)


def _sums(real: Rows, fake: Rows, minimum: int) -> KernelSums:
    sums = compare(*check_sets(real, fake, minimum), ks=(), arithmetic=Arithmetic("float64")).kernel
    assert sums is not None
    return sums


def distance_of(sums: KernelSums) -> float:
    """The kernel distance from row sums of the kernel."""
    n, m = len(sums.real), len(sums.fake)
    within = sums.real.sum() / (n * (n - 1)) + sums.fake.sum() / (m * (m - 1))
    return float(within - 2 * sums.across_of_real.sum() / (n * m))
