"""Whether two arms differ: intervals and tests of the difference of their scores.

The errors of scores come from the delete-half jackknife, as `mep.evaluation.jackknife` explains. The intervals of a
single run say that two sets of images differ, not that two ways of training do. That takes several trainings an arm,
`seeds: n` in a recipe, and `paired_by_seed`. Where many metrics are tested, `holm` keeps the chance of one false alarm
among them at the level of one test.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mep.errors import DataError
from mep.statistics.intervals import Z_95, standard_error

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEWEST_SEEDS = 3
"""Trainings an arm below which nothing is said about the method: two leave an interval 12.7 errors wide."""


@dataclass(frozen=True)
class Difference:
    """One arm's score minus another's, the 95 % interval from low to high, and the p-value of no difference."""

    value: float
    se: float
    low: float
    high: float
    p: float = math.nan


@dataclass(frozen=True)
class SeedDifference:
    """One arm minus another over several trainings, paired by seed.

    value       mean of the differences
    low, high   95 % t-interval of it; None with fewer than two pairs
    p           of the paired t-test; None with fewer than two pairs
    values      the difference of every pair, by seed
    supported   whether there are trainings enough (three) to speak of the method at all
    sentence    what may be said, in plain words
    """

    value: float
    low: float | None
    high: float | None
    p: float | None
    values: dict[int, float]
    supported: bool
    sentence: str


def difference(
    halves_a: NDArray[np.float64], halves_b: NDArray[np.float64], value_a: float, value_b: float
) -> Difference:
    """Arm a minus arm b with a normal 95 % interval, the real halves shared.

    halves_a, halves_b   float64 (s,)   one metric of `halves`, both with the same seed and the same real set
    value_a, value_b     the metric on the whole sets, equally many images in both arms

    DataError            unlike numbers of halves
    """
    if len(halves_a) != len(halves_b):
        raise DataError(
            f"one arm was measured on {len(halves_a)} halves, the other on {len(halves_b)}",
            hint="measure both arms with the same recipe",
        )
    value, se = value_a - value_b, standard_error(halves_a - halves_b)
    return Difference(value, se, value - Z_95 * se, value + Z_95 * se, _two_sided(value, se))


def _two_sided(value: float, se: float) -> float:
    """Chance of a value this far from 0 when 0 is true and the error normal."""
    if se == 0:
        return 1.0 if value == 0 else 0.0
    return math.erfc(abs(value) / se / math.sqrt(2))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted so that the chance of any false alarm among them is at most the level; in the given order.

    Source  Holm 1979, Scand. J. Stat. 6:65
    """
    adjusted, running = [math.nan] * len(p_values), 0.0
    tested = [row for row in range(len(p_values)) if not math.isnan(p_values[row])]
    for rank, row in enumerate(sorted(tested, key=lambda row: p_values[row])):
        running = max(running, min(1.0, (len(tested) - rank) * p_values[row]))
        adjusted[row] = running
    return adjusted


def paired_by_seed(values_a: Mapping[int, float], values_b: Mapping[int, float]) -> SeedDifference:
    """Arm a minus arm b over the trainings that both have, paired by seed or repeat: what speaks of the method.

    values_a, values_b  repeat -> score, one metric under one protocol

    DataError           no repeat that both have
    """
    seeds = sorted(set(values_a) & set(values_b))
    if not seeds:
        raise DataError("the two arms have no training seed in common", hint="repeat both with seeds: n")
    values = {seed: values_a[seed] - values_b[seed] for seed in seeds}
    n, mean = len(seeds), float(np.mean(list(values.values())))
    if n == 1:
        claim = "this compares two sets of images and cannot support a claim about the method"
        return SeedDifference(mean, None, None, None, values, False, f"one training seed an arm: {claim}")
    from scipy import stats

    se = float(np.std(list(values.values()), ddof=1)) / math.sqrt(n)
    reach = float(stats.t.ppf(0.975, n - 1)) * se
    p = float(2 * stats.t.sf(abs(mean) / se, n - 1)) if se > 0 else float(mean == 0)
    low, high = mean - reach, mean + reach
    if n < FEWEST_SEEDS:
        sentence = f"{n} training seeds an arm are too few for a claim about the method; {FEWEST_SEEDS} are the least"
    elif low <= 0 <= high:
        sentence = f"over {n} training seeds the methods cannot be told apart"
    else:
        sentence = f"over {n} training seeds the methods differ"
    return SeedDifference(mean, low, high, p, values, n >= FEWEST_SEEDS, sentence)
