import numpy as np
import pytest
from PIL import Image

from mep.imaging.pixels import SYMMETRIES, square, symmetry, to_rgb


def test_16_bit_grey_is_scaled_and_never_clipped():
    grey = np.array([[0, 256, 32768, 65535]], dtype=np.uint16)
    assert to_rgb(Image.fromarray(grey))[0, :, 0].tolist() == [0, 1, 128, 255]


def test_every_mode_becomes_three_channels():
    picture = Image.fromarray(np.full((4, 6, 3), 100, dtype=np.uint8))
    for mode in ("L", "RGB", "RGBA", "P", "CMYK", "1", "LA"):
        assert to_rgb(picture.convert(mode)).shape == (4, 6, 3)


def test_transparency_is_laid_over_white():
    clear = Image.new("RGBA", (1, 1), (0, 0, 0, 0))
    assert to_rgb(clear).tolist() == [[[255, 255, 255]]]


def test_exif_rotation_is_applied(tmp_path):
    picture = Image.new("RGB", (8, 4))
    exif = picture.getexif()
    exif[0x0112] = 6  # the camera was turned by 90 degrees
    picture.save(tmp_path / "turned.jpg", exif=exif)
    assert to_rgb(Image.open(tmp_path / "turned.jpg")).shape == (8, 4, 3)


@pytest.mark.parametrize(("height", "width"), [(10, 30), (30, 10), (8, 8), (5, 5)])
def test_a_square_keeps_the_centre_and_has_the_size_that_was_asked(height, width):
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[height // 2 - 1 : height // 2 + 1, width // 2 - 1 : width // 2 + 1] = 255
    result = square(pixels, 8)
    assert result.shape == (8, 8, 3)
    assert result[3:5, 3:5].mean() > result[0].mean()


def test_the_eight_symmetries_differ_and_the_first_changes_nothing():
    pixels = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    turned = [symmetry(pixels, index).tobytes() for index in SYMMETRIES["square"]]
    assert len(set(turned)) == 8
    assert turned[0] == pixels.tobytes()
    assert np.array_equal(symmetry(pixels, 4), pixels[:, ::-1])  # `mirror` exchanges left and right only
