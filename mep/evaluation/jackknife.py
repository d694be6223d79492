"""How certain a score is: the delete-half jackknife.

A score is measured again on random halves of both sets, drawn without replacement. For a mean of n values the spread
of such halves is exactly the standard error of the whole. In simulations (d = 128, n of 300 and 1000) it was within
3 % of the true one for Fréchet distances, and between 13 % below and 31 % above it for neighbour shares.

A bootstrap is not an alternative here. It draws with replacement, so that 37 % of the images are missing and others
come twice: a covariance loses rank, and the nearest neighbour of a doubled image is its own copy at distance 0. That
shifts the scores themselves, by far more than they vary: in simulations a Fréchet distance of 10.5 became 19.1 on
average, with a percentile interval from 18.1 to 20.2, and a coverage of 0.85 became 0.60. Halves hold no image twice.

Halves are smaller sets, and on smaller sets Fréchet distances are larger. So only the spread of the halves is used:
an interval is centred at the value of the whole set, and it speaks of the score at this n. For the same reason two
arms are compared through the differences of their halves, on the same real halves: what real images happen to be in
a half, and what its size adds, is then the same for both and cancels.

Images of one slide or patient are not independent, so where the groups are known a half is made of whole groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mep.methods.scores import Score, measure_all

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_HALVES = 40
"""Random halves of the delete-half jackknife."""

REAL, FAKE = 0, 1
"""Streams of the generator: sets of equal length must not be cut the same way."""


@dataclass(frozen=True)
class EvaluationSettings:
    """How every number is measured.

    seed        of draws and halves
    n_halves    0 leaves the uncertainty out
    device      where distances of all pairs are computed
    """

    seed: int
    n_halves: int = N_HALVES
    device: str = "cpu"


def jackknife(
    scores: Sequence[Score],
    real: NDArray[np.floating],
    fake: NDArray[np.floating],
    settings: EvaluationSettings,
    groups: NDArray[np.int64] | None = None,
) -> list[dict[str, NDArray[np.float64]]]:
    """The scores on random halves of both sets: metric -> float64 (n_halves,), in the order of the scores.

    real    float (n, d)    its halves depend on the seed and n only, so all arms share them
    fake    float (m, d)    its halves depend on the seed and m only, so arms that draw their images from the same
                            noise, row by row, stay paired
    groups  int64 (n,)      slide or patient of every real row; a half is then made of whole groups

    A metric for which some half is too small is absent. All scores share one pass over the pairs of a half.
    """
    seed = settings.seed
    measured = [
        measure_all(
            scores,
            real[half(len(real), index, seed, REAL, groups)],
            fake[half(len(fake), index, seed, FAKE)],
            device=settings.device,
        )
        for index in range(settings.n_halves)
    ]
    per_score = []
    for place, score in enumerate(scores):
        values = [scores_of_half[place].values for scores_of_half in measured]
        complete = [metric for metric in score.better if all(metric in on_half for on_half in values)]
        per_score.append({metric: np.array([on_half[metric] for on_half in values]) for metric in complete})
    return per_score


def half(n_rows: int, index: int, seed: int, stream: int, groups: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """Sorted rows of a random half, each at most once: n_rows // 2 of them, or those of half of the groups."""
    if groups is None:
        rng = np.random.default_rng([seed, stream, n_rows, index])
        return np.sort(rng.permutation(n_rows)[: n_rows // 2])
    names = np.unique(groups)
    if len(names) == n_rows:
        return half(n_rows, index, seed, stream)
    return np.flatnonzero(np.isin(groups, names[half(len(names), index, seed, stream)]))
