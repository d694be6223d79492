"""The error of a score, from pairs of halves."""

from typing import ClassVar

import numpy as np
import pytest

from mep.evaluation.uncertainty import FAKE, REAL, EvaluationSettings, cut, jackknife, levelled
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
