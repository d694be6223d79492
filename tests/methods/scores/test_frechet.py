"""The Fréchet distance: golden values, closed forms, what changes it and what does not."""

import numpy as np
import pytest
from golden_sets import DIGITS, few, golden, rotation, two_sets
from hypothesis import given
from hypothesis import strategies as st

from mep.errors import DataError
from mep.methods.scores.frechet import Frechet, frechet, frechet_distance, null_distance

FRECHET = Frechet(kind="frechet")


@pytest.mark.parametrize(("name", "distance"), [("A", 1.511491), ("B", 129.428934), ("C", 3.725257), ("F", 0.367758)])
def test_frechet_distance_of_the_golden_sets(name, distance):
    real, fake = golden(name)
    assert FRECHET.measure(real, fake)["fd"] == pytest.approx(distance, abs=DIGITS)
    moments = real.mean(0), np.cov(real.T), fake.mean(0), np.cov(fake.T)
    assert frechet(*moments) == pytest.approx(distance, abs=DIGITS)


def test_frechet_of_two_gaussians_has_a_closed_form():
    # N(0, I) against N((3,0,0,0), 4I), d = 4:  |3|² + d(1-2)² = 13
    origin, shifted = np.zeros(4), np.array([3.0, 0, 0, 0])
    assert frechet(origin, np.eye(4), shifted, 4 * np.eye(4)) == pytest.approx(13.0)


def test_frechet_of_diagonal_covariances_compares_standard_deviations():
    # D: |0-1|² over 5 dimensions, and Σ(√a - √b)² for variances 1..5 against 5..1
    variances = np.arange(1.0, 6.0)
    by_hand = 5 + ((np.sqrt(variances) - np.sqrt(variances[::-1])) ** 2).sum()
    value = frechet(np.zeros(5), np.diag(variances), np.ones(5), np.diag(variances[::-1]))
    assert value == pytest.approx(by_hand, rel=1e-12)
    assert value == pytest.approx(8.742020, abs=DIGITS)


@given(two_sets())
@few
def test_frechet_distance_is_symmetric_and_zero_on_a_set_in_any_order(sets):
    real, fake = sets
    assert frechet_distance(real, fake) == pytest.approx(frechet_distance(fake, real), rel=1e-7)
    assert frechet_distance(real, real[::-1]) == pytest.approx(0, abs=1e-7)  # worst where n is d + 1, ill-conditioned


@given(two_sets(), st.floats(0.1, 10))
@few
def test_frechet_distance_knows_rotation_and_shift_for_nothing_and_scale_for_its_square(sets, scale):
    real, fake = sets
    moved_real, moved_fake = (scale * (rows @ rotation(rows.shape[1]) + 7) for rows in sets)
    moved = frechet_distance(moved_real, moved_fake)
    assert moved == pytest.approx(scale**2 * frechet_distance(real, fake), rel=1e-6)


@pytest.mark.parametrize("padding", [0, 1, 100])
def test_dimensions_that_hold_nothing_change_no_frechet_distance(padding):
    # 8 dimensions go through Cholesky, 9 fail there, 108 are more than the images
    real, fake = (np.pad(rows, ((0, 0), (0, padding))) for rows in golden("A"))
    assert frechet_distance(real, fake) == pytest.approx(1.5114910756, abs=1e-9)


def test_a_set_with_more_rows_than_dimensions_meets_one_with_fewer():
    real, fake = golden("B")
    many = np.concatenate([real] * 5)
    moments = many.mean(0), np.cov(many.T), fake.mean(0), np.cov(fake.T)
    assert frechet_distance(many, fake) == pytest.approx(frechet(*moments), rel=1e-9)


def test_a_negative_covariance_is_refused_in_either_place():
    zero, good, bad = np.zeros(3), np.eye(3), np.diag([1.0, 1.0, -0.1])
    for first, second in ((good, bad), (bad, good), (bad, bad)):
        with pytest.raises(DataError, match="negative eigenvalue"):
            frechet(zero, first, zero, second)


def test_gaussians_of_unlike_width_are_refused():
    with pytest.raises(DataError, match="3 dimensions, the second 4"):
        frechet(np.zeros(3), np.eye(3), np.zeros(4), np.eye(4))


def test_real_images_reach_what_the_law_of_n_says():
    rng = np.random.default_rng(0)
    real, more = rng.normal(size=(400, 8)), rng.normal(size=(400, 8))
    direct = null_distance(real, more, 400, 400, seed=0)
    by_law = null_distance(real, None, 400, 400, seed=0)
    # d²/2 (1/n + 1/m) for normal sets, to first order: 8 · 9 / 4 / 400 + 8 / 400 · ... is about 0.13
    assert direct == pytest.approx(by_law, rel=0.25)
    assert frechet_distance(real, rng.normal(size=(400, 8))) == pytest.approx(direct, rel=0.4)


def test_too_few_real_images_say_so_instead_of_giving_a_null():
    with pytest.raises(DataError, match="20 real images of 64 dimensions do not tell"):
        Frechet(kind="frechet").null(*golden("B"), None, seed=0)
