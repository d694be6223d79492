"""How certain a score is: its error from halves of both sets.

The error of a score comes from halves: it is measured again on random halves of both sets, and on what they leave over.
How far a half and the rest lie apart, less how far their mean lies from that of other halves, is the variance of the
whole set (`mep.statistics.intervals.standard_error`). How often such intervals hold the truth was measured:
docs/metrics.md.

A bootstrap is not an alternative here. It draws with replacement, so that 37 % of the images are missing and others
come twice: a covariance loses rank, and the nearest neighbour of a doubled image is its own copy at distance 0. That
shifts the scores themselves, by far more than they vary: in simulations a Fréchet distance of 10.5 became 19.1 on
average, with a percentile interval from 18.1 to 20.2, and a coverage of 0.85 became 0.60. Halves hold no image twice.

Halves are smaller sets, and on smaller sets Fréchet distances are larger. So only the spread of the halves is used:
an interval is centred at the value of the whole set, and it speaks of the score at this n.

Images of one slide or patient are not independent, so where the groups are known a half is made of whole groups.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mep.methods.scores import Rows, Score, measure_all
from mep.statistics.intervals import standard_error

Groups: TypeAlias = NDArray[np.int64]
"""The slide or patient of every real image, int64 (n,)."""
Halves: TypeAlias = NDArray[np.float64]
"""A metric on random halves and on the rest of each, float64 (pairs, 2); nan where it has none."""
REAL, FAKE = 0, 1
"""Streams of the generator: sets of equal length must not be cut the same way."""


@dataclass(frozen=True)
class EvaluationSettings:
    """How every number is measured, on so many halves in pairs: each random half and what it leaves over; 0 leave the
    uncertainty out."""

    seed: int
    n_halves: int
    device: str = "cpu"


def jackknife(
    scores: Sequence[Score],
    real: Rows,
    fake: Rows,
    settings: EvaluationSettings,
    groups: Groups | None = None,
    *,
    paired: bool = False,
) -> list[dict[str, Halves]]:
    """The scores on random halves of both sets and on the rest, in the order of the scores: metric -> (pairs, 2).

    real    float (n, d)    its halves depend on the seed and n only, so all arms share them
    fake    float (m, d)    its halves depend on the seed and m only, so arms that draw their images from the same
                            noise, row by row, stay paired
    groups  int64 (n,)      a half is then made of whole groups
    paired                  the second set is of the images of the first, row by row: both are cut alike

    A metric for which some half is too small is absent. All scores share one pass over the pairs of a half.
    Of scores that are not smooth only the differences within the pairs are kept, see `levelled`.
    """
    measured = []
    for index in range(settings.n_halves // 2):
        halves_real = cut(len(real), index, settings.seed, REAL, groups)
        halves_fake = halves_real if paired else cut(len(fake), index, settings.seed, FAKE)
        for of_real, of_fake in zip(halves_real, halves_fake, strict=True):
            measured.append(measure_all(scores, real[of_real], fake[of_fake], device=settings.device))
    return [
        {
            metric: _on_halves(score, np.array([one.values[metric] for one in of_score]))
            for metric in score.better
            if all(metric in one.values for one in of_score)
        }
        for score, of_score in zip(scores, zip(*measured, strict=True), strict=True)
    ]


def _on_halves(score: Score, values: NDArray[np.float64]) -> Halves:
    values = values.reshape(-1, 2)
    return values if score.smooth else levelled(values)


def levelled(values: Halves) -> Halves:
    """Halves with one mean in all pairs, so that nothing is taken off the spread of their differences.

    Precision, recall and coverage on a half are not what single images and pairs of images make of them. In simulations
    (n = 200, d = 64) their error is that of the differences alone; less the spread of the means it was a fifth to a
    third too small.
    """
    return np.asarray(values - values.mean(axis=1, keepdims=True) + values.mean())


def cut(
    n_rows: int, index: int, seed: int, stream: int, groups: Groups | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sorted rows of a random half and of the rest, n_rows // 2 each, or those of half of the groups."""
    names = None if groups is None else np.unique(groups)
    if groups is not None and names is not None and len(names) < n_rows:
        first, second = cut(len(names), index, seed, stream)
        return np.flatnonzero(np.isin(groups, names[first])), np.flatnonzero(np.isin(groups, names[second]))
    order = np.random.default_rng([seed, stream, n_rows, index]).permutation(n_rows)
    size = n_rows // 2
    return np.sort(order[:size]), np.sort(order[size : 2 * size])


def spread(values: Halves, n_axes: int = 0) -> Halves:
    """Standard error of the whole from pairs of halves (..., pairs, 2), or from resamples (..., s).

    n_axes  axes before these
    """
    if values.ndim - n_axes == 2:
        return standard_error(values)
    return np.asarray(np.std(values, axis=-1, ddof=1))


def freedom_of(values: Halves) -> int | None:
    """Degrees of freedom behind the error from pairs of halves; None for resamples, which are many."""
    return len(values) - 1 if values.ndim == 2 else None
