"""Power: the smallest difference that a comparison finds, and how many trainings a difference takes.

A comparison over seeds is a paired t-test of the differences of n seeds. Its power is exact under a normal spread: the
test statistic follows the noncentral t distribution with n - 1 degrees of freedom.

Source  Cohen 1988, Statistical Power Analysis, chapter 2; the same numbers as G*Power 3 (Faul et al. 2007, Behavior
        Research Methods 39:175) for "difference between two dependent means"
"""

import math
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from mep.statistics.intervals import level_at_once, quantile

LEVEL, POWER = 0.05, 0.8
"""Two-sided level of a test, and how often it is to find what is there: the usual ones."""
MOST_SEEDS = 10_000
"""Trainings beyond which nobody counts."""
TAIL, TURN, N_NODES = 1e-12, np.array([-9.0, 0.0, 9.0]), 32
"""Of a sum over standard errors: the share left out at either end, the pieces in which it is taken, nodes of each."""


def detectable(se: float, freedom: float | None = None, level: float = LEVEL, power: float = POWER) -> float:
    """The smallest true difference that a two-sided test finds with the given power, in the unit of `se`.

    se          standard error of the difference that is tested
    freedom     degrees of freedom behind the standard error, pairs - 1 of a paired t-test; None: a normal test

    returns     > 0 for se > 0; smaller is better
    """
    return se * _effect(freedom, level, power)


def level_of_each(n_tests: int) -> float:
    """Level of each of so many tests at which the chance of any false alarm among them is LEVEL (Šidák)."""
    return 1 - level_at_once(n_tests)


def seeds_needed(sd: float, difference: float, level: float = LEVEL, power: float = POWER) -> int | None:
    """The fewest pairs of trainings, at least two, that find a true difference with the given power.

    sd          standard deviation of the difference between two arms over pairs of trainings; of arms that draw
                independently it is sqrt(2) times that of one arm
    difference  in the unit of `sd`; its sign does not count

    returns     None where more than MOST_SEEDS were needed
    """
    if sd == 0:
        return 2
    effect = abs(difference) / sd
    low, high = 1, 2  # too few pairs (or none), and enough
    while power_of(effect, high, level) < power:
        low, high = high, 2 * high
        if low > MOST_SEEDS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power_of(effect, middle, level) >= power else (middle, high)
    return high if high <= MOST_SEEDS else None


def power_of(effect: float, n_pairs: int, level: float = LEVEL) -> float:
    """How often a paired t-test of n pairs finds a difference of `effect` standard deviations of the pairs."""
    return _found(effect * math.sqrt(n_pairs), n_pairs - 1, level)


def _found(shift: float, freedom: float | None, level: float) -> float:
    """Chance that a statistic whose mean is shifted by so many standard errors leaves the two-sided region of none.

    Of Student's t it is the normal chance averaged over the chi-distributed standard error that is estimated: scipy's
    noncentral t gives nan in the far tail of few degrees of freedom. `scipy.stats` would take longer to import than all
    else that a report needs.
    """
    from scipy.special import gammainccinv, gammaincinv, gammaln, ndtr, xlogy

    end = quantile(freedom, 1 - level)
    if freedom is None:
        return float(ndtr(shift - end) + ndtr(-shift - end))
    half, slope = freedom / 2, end / math.sqrt(freedom)
    low, high = (math.sqrt(2 * tail(half, TAIL)) for tail in (gammaincinv, gammainccinv))
    # pieces meet where the normal chance turns from certain to none, so that it is smooth on each
    turns = np.clip((abs(shift) + TURN) / slope, low, high)
    places, weights = _nodes()
    edges = np.array([low, *turns, high])
    widths = np.diff(edges)[:, None]
    errors = edges[:-1, None] + widths * (places + 1) / 2
    density = np.exp(xlogy(freedom - 1, errors) - errors**2 / 2 - (half - 1) * math.log(2) - gammaln(half))
    beyond = ndtr(shift - slope * errors) + ndtr(-shift - slope * errors)
    return float((widths / 2 * weights * beyond * density).sum())


@cache
def _nodes() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places in -1 to 1 and their weights, by which an integral is a sum (Gauss-Legendre)."""
    places, weights = np.polynomial.legendre.leggauss(N_NODES)
    return places, weights


@lru_cache(maxsize=1024)
def _effect(freedom: float | None, level: float, power: float) -> float:
    """Standard errors that a true difference must be away from zero."""
    low, high = 0.0, 1.0
    while _found(high, freedom, level) < power:
        low, high = high, 2 * high
    while high - low > 1e-10 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if _found(middle, freedom, level) >= power else (middle, high)
    return high
