"""Pairs of halves, what keeps two scores from being compared, and whether arms differ."""

from typing import ClassVar

import numpy as np
import pytest

from mep.errors import DataError
from mep.evaluation.uncertainty import (
    FAKE,
    REAL,
    EvaluationSettings,
    at_once,
    cut,
    difference,
    difference_by_error,
    holm,
    jackknife,
    levelled,
    paired_by_seed,
    unlike,
)
from mep.methods.scores import Score
from mep.methods.scores.frechet import Frechet
from mep.methods.scores.kid import Kid
from mep.methods.scores.prdc import Prdc
from mep.statistics.intervals import standard_error


class Recorder(Score):
    """A score that keeps what it was given; the metric is the difference of the means."""

    better: ClassVar = {"shift": "lower"}

    def measure(self, real, fake):
        seen.append((real, fake))
        return {"shift": float(fake.mean() - real.mean())}


seen: list[tuple[np.ndarray, np.ndarray]] = []


def gaussian(seed, n, d=4, shift=0.0):
    return np.random.default_rng(seed).normal(shift, size=(n, d))


def halves(score, real, fake, *, n_halves, seed, groups=None):
    return jackknife([score], real, fake, EvaluationSettings(seed, n_halves), groups)[0]


def test_two_halves_hold_all_rows_once_but_one_that_is_over():
    for n_rows in (10, 11):
        rows, rest = cut(n_rows, 0, 7, REAL)
        assert len(set(rows) | set(rest)) == len(rows) + len(rest) == 10
        assert set(rows) | set(rest) <= set(range(n_rows))


def test_halves_differ_from_index_to_index_seed_to_seed_and_set_to_set():
    drawn = [cut(100, *of)[0] for of in ((0, 7, REAL), (1, 7, REAL), (0, 8, REAL), (0, 7, FAKE))]
    assert len({tuple(rows) for rows in drawn}) == 4


def test_two_arms_of_one_seed_share_the_real_halves_whatever_their_size():
    real = gaussian(0, 30)
    seen.clear()
    halves(Recorder(), real, gaussian(1, 20), n_halves=6, seed=5)
    halves(Recorder(), real, gaussian(2, 26), n_halves=6, seed=5)
    assert len(seen) == 12
    for (real_a, fake_a), (real_b, fake_b) in zip(seen[:6], seen[6:], strict=True):
        assert np.array_equal(real_a, real_b)
        assert (len(real_a), len(fake_a), len(fake_b)) == (15, 10, 13)


def test_sets_of_equal_length_are_not_cut_the_same_way():
    rows = gaussian(0, 30)
    seen.clear()
    halves(Recorder(), rows, rows, n_halves=2, seed=5)
    assert not np.array_equal(*seen[0])


def test_the_same_seed_gives_the_same_halves_and_more_of_them_begin_alike():
    score, real, fake = Prdc(kind="prdc"), gaussian(0, 40), gaussian(1, 40)
    short = halves(score, real, fake, n_halves=6, seed=1)
    long = halves(score, real, fake, n_halves=10, seed=1)
    assert list(long) == ["precision", "recall", "density", "coverage"]
    for metric in long:
        assert long[metric].dtype == np.float64
        assert np.diff(long[metric][:3]) == pytest.approx(np.diff(short[metric]))


def test_the_error_of_a_mean_is_the_textbook_one():
    # sd/√n of both sets, added in squares; 4,000 halves leave 1.1 % of noise in a standard deviation
    real, fake = gaussian(0, 60, d=1), 2 * gaussian(1, 40, d=1)
    se = standard_error(halves(Recorder(), real, fake, n_halves=4000, seed=0)["shift"])
    assert se == pytest.approx(np.sqrt(real.var(ddof=1) / 60 + fake.var(ddof=1) / 40), rel=0.05)


@pytest.mark.parametrize(("score", "metric"), [(Frechet(kind="frechet"), "fd"), (Kid(kind="kid"), "kid")])
def test_the_error_is_close_to_the_spread_of_repeated_experiments(score, metric):
    # 200 experiments know the true spread to 5 %, 20 errors their mean to 5 %; 2,000 and 100 agree within 3 %
    repeats = [score.measure(gaussian(2 * i, 120), gaussian(2 * i + 1, 120, shift=0.5))[metric] for i in range(200)]
    errors = [
        standard_error(
            halves(score, gaussian(2 * i, 120), gaussian(2 * i + 1, 120, shift=0.5), n_halves=40, seed=i)[metric]
        )
        for i in range(20)
    ]
    assert np.mean(errors) == pytest.approx(np.std(repeats, ddof=1), rel=0.25)


