"""Power: the smallest difference that a comparison finds, and how many trainings a difference takes.

A comparison over seeds is a paired t-test of the differences of n seeds. Its power is exact under a normal spread: the
test statistic follows the noncentral t distribution with n - 1 degrees of freedom.

Source  Cohen 1988, Statistical Power Analysis, chapter 2; the same numbers as G*Power 3 (Faul et al. 2007, Behavior
        Research Methods 39:175) for "difference between two dependent means"
"""

import math
from functools import lru_cache

LEVEL, POWER = 0.05, 0.8
"""Two-sided level of a test, and how often it is to find what is there: the usual ones."""
MOST_SEEDS = 10_000
"""Trainings beyond which nobody counts."""


def detectable(se: float, freedom: float | None = None, level: float = LEVEL, power: float = POWER) -> float:
    """The smallest true difference that a two-sided test finds with the given power, in the unit of `se`.

    se          standard error of the difference that is tested
    freedom     degrees of freedom behind the standard error, pairs - 1 of a paired t-test; None: a normal test

    returns     > 0 for se > 0; smaller is better
    """
    return se * _effect(freedom, level, power)


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
    noncentral t gives nan in the far tail of few degrees of freedom.
    """
    from scipy.integrate import quad
    from scipy.stats import chi, norm, t

    def beyond(end: float) -> float:
        return float(norm.sf(end - shift) + norm.cdf(-end - shift))

    if freedom is None:
        return beyond(float(norm.isf(level / 2)))
    end, root = float(t.isf(level / 2, freedom)), math.sqrt(freedom)
    errors = chi(freedom)
    low, high = float(errors.ppf(1e-12)), float(errors.isf(1e-12))
    return float(quad(lambda error: beyond(end * error / root) * errors.pdf(error), low, high, limit=200)[0])


@lru_cache(maxsize=1024)
def _effect(freedom: float | None, level: float, power: float) -> float:
    """Standard errors that a true difference must be away from zero."""
    from scipy.optimize import brentq

    high = 1.0
    while _found(high, freedom, level) < power:
        high *= 2
    return float(brentq(lambda shift: _found(shift, freedom, level) - power, 0.0, high, xtol=1e-9))
