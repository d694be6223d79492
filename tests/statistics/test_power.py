"""Power: golden values of G*Power, closed forms, and the shape of what is needed."""

import math

import numpy as np
import pytest
from scipy.stats import nct, t

from mep.report.tables.comparison import Delta
from mep.statistics.power import detectable, power_of, seeds_needed


@pytest.mark.parametrize(("effect", "n"), [(0.2, 199), (0.3, 90), (0.5, 34), (0.8, 15), (1.0, 10)])
def test_the_number_of_pairs_is_that_of_g_power(effect: float, n: int) -> None:
    # G*Power 3.1, t tests, means: difference between two dependent means, two tails, alpha 0.05, power 0.80
    assert seeds_needed(sd=1.0, difference=effect) == n
    assert seeds_needed(sd=2.0, difference=-2 * effect) == n


@pytest.mark.parametrize(("effect", "n", "power"), [(1.0, 10, 0.803), (0.5, 34, 0.808), (0.8, 15, 0.821)])
def test_the_power_reached_is_that_of_g_power(effect: float, n: int, power: float) -> None:
    assert power_of(effect, n) == pytest.approx(power, abs=5e-4)


@pytest.mark.parametrize("freedom", [2, 4, 19, 199])
@pytest.mark.parametrize("level", [0.05, 0.0102])
def test_the_power_is_that_of_the_noncentral_t(freedom: int, level: float) -> None:
    end = t.isf(level / 2, freedom)
    for shift in (0.0, 0.7, 2.0, 3.0):  # beyond, scipy gives nan
        expected = nct.sf(end, freedom, shift) + nct.cdf(-end, freedom, shift)
        power = power_of(shift / math.sqrt(freedom + 1), freedom + 1, level)
        assert power == pytest.approx(expected, abs=1e-9)  # the tails that are left out have 2e-12


def test_a_normal_test_finds_two_point_eight_standard_errors() -> None:
    # z(0.975) + z(0.8) = 1.95996 + 0.84162; the other tail adds less than 1e-6
    assert detectable(10.0) == pytest.approx(28.0158, abs=1e-3)


def test_what_is_detectable_is_what_the_pairs_are_needed_for() -> None:
    for n in (3, 5, 10, 34):
        effect = detectable(1 / math.sqrt(n), freedom=n - 1)
        assert power_of(effect, n) == pytest.approx(0.8, abs=1e-6)
        assert seeds_needed(1.0, effect * 1.0001) == n


def test_a_simulated_paired_test_finds_the_detectable_difference_four_times_in_five() -> None:
    from scipy.stats import ttest_1samp

    n, rng = 5, np.random.default_rng(0)
    pairs = rng.normal(detectable(1 / math.sqrt(n), freedom=n - 1), 1.0, (4000, n))
    found = (ttest_1samp(pairs, 0, axis=1).pvalue < 0.05).mean()
    assert found == pytest.approx(0.8, abs=0.02)  # three standard errors of 4,000 trials


def test_more_power_and_a_stricter_level_take_a_larger_difference() -> None:
    assert detectable(1.0, 4, power=0.9) > detectable(1.0, 4) > detectable(1.0, 4, level=0.1)
    assert detectable(1.0, 1) > detectable(1.0, 4) > detectable(1.0, 1000) > detectable(1.0)


def test_no_spread_takes_two_and_no_difference_is_never_found() -> None:
    assert seeds_needed(0.0, 1.0) == 2
    assert seeds_needed(1.0, 0.0) is None
    assert detectable(0.0, 3) == 0.0


def test_a_delta_knows_what_could_have_been_seen() -> None:
    of_pairs = Delta(1.0, 2.0, -3.0, 5.0, 0.6, n_pairs=5, freedom=4)
    of_halves = Delta(1.0, 2.0, -3.0, 5.0, 0.6)
    assert of_pairs.detectable == pytest.approx(detectable(2.0, freedom=4))
    assert of_halves.detectable == pytest.approx(detectable(2.0))
