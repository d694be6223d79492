"""Harm to images is what it says, in the dose that it says."""

import numpy as np
import pytest
from small_data import draw

from mep.imaging.degradations import (
    DEGRADATIONS,
    KINDS,
    blurred,
    compressed,
    noisy,
    shuffled,
    stained,
)

RNG = np.random.default_rng(0)


def tile(size=48):
    return draw(np.random.default_rng(3), True, size)


def test_the_blur_of_a_point_is_a_gaussian_of_that_width():
    point = np.zeros((41, 41, 3), np.uint8)
    point[20, 20] = 255
    lit = blurred(point, 1.5, RNG).astype(float)[..., 0]
    offsets = np.arange(-20, 21)
    weights = lit.sum(axis=0) / lit.sum()
    assert (weights * offsets**2).sum() == pytest.approx(1.5**2, rel=0.1)  # levels are whole: tails below 0.5 vanish
    assert lit[20, 20] == pytest.approx(255 / (2 * np.pi * 1.5**2), abs=0.6)


def test_noise_has_the_standard_deviation_that_it_says():
    grey = np.full((200, 200, 3), 128, np.uint8)
    assert noisy(grey, 6.0, np.random.default_rng(1)).std() == pytest.approx(6.0, rel=0.01)


def test_a_stain_twice_as_strong_has_twice_the_optical_density():
    stained_twice = stained(np.arange(16, 256, dtype=np.uint8).reshape(1, -1, 1).repeat(3, 2), 100, RNG)
    before = -np.log10(np.arange(16, 256) / 255)
    levels = stained_twice[0, :, 0].astype(float)
    bright = levels > 20  # rounding to whole levels is coarse in the dark
    assert -np.log10(levels[bright] / 255) == pytest.approx(2 * before[bright], abs=0.012)
    assert (stained(tile(), 0, RNG) == tile()).all()


def test_jpeg_loses_more_at_a_lower_quality_and_blocks_of_eight_pixels_show():
    errors = [np.abs(compressed(tile(), quality, RNG).astype(int) - tile()).mean() for quality in (95, 70, 40, 10)]
    assert errors == sorted(errors)
    assert errors[-1] > 1.5 * errors[0] > 0
    coarse = compressed(tile(), 5, RNG).astype(int)
    steps = np.abs(np.diff(coarse, axis=1)).mean(axis=(0, 2))
    assert steps[7::8].mean() > 1.5 * np.delete(steps, np.arange(7, 47, 8)).mean()


@pytest.mark.parametrize("side", [24, 12, 5])
def test_shuffled_blocks_keep_every_pixel_and_none_stays_where_it_was(side):
    pixels = np.arange(48 * 48, dtype=np.int64).reshape(48, 48, 1).repeat(3, 2)  # every pixel its own number
    moved = shuffled(pixels, side, np.random.default_rng(2))
    assert (np.sort(moved.ravel()) == np.sort(pixels.ravel())).all()
    whole = 48 // side * side
    starts = moved[:whole:side, :whole:side, 0]
    assert (starts != pixels[:whole:side, :whole:side, 0]).all()
    block = moved[:side, :side, 0]
    assert (np.diff(block, axis=1) == 1).all()
    assert (np.diff(block, axis=0) == 48).all()


@pytest.mark.parametrize("harm", DEGRADATIONS, ids=lambda harm: harm.name)
def test_every_harm_grows_with_its_dose_and_keeps_the_shape(harm):
    doses = harm.doses_at(48)
    assert 4 <= len(doses) <= 6
    strengths = [harm.strength(dose) for dose in doses]
    assert strengths == sorted(strengths)
    assert strengths[0] > 0
    results = [harm.harm(tile(), dose, np.random.default_rng(0)) for dose in doses]
    assert all(result.shape == (48, 48, 3) and result.dtype == np.uint8 for result in results)
    harmed = [np.abs(result.astype(int) - tile()).mean() for result in results]
    if harm.name != "shuffled blocks":  # which moves pixels as far at every dose
        assert harmed == sorted(harmed)
        assert harmed[0] < harmed[-1]


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_strength_and_dose_are_inverse_and_a_dose_is_told_in_words(kind):
    for dose in kind.doses_at(48):
        assert kind.dose_of(kind.strength(dose)) == pytest.approx(dose)
    assert "0.62" in kind.told(0.6199)
