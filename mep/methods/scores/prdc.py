"""Precision, recall, density, coverage: whose balls, up to the k-th neighbour, the other set's images fall into."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from mep.errors import DataError
from mep.methods.scores import Better, PairScore, Rows, check_sets
from mep.statistics.distances import BLOCK, Arithmetic, blocks, nearest_rows
from mep.statistics.pairwise import PairwiseResult, compare

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mep.artifacts.score_row import JsonObject


class Prdc(PairScore):
    """Precision and recall (Kynkäänniemi et al. 2019, arXiv:1904.06991), density and coverage (Naeem et al. 2020,
    arXiv:2002.09797).

    Precision and density ask whether fakes look real; recall and coverage, whether the fakes reach everything real.
    The balls shrink as a set grows, so compare only values of equal n and m.
    """

    kind: Literal["prdc"]
    k_pr: int = Field(default=3, ge=1, le=1_000_000)
    """Neighbours that span a ball for precision and recall."""
    k_dc: int = Field(default=5, ge=1, le=1_000_000)
    """Neighbours that span a ball for density and coverage."""

    better: ClassVar[Better] = dict.fromkeys(("precision", "recall", "density", "coverage"), "higher")
    grouped: ClassVar[bool] = True

    def minimum(self) -> int:
        """2 k + 1: in a smaller set each ball holds half of the other images and more, and everything is a hit."""
        return 2 * max(self.k_pr, self.k_dc) + 1

    def neighbourhoods(self) -> tuple[int, ...]:
        return (self.k_pr, self.k_dc)

    def read(self, pairs: PairwiseResult) -> dict[str, float]:
        return shares(pairs, self.k_pr, self.k_dc)

    def null(self, real: Rows, fake: Rows, train: Rows | None, *, seed: int) -> dict[str, float]:
        if len(real) <= self.k_dc:
            raise DataError(f"{len(real)} real images have no {self.k_dc} neighbours each")
        return {"density": 1.0, "coverage": expected_coverage(len(real), len(fake), self.k_dc)}

    def protocol(self, metric: str) -> JsonObject:
        return {"k": self.k_pr if metric in ("precision", "recall") else self.k_dc}


def prdc(
    real: Rows, fake: Rows, *, k_pr: int = 3, k_dc: int = 5, strict: bool = False, block: int = BLOCK
) -> dict[str, float]:
    """Four shares of images within the other set's balls; higher is better.

    strict  whether the border is outside, as the package prdc has it; it belongs to the ball otherwise, so that exact
            copies of real images count as such
    block   rows compared at once; changes memory, not the result

    returns precision   share of fakes within a real ball of k_pr, 0 to 1
            recall      share of reals within a fake ball of k_pr, 0 to 1
            density     real balls of k_dc that a fake lies in, on average, over k_dc: 1 is expected of fakes that
                        are like real ones, and there is no upper bound
            coverage    share of real balls of k_dc that hold a fake, 0 to 1; see `expected_coverage`

    Source  Kynkäänniemi et al. 2019, arXiv:1904.06991; Naeem et al. 2020, arXiv:2002.09797
    """
    check_sets(real, fake, max(k_pr, k_dc) + 1)
    pairs = compare(real, fake, ks=(k_pr, k_dc), strict=strict, kernel=False, arithmetic=Arithmetic(block=block))
    return shares(pairs, k_pr, k_dc)


def shares(pairs: PairwiseResult, k_pr: int, k_dc: int) -> dict[str, float]:
    """The four of them from a pass over all pairs."""
    near, wide = pairs.hits[k_pr], pairs.hits[k_dc]
    return {
        "precision": float((near.balls > 0).mean()),
        "recall": float(near.recalled.mean()),
        "density": int(wide.balls.sum()) / (k_dc * len(wide.balls)),
        "coverage": float(wide.covered.mean()),
    }


def expected_coverage(n: int, m: int, k: int) -> float:
    """Coverage to expect when n real and m fake images come from the same distribution, whatever that is.

    A ball of k neighbours misses all fakes when the k images nearest to its centre, out of the n - 1 other reals and
    m fakes, are all real; under exchangeability each order is as likely as any other. Needs n > k.

    Source  Naeem et al. 2020, arXiv:2002.09797
    """
    ranks = np.arange(k)
    return float(1 - np.prod((n - 1 - ranks) / (n + m - 1 - ranks)))


def realism(real: Rows, fake: Rows, *, k: int = 3) -> NDArray[np.float64]:
    """How near every fake is to some real image, on the scale of that image's ball; 1 and more is within, float64 (m,).

    Balls wider than the median are left out: they are those of lonely images, and everything lies within.

    Source  Kynkäänniemi et al. 2019, arXiv:1904.06991, their realism score
    """
    real, fake = (rows.astype(np.float64) for rows in check_sets(real, fake, k + 1))
    radii = nearest_rows(real, real, k, skip=np.arange(len(real)), arithmetic=Arithmetic("float64"))[1][:, -1]
    kept = np.flatnonzero(radii <= np.median(radii))
    centre = real.mean(axis=0)
    inner, outer = real[kept] - centre, fake - centre
    realisms = np.zeros(len(fake))
    for i in blocks(len(fake)):
        squared = (outer[i] ** 2).sum(1)[:, None] + (inner**2).sum(1) - 2 * (outer[i] @ inner.T)
        with np.errstate(divide="ignore", invalid="ignore"):  # a copy of a real image is infinitely real
            realisms[i] = np.nan_to_num(radii[kept] / np.maximum(squared, 0), nan=1.0, posinf=np.inf).max(axis=1)
    return np.sqrt(realisms)
