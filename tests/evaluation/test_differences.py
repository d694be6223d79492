"""What keeps two scores from being compared, and whether arms differ."""

import numpy as np
import pytest

from mep.errors import DataError
from mep.evaluation.differences import at_once, difference, difference_by_error, holm, paired_by_seed, unlike
from mep.evaluation.uncertainty import EvaluationSettings, jackknife
from mep.methods.scores.frechet import Frechet


def gaussian(seed, n, d=4, shift=0.0):
    return np.random.default_rng(seed).normal(shift, size=(n, d))


def halves(score, real, fake, *, n_halves, seed, groups=None):
    return jackknife([score], real, fake, EvaluationSettings(seed, n_halves), groups)[0]


ROW = {"metric": "fd", "value": 1.0, "n_real": 100, "n_fake": 100, "digest": "a", "settings": {"kind": "frechet"}}


def test_numbers_of_one_protocol_are_alike_whatever_their_values_and_sampler():
    assert unlike(ROW, ROW | {"value": 2.0, "sampler": {"kind": "ddim"}, "guidance": 3.0}) == []


def test_every_difference_is_named():
    other = ROW | {"n_fake": 90, "digest": "b", "settings": {"kind": "frechet", "k": 1}}
    assert unlike(ROW, other) == [
        "the weights of the extractor",
        "the number of generated images",
        "the settings of the score",
    ]


def test_a_difference_is_centred_at_the_whole_sets_and_spreads_as_its_halves():
    halves_a, halves_b = np.array([[6.0, 4.0], [5.0, 5.0], [4.0, 6.0]]), np.zeros((3, 2))
    found = difference(halves_a, halves_b, value_a=3.0, value_b=1.0)
    # half of the differences within the pairs are 1, 0, -1, whose standard deviation is 1; all means are 5
    assert (found.value, found.se, found.freedom) == (2.0, pytest.approx(1.0), 2)
    # 4.3027 is the quantile of Student's t of two degrees
    assert (found.low, found.high) == pytest.approx((2 - 4.3027, 2 + 4.3027), abs=1e-4)


def test_resamples_spread_as_they_are():
    found = difference(np.array([5.0, 7.0, 6.0]), np.array([1.0, 2.0, 3.0]), value_a=3.0, value_b=1.0)
    # they differ by 4, 5, 3, whose standard deviation is 1
    assert (found.se, found.low, found.freedom) == (pytest.approx(1.0), pytest.approx(2 - 1.96, abs=1e-4), None)


def test_sharing_the_real_halves_makes_a_difference_more_certain():
    score = Frechet(kind="frechet")
    real = gaussian(0, 200)
    arm_a, arm_b = (halves(score, real, gaussian(i, 200, shift=1.0), n_halves=80, seed=3)["fd"] for i in (1, 2))
    apart = halves(score, real, gaussian(2, 200, shift=1.0), n_halves=80, seed=4)["fd"]
    assert difference(arm_a, arm_b, 0, 0).se < 0.9 * difference(arm_a, apart, 0, 0).se


def test_the_interval_of_a_difference_holds_the_true_one():
    # Two arms around 0 at distances 0.5 and 0.7: of 95 %, 60 experiments hold 52 or more in 99 of 100 cases
    score, n = Frechet(kind="frechet"), 80
    experiments = [
        tuple(gaussian(1000 + 3 * i + j, n, shift=s) for j, s in enumerate((0, 0.5, 0.7))) for i in range(60)
    ]
    values = [(score.measure(r, a)["fd"], score.measure(r, b)["fd"]) for r, a, b in experiments]
    truth = 4 * (0.5**2 - 0.7**2)  # equal covariances: what finite n adds to both is the same and cancels
    held = 0
    for i, ((r, a, b), (value_a, value_b)) in enumerate(zip(experiments, values, strict=True)):
        halves_a, halves_b = (halves(score, r, fake, n_halves=40, seed=i)["fd"] for fake in (a, b))
        found = difference(halves_a, halves_b, value_a, value_b)
        held += found.low <= truth <= found.high
    assert held >= 52


def test_arms_with_unlike_numbers_of_halves_are_refused():
    with pytest.raises(DataError, match="measured on 6 halves, the other on 4"):
        difference(np.zeros((3, 2)), np.zeros((2, 2)), 0.0, 0.0)


