"""The closed-form error of a difference: real images that two arms share cancel, others do not."""

from dataclasses import replace

import numpy as np
import pytest

from mep.statistics.influence import Influence, error_of_difference, error_of_one, keys_of

# counted: 3² + 4² + 11 = 36; less 1 + 2 for pairs: 33
ONE = Influence(np.array([3.0, -4.0]), np.array([7, 8], dtype=np.uint64), 11.0, 1.0, 2.0)


def test_what_pairs_add_is_taken_off_once():
    assert error_of_one(ONE) == pytest.approx(33**0.5)


def test_pairs_are_never_more_than_half_of_what_was_counted():
    assert error_of_one(replace(ONE, pairs_fake=50.0)) == pytest.approx(18**0.5)


def test_shared_real_images_cancel_whatever_their_order():
    other = replace(ONE, real=ONE.real[::-1], keys=ONE.keys[::-1])
    # only the generated images are left: 11 - 2 of each arm
    assert error_of_difference(ONE, other) == pytest.approx(18**0.5)


def test_arms_without_a_shared_real_image_are_independent():
    other = replace(ONE, keys=ONE.keys + np.uint64(10))
    assert error_of_difference(ONE, other) == pytest.approx(66**0.5)


def test_half_of_the_real_images_shared_is_between_the_two():
    other = replace(ONE, real=np.array([3.0, 4.0]), keys=np.array([7, 9], dtype=np.uint64))
    # of image 7 nothing is left, 8 and 9 add 16 each; generated images 18; half of the real pairs are apart: -1
    assert error_of_difference(ONE, other) == pytest.approx((32 + 18 - 0.5 * 2) ** 0.5)


def test_rows_of_the_same_values_have_the_same_key():
    rows = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    assert np.array_equal(keys_of(rows[[2, 0, 2]]), keys_of(rows)[[2, 0, 2]])
    assert len(set(keys_of(rows).tolist())) == 4