def test_a_bootstrap_would_move_the_score_itself():
    # Why halves: drawing with replacement doubles rows and shrinks every ball, halves do not
    score, real, fake = Prdc(kind="prdc"), gaussian(0, 300, d=16), gaussian(1, 300, d=16)
    rng = np.random.default_rng(0)
    point = score.measure(real, fake)["coverage"]
    again = [(real[rng.integers(0, 300, 300)], fake[rng.integers(0, 300, 300)]) for _ in range(10)]
    bootstrapped = np.array([score.measure(*sets)["coverage"] for sets in again])
    halved = halves(score, real, fake, n_halves=10, seed=0)["coverage"]
    assert bootstrapped.max() < point - 0.05  # 0.84 on average, of 0.97
    assert abs(halved.mean() - point) < 0.02


def test_a_half_of_slides_takes_all_images_of_a_slide_or_none():
    groups = np.repeat(np.arange(9), 4)
    rows, rest = cut(36, 0, 7, REAL, groups)
    assert set(np.bincount(groups[rows], minlength=9)) == {0, 4}
    assert not set(groups[rows]) & set(groups[rest])
    assert len(rows) == len(rest) == 4 * (9 // 2)
    assert np.array_equal(cut(36, 0, 7, REAL, np.arange(36)), cut(36, 0, 7, REAL))  # every image its own slide


def test_images_of_one_patient_make_the_error_larger():
    # 30 patients of 10 images that differ by patient: the mean of 300 is as uncertain as a mean of 30
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(30), 10)
    real = rng.normal(size=(30, 1))[patients] + 0.1 * rng.normal(size=(300, 1))
    fake = np.zeros((300, 1))
    blind, aware = (
        standard_error(halves(Recorder(), real, fake, n_halves=400, seed=0, groups=groups)["shift"])
        for groups in (None, patients)
    )
    truth = real.reshape(30, 10).mean(1).std(ddof=1) / np.sqrt(30)
    assert aware == pytest.approx(truth, rel=0.15)
    assert blind < 0.5 * truth


def test_a_metric_for_which_a_half_is_too_small_has_no_values():
    assert set(halves(Prdc(kind="prdc"), gaussian(0, 22), gaussian(1, 30), n_halves=2, seed=0)) == set(Prdc.better)
    assert halves(Prdc(kind="prdc"), gaussian(0, 21), gaussian(1, 30), n_halves=2, seed=0) == {}


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


def test_what_pairs_of_images_add_is_not_counted_thrice():
    # Both arms perfect: the distance is all pairs. Single halves spread 1.7 times too far.
    scores = [Kid(kind="kid")]
    errors, values, spreads = [], [], []
    for seed in range(60):
        real, fake = gaussian(2 * seed, 60), gaussian(2 * seed + 1, 60)
        of_halves = jackknife(scores, real, fake, EvaluationSettings(seed, 40))[0]["kid"]
        errors.append(standard_error(of_halves) ** 2)
        spreads.append(of_halves.var(ddof=1))
        values.append(scores[0].measure(real, fake)["kid"])
    assert np.sqrt(np.mean(spreads) / np.var(values)) > 1.5
    # not 1.0: where there is nothing but pairs the variance is cut at half of that of the differences
    assert 0.9 < np.sqrt(np.mean(errors) / np.var(values)) < 1.4


def test_neighbour_shares_keep_the_spread_of_their_differences():
    values = np.array([[1.0, 3.0], [2.0, 2.0], [6.0, 4.0]])
    kept = levelled(values)
    assert kept.mean(axis=1) == pytest.approx([3.0, 3.0, 3.0])
    assert kept[:, 0] - kept[:, 1] == pytest.approx(values[:, 0] - values[:, 1])
    assert standard_error(kept) == pytest.approx(1.0)  # half of -2, 0, 2


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


# --- Tests of no difference -------------------------------------------------------------------------------------


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


# --- Training seeds ---------------------------------------------------------------------------------------------


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
