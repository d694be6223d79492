"""Precision, recall, density, coverage: whose neighbourhoods the other set's images fall into.

The neighbourhood of an image is the ball that reaches to its k-th neighbour in its own set. All pairs are compared
block by block, so memory stays the same however many images there are; time grows as n².
"""

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mep.scores import BLOCK, Score, blocks, check_sets

TIE = 1e-12
"""Squared distances closer than this share of the squared norms are equal: a matrix product of 2,000 dimensions
leaves up to 5e-13, and which of two equal distances it makes the larger changes with the block."""

Floats = NDArray[np.float64]


class Prdc(Score):
    """Precision and recall (Kynkäänniemi et al. 2019, arXiv:1904.06991), density and coverage (Naeem et al. 2020,
    arXiv:2002.09797).

    Precision and density ask whether fakes look real; recall and coverage, whether the fakes reach everything real.
    The balls shrink as a set grows, so compare only values of equal n and m.
    """

    kind: Literal["prdc"]
    k_pr: int = Field(default=3, ge=1)
    """Neighbours that span a ball for precision and recall."""
    k_dc: int = Field(default=5, ge=1)
    """Neighbours that span a ball for density and coverage."""

    better: ClassVar[dict[str, Literal["lower", "higher"]]] = {
        "precision": "higher",
        "recall": "higher",
        "density": "higher",
        "coverage": "higher",
    }

    def minimum(self) -> int:
        """2 k + 1: in a smaller set each ball holds half of the other images and more, and everything is a hit."""
        return 2 * max(self.k_pr, self.k_dc) + 1

    def measure(self, real: NDArray[np.floating], fake: NDArray[np.floating]) -> dict[str, float]:
        return prdc(*check_sets(real, fake, self.minimum()), k_pr=self.k_pr, k_dc=self.k_dc)


def prdc(real: Floats, fake: Floats, *, k_pr: int = 3, k_dc: int = 5, block: int = BLOCK) -> dict[str, float]:
    """Four shares of images within the other set's balls; higher is better.

    real    float64 (n, d)   n > k
    fake    float64 (m, d)   m > k
    block   rows compared at once; changes memory, not the result

    returns precision   share of fakes within a real ball of k_pr, 0 to 1
            recall      share of reals within a fake ball of k_pr, 0 to 1
            density     real balls of k_dc that a fake lies in, on average, over k_dc: 1 is expected of fakes that
                        are like real ones, and there is no upper bound
            coverage    share of real balls of k_dc that hold a fake, 0 to 1; see `expected_coverage`

    The border belongs to the ball, so that exact copies of real images count as such.

    Source  Kynkäänniemi et al. 2019, arXiv:1904.06991; Naeem et al. 2020, arXiv:2002.09797
    """
    centre = real.mean(axis=0)  # far from the origin, |x|² + |y|² - 2 x·y would lose the small distances
    real, fake = real - centre, fake - centre
    nearest_real = _neighbours(real, max(k_pr, k_dc), block)
    real_pr, real_dc = _balls(real, nearest_real[:, k_pr - 1]), _balls(real, nearest_real[:, k_dc - 1])
    fake_pr = _balls(fake, _neighbours(fake, k_pr, block)[:, k_pr - 1])

    precise, recalled, covered = (np.zeros(n, dtype=bool) for n in (len(fake), len(real), len(real)))
    n_hits = 0
    for i in blocks(len(fake), block):
        for j in blocks(len(real), block):
            squared = _squared_distances(fake[i], real[j])
            precise[i] |= (squared <= real_pr[j]).any(axis=1)
            recalled[j] |= (squared <= fake_pr[i, None]).any(axis=0)
            hits = squared <= real_dc[j]
            covered[j] |= hits.any(axis=0)
            n_hits += int(np.count_nonzero(hits))
    return {
        "precision": float(precise.mean()),
        "recall": float(recalled.mean()),
        "density": n_hits / (k_dc * len(fake)),
        "coverage": float(covered.mean()),
    }


def expected_coverage(n: int, m: int, k: int) -> float:
    """Coverage to expect when n real and m fake images come from the same distribution, whatever that is.

    A ball of k neighbours misses all fakes when the k images nearest to its centre, out of the n - 1 other reals and
    m fakes, are all real; under exchangeability each order is as likely as any other.

    Source  Naeem et al. 2020, arXiv:2002.09797
    """
    ranks = np.arange(k)
    return float(1 - np.prod((n - 1 - ranks) / (n + m - 1 - ranks)))


def _squared_distances(left: Floats, right: Floats) -> Floats:
    """All pairs, (len(left), len(right)); round-off can put equal rows a little below 0, within `TIE`."""
    squared = -2 * (left @ right.T)
    squared += (left * left).sum(axis=1)[:, None]
    squared += (right * right).sum(axis=1)
    return squared


def _neighbours(rows: Floats, k: int, block: int) -> Floats:
    """Squared distances to the k nearest other rows, (n, k), nearest first; each pair is computed once."""
    nearest = np.full((len(rows), k), np.inf)
    for i in blocks(len(rows), block):
        for j in blocks(i.stop, block):
            squared = _squared_distances(rows[i], rows[j])
            if i == j:
                np.fill_diagonal(squared, np.inf)  # nobody is their own neighbour
            else:
                nearest[j] = _smallest(nearest[j], squared.T)
            nearest[i] = _smallest(nearest[i], squared)
    return np.sort(nearest, axis=1)


def _smallest(known: Floats, more: Floats) -> Floats:
    """Each row's k smallest of k known values and more, in any order."""
    k = known.shape[1]
    return np.partition(np.concatenate([known, more], axis=1), k - 1, axis=1)[:, :k]


def _balls(centres: Floats, squared_radii: Floats) -> Floats:
    """Squared radii, widened so that what lies on the border by all digits lies within.

    Whatever lies within r of x has a norm of at most |x| + r, so the round-off of their distance is of the order of
    (|x| + r)², which is below 2 (|x|² + r²).
    """
    return squared_radii + TIE * ((centres * centres).sum(axis=1) + squared_radii)
