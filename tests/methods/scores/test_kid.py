"""The kernel distance: golden values, its error, and the permutation test."""

import numpy as np
import pytest
from golden_sets import DIGITS, few, golden, rotation, two_sets
from hypothesis import given

from mep.errors import DataError
from mep.methods.scores.kid import Kid, kernel_distance, kernel_distance_error, permutation_p

KID = Kid(kind="kid")


@pytest.mark.parametrize(("name", "distance"), [("A", 0.234789), ("B", 0.329210), ("C", -0.103037), ("F", 0.042753)])
def test_kernel_distance_of_the_golden_sets(name, distance):
    assert KID.measure(*golden(name))["kid"] == pytest.approx(distance, abs=DIGITS)


@pytest.mark.parametrize(("name", "error"), [("A", 0.116656), ("C", 0.101293)])
def test_standard_error_of_the_kernel_distance_of_the_golden_sets(name, error):
    assert kernel_distance_error(*golden(name)) == pytest.approx(error, abs=DIGITS)


def test_leaving_out_every_image_in_turn_gives_the_closed_form_error():
    real, fake = golden("C")
    without_real = [kernel_distance(np.delete(real, i, axis=0), fake) for i in range(len(real))]
    without_fake = [kernel_distance(real, np.delete(fake, i, axis=0)) for i in range(len(fake))]
    # (n - 1) / n times the sum of squares is (n - 1) times the variance
    variance = sum((len(values) - 1) * np.var(values) for values in (without_real, without_fake))
    assert kernel_distance_error(real, fake) == pytest.approx(np.sqrt(variance), rel=1e-9)


def test_kernel_distance_sums_every_block():
    # 1200 rows are two blocks of at most 1024; here all pairs stand in one matrix
    real, fake = golden("F")
    within_real, within_fake, across = ((a @ b.T / 16 + 1) ** 3 for a, b in ((real, real), (fake, fake), (real, fake)))
    pairs = 1200 * 1199
    expected = (within_real.sum() - np.trace(within_real)) / pairs + (within_fake.sum() - np.trace(within_fake)) / pairs
    assert kernel_distance(real, fake) == pytest.approx(expected - 2 * across.mean(), rel=1e-9)


def test_the_error_of_the_kernel_distance_is_the_same_from_either_side():
    real, fake = golden("F")
    assert kernel_distance_error(real, fake[:1100]) == pytest.approx(kernel_distance_error(fake[:1100], real), rel=1e-9)


@given(two_sets())
@few
def test_kernel_distance_is_symmetric_and_blind_to_rotation_and_order(sets):
    real, fake = sets
    turned_real, turned_fake = (rows[::-1] @ rotation(rows.shape[1]) for rows in sets)
    value = kernel_distance(real, fake)
    assert kernel_distance(fake, real) == pytest.approx(value, rel=1e-9, abs=1e-9)
    assert kernel_distance(turned_real, turned_fake) == pytest.approx(value, rel=1e-9, abs=1e-9)


def test_kernel_distance_of_equal_distributions_is_zero_on_average():
    rng = np.random.default_rng(0)
    values = [kernel_distance(rng.normal(size=(30, 4)), rng.normal(size=(20, 4))) for _ in range(400)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(400)


def test_an_error_of_two_images_has_no_meaning():
    with pytest.raises(DataError, match="2 fake rows of features, at least 3 are needed"):
        kernel_distance_error(np.eye(5), np.eye(5)[:2])


def test_permutations_of_two_arms_are_as_seldom_extreme_as_they_promise():
    rng = np.random.default_rng(0)

    def p(shift, seed):
        real, fake_a, fake_b = rng.normal(size=(60, 4)), rng.normal(size=(40, 4)), rng.normal(shift, size=(25, 4))
        return permutation_p(real, fake_a, fake_b, n_permutations=99, seed=seed)

    ps = [p(0.0, seed) for seed in range(200)]
    # at the level of 0.05, 200 tests of unequal sizes reject 10 on average and 19 or fewer in 99.7 of 100 cases
    assert 1 <= sum(one <= 0.05 for one in ps) <= 19
    assert np.mean(ps) == pytest.approx(0.5, abs=0.08)
    assert p(1.0, 0) == 0.01
