"""The Fréchet distance of endless sets."""

import numpy as np
import pytest
from golden_sets import DIGITS, golden

from mep.errors import DataError
from mep.methods.scores.fd_infinity import FdInfinity, distances_at, extrapolate, line_through
from mep.methods.scores.frechet import frechet_distance


def test_the_golden_distances_and_the_line_through_them():
    sizes = (240, 400, 600, 800, 1000, 1200)
    distances = distances_at(*golden("F"), sizes, np.random.RandomState(0))
    known = [1.029317, 0.599919, 0.560736, 0.417969, 0.394692, 0.367758]
    assert distances == pytest.approx(known, abs=DIGITS)
    intercept, slope = line_through(sizes, distances)
    assert intercept == pytest.approx(0.193377, abs=DIGITS)
    assert slope == pytest.approx(193.5878, abs=1e-4)
    assert extrapolate(*golden("F"), sizes, np.random.RandomState(0)) == intercept


def test_extrapolation_takes_most_of_the_bias_off():
    # N(0, I) against N(0.1, I) in 16 dimensions: 0.16; at 1,200 images sets of one distribution are 0.2 apart
    found = FdInfinity(kind="fd_infinity").measure(*golden("F"))["fd_infinity"]
    assert abs(found - 0.16) < 0.6 * abs(frechet_distance(*golden("F")) - 0.16)


def test_fewer_images_than_two_a_dimension_are_not_extrapolated():
    with pytest.raises(DataError, match="20 images are too few to extrapolate in 64 dimensions, at least 128"):
        FdInfinity(kind="fd_infinity").measure(*golden("B"))
