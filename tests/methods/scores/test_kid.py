"""The kernel distance: golden values, its error, and the difference of two of them."""

import numpy as np
import pytest
from golden_sets import DIGITS, few, golden, rotation, two_sets
from hypothesis import given

from mep.errors import DataError
from mep.methods.scores.kid import Kid, kernel_difference, kernel_distance, kernel_distance_error

KID = Kid(kind="kid")


@pytest.mark.parametrize(("name", "distance"), [("A", 0.234789), ("B", 0.329210), ("C", -0.103037), ("F", 0.042753)])
def test_kernel_distance_of_the_golden_sets(name, distance):
    assert KID.measure(*golden(name))["kid"] == pytest.approx(distance, abs=DIGITS)


@pytest.mark.parametrize(("name", "error"), [("A", 0.104667), ("C", 0.071625)])
def test_standard_error_of_the_kernel_distance_of_the_golden_sets(name, error):
    assert kernel_distance_error(*golden(name)) == pytest.approx(error, abs=DIGITS)


def test_the_error_is_what_leaving_out_every_image_gives_less_what_pairs_add_once():
    real, fake = golden("A")
    n, m = len(real), len(fake)
    without_real = [kernel_distance(np.delete(real, i, axis=0), fake) for i in range(n)]
    without_fake = [kernel_distance(real, np.delete(fake, i, axis=0)) for i in range(m)]
    # (n - 1) / n times the sum of squares is (n - 1) times the variance
    counted = sum((len(values) - 1) * np.var(values) for values in (without_real, without_fake))
    # pairs within a set add 2 / n(n - 1) of their variance, pairs across 4 / nm
    across = (real @ fake.T / 8 + 1) ** 3
    across = across - across.mean(0) - across.mean(1, keepdims=True) + across.mean()
    pairs = 4 * (across**2).sum() / ((n - 1) * (m - 1) * n * m)
    pairs += sum(2 * centred_pairs(rows) / (len(rows) * (len(rows) - 1)) for rows in (real, fake))
    assert kernel_distance_error(real, fake) == pytest.approx(np.sqrt(counted - pairs), rel=1e-9)


def centred_pairs(rows):
    """Variance of the kernel of two rows that neither explains alone: the U-centred table of Székely & Rizzo 2014."""
    n, table = len(rows), (rows @ rows.T / 8 + 1) ** 3
    np.fill_diagonal(table, 0)
    sums = table.sum(1)
    table += sums.sum() / ((n - 1) * (n - 2)) - sums[:, None] / (n - 2) - sums / (n - 2)
    np.fill_diagonal(table, 0)
    return (table**2).sum() / (n * (n - 3))


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


# --- Two arms ---------------------------------------------------------------------------------------------------


def arms(seed, shifts, n=60, d=4):
    """Real images around 0, and two arms off by so much."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), *(rng.normal(shift, size=(n, d)) for shift in shifts)


def test_a_difference_of_two_arms_forgets_what_the_real_images_share():
    real, fake_a, fake_b = arms(0, (0.5, 0.5))
    value, error = kernel_difference(real, fake_a, fake_b)
    assert value == pytest.approx(kernel_distance(real, fake_a) - kernel_distance(real, fake_b), rel=1e-9)
    assert error < np.hypot(kernel_distance_error(real, fake_a), kernel_distance_error(real, fake_b))
    assert kernel_difference(real, fake_b, fake_a) == pytest.approx((-value, error), rel=1e-9)


@pytest.mark.parametrize("shifts", [(0, 0), (0.5, 0.5), (0.5, -0.5)], ids=["both perfect", "alike", "mirrored"])
def test_arms_at_one_distance_are_told_apart_as_seldom_as_promised(shifts):
    # 5 % of 200 is 10; 2 to 20 in 99.8 of 100 cases. Mirrored arms are unlike, but equally far: shuffling finds them.
    found = [kernel_difference(*arms(seed, shifts)) for seed in range(200)]
    assert 2 <= sum(abs(value) > 1.96 * error for value, error in found) <= 20


def test_arms_at_unlike_distances_are_told_apart():
    found = [kernel_difference(*arms(seed, (0.5, 0.9))) for seed in range(20)]
    assert sum(value < -1.96 * error for value, error in found) >= 16
