import numpy as np
import pytest

from mep.imaging.edges import canny, edges


def disc(size=40, inside=220, outside=30):
    y, x = np.mgrid[:size, :size]
    return np.where((y - size / 2) ** 2 + (x - size / 2) ** 2 < (size / 4) ** 2, inside, outside).astype(np.uint8)


def test_an_edge_of_a_disc_is_one_closed_thin_ring():
    found = canny(disc(), 3)
    y, x = np.nonzero(found)
    assert np.abs(np.hypot(y - 19.5, x - 19.5) - 10).max() < 1.6
    assert 40 < len(y) < 80  # the circumference is 63
    assert found[20].sum() == 2  # a line through the middle crosses it twice


@pytest.mark.parametrize("aperture", [3, 7])
def test_weak_edges_stay_only_where_they_hang_on_strong_ones(aperture):
    grey = np.full((40, 60), 100, np.uint8)
    grey[:, 30:] = 135  # a step of 35 has magnitude 140 at aperture 3: between the thresholds
    assert not canny(grey, 3).any()
    grey[:12, 30:] = 200  # the upper part is strong
    assert canny(grey, aperture)[20:, 29:31].any(1).all()


def test_the_three_channels_are_otsus_split_and_two_apertures():
    found = edges(np.repeat(disc()[..., None], 3, 2))
    assert found.shape == (40, 40, 3)
    assert set(np.unique(found)) == {0, 255}
    assert np.array_equal(found[..., 0] > 0, disc() > 100)
    assert np.array_equal(found[..., 1] > 0, canny(disc(), 3))


def test_a_flat_image_has_no_edges():
    assert edges(np.full((9, 9, 3), 77, np.uint8))[..., 1:].max() == 0