def test_holm_multiplies_the_smallest_p_by_the_number_of_tests():
    # 0.01 x 4, 0.02 x 3, 0.03 x 2 (not below the one before), 0.5
    assert holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert np.isnan(holm([float("nan"), 0.01])[0])
    assert holm([float("nan"), 0.01])[1] == pytest.approx(0.01)
    assert holm([]) == []


def test_a_difference_of_two_errors_has_a_p_of_five_percent():
    spread = np.array([-1.0, 0.0, 1.0])
    assert difference(spread, np.zeros(3), 1.959964, 0.0).p == pytest.approx(0.05, abs=1e-6)
    assert difference(np.ones(3), np.ones(3), 2.0, 2.0).p == 1.0


def test_of_several_arms_the_interval_and_p_hold_for_all():
    # two arms: 0.95^(1/2) of each, 2.2365 errors; 1 - (1 - p)^2 of p
    alone = difference_by_error(2.0, 1.0)
    found = at_once(alone, 2)
    assert (found.low, found.high) == pytest.approx((2 - 2.23648, 2 + 2.23648), abs=1e-4)
    assert found.p == pytest.approx(1 - (1 - alone.p) ** 2)
    assert alone.low > 0 > found.low
    assert alone.p < 0.05 < found.p
    assert at_once(alone, 1) == alone


def test_the_best_of_four_arms_without_a_difference_is_seldom_clear():
    # Z of an arm and of the shared baseline: 5 % of 2,000 at most, give or take 2 %; on its own the best is at 16 %
    rng = np.random.default_rng(0)
    arms, base = rng.normal(size=(2000, 4)), rng.normal(size=(2000, 1))
    deltas = [[difference_by_error(value, 2**0.5) for value in row] for row in arms - base]
    assert np.mean([any(delta.p <= 0.05 for delta in row) for row in deltas]) > 0.1
    assert np.mean([any(at_once(delta, 4).p <= 0.05 for delta in row) for row in deltas]) < 0.06


def test_seeds_are_compared_in_pairs():
    # differences -1, -2, -3: mean -2, sd 1, t of 2 degrees 4.3027, interval -2 -+ 4.3027 / sqrt(3); t = -2 sqrt(3)
    found = paired_by_seed({1: 10.0, 2: 20.0, 3: 30.0, 9: 5.0}, {1: 11.0, 2: 22.0, 3: 33.0, 8: 5.0})
    assert found.value == -2
    assert found.values == {1: -1, 2: -2, 3: -3}
    assert (found.low, found.high) == pytest.approx((-2 - 4.302653 / 3**0.5, -2 + 4.302653 / 3**0.5), abs=1e-6)
    assert found.p == pytest.approx(0.074180, abs=1e-6)
    assert found.supported
    assert found.sentence == "over 3 training seeds the methods cannot be told apart"


def test_pairs_that_all_differ_by_the_same_leave_no_interval():
    # one image in 64 more each time, as shares of few images do; and the same but for round-off
    shares = {1: 2 / 64, 2: 1 / 64, 3: 3 / 64}, {1: 1 / 64, 2: 0.0, 3: 2 / 64}
    rounded = {1: 0.25, 2: 0.3, 3: 0.5}, {1: 0.2, 2: 0.25, 3: 0.45}
    for mine, theirs in (shares, rounded):
        found = paired_by_seed(mine, theirs)
        assert (found.low, found.high, found.p, found.supported) == (None, None, None, False)
        assert found.sentence == "all 3 pairs of trainings differ by the same, which leaves no spread to judge it by"
    assert paired_by_seed({1: 0.0, 2: 0.0}, {1: 0.0, 2: 0.0}).p == 1


def test_one_seed_supports_no_claim_about_the_method_and_says_so():
    found = paired_by_seed({1: 10.0}, {1: 12.0})
    assert (found.value, found.low, found.high, found.p, found.supported) == (-2, None, None, None, False)
    assert "cannot support a claim about the method" in found.sentence
    assert not paired_by_seed({1: 1.0, 2: 2.0}, {1: 2.0, 2: 3.5}).supported
    with pytest.raises(DataError, match="no training seed in common"):
        paired_by_seed({1: 1.0}, {2: 1.0})
