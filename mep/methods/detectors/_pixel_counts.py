"""What the nine features of `hsv` are made of, as whole numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

BRIGHT = 150  # luma above which a pixel belongs to a bright region, whose outlines are counted
NEIGHBOURS = np.ones((3, 3), dtype=bool)


class PixelCounts(NamedTuple):
    """Of one image of n pixels."""

    n: int
    hsv: NDArray[np.int64]  # (768,) pixels of every hue, of every saturation, of every value
    total: int  # of the Laplacian of the luma over all pixels: four neighbours minus four times the pixel
    squares: int  # of the same
    outlines: int  # outer outlines of 8-connected bright regions, and holes in them


def counts_of(image: Image) -> PixelCounts:
    """Of an RGB image. The border of the Laplacian is mirrored about its pixels."""
    luma = np.asarray(image.convert("L"))
    response = _laplacian(luma).astype(np.float64).ravel()  # sums of whole numbers below 2**53 are exact
    hsv = np.fromiter(image.convert("HSV").histogram(), np.int64, 768)
    return PixelCounts(luma.size, hsv, int(response.sum()), int(response @ response), _n_outlines(luma > BRIGHT))


def _laplacian(luma: NDArray[np.uint8]) -> NDArray[np.int16]:
    """(h, w), from the image in one long row with a mirrored border: twice as fast as row by row."""
    height, width = luma.shape
    across = width + 2
    padded = np.empty((height + 2, across), dtype=np.int16)
    padded[1:-1, 1:-1] = luma
    padded[[0, -1]] = padded[[min(2, height), max(height - 1, 1)]]
    padded[:, [0, -1]] = padded[:, [min(2, width), max(width - 1, 1)]]
    flat, response = padded.ravel(), np.empty((height, across), dtype=np.int16)
    inside = response.ravel()[:-2]  # what runs over the sides lies in the last two columns
    np.add(flat[1 : -2 * across - 1], flat[2 * across + 1 : -1], out=inside)
    inside += flat[across : -across - 2]
    inside += flat[across + 2 : -across]
    inside -= flat[across + 1 : -across - 1] << 2
    return response[:, :width]


def _n_outlines(bright: NDArray[np.bool_]) -> int:
    """Regions and holes are twice the regions minus Euler's characteristic, corners - edges + pixels (Gray 1971).

    Corners and edges are counted on the image in one long row with dark pixels around.
    """
    from scipy import ndimage

    height, width = bright.shape
    across = width + 1
    pixels = np.zeros((height + 2) * across + 1, dtype=bool)
    pixels[across + 1 : -across].reshape(height, across)[:, :width] = bright
    upright, level = pixels[1:] | pixels[:-1], pixels[across:] | pixels[:-across]
    corners = np.count_nonzero(upright[across:] | upright[:-across])
    euler = corners - np.count_nonzero(upright) - np.count_nonzero(level) + np.count_nonzero(pixels)
    return int(2 * ndimage.label(bright, structure=NEIGHBOURS)[1] - euler)
