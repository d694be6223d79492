"""Colour and texture statistics; needs no download."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from mep.imaging.pixels import square
from mep.methods.embedders import Embed, Embedder

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZE_PX = 64


class Handcrafted(Embedder):
    """Histograms of hue, saturation and value, local binary patterns at two radii, and oriented gradients.

    78 dimensions. Every histogram sums to one and is square-rooted (Hellinger), so that Euclidean distance compares
    distributions and no block outweighs another. Local binary patterns: Ojala et al. 2002; gradients: Dalal & Triggs
    2005, averaged over the image so that position does not count. The image is resized to 64 pixels first.
    """

    kind: Literal["handcrafted"]

    def load(self, device: str) -> Embed:
        return Embed(
            prepare=lambda images: np.stack([_describe(square(pixels, SIZE_PX)) for pixels in images]),
            forward=lambda described: described,
            about={"size": f"{SIZE_PX}x{SIZE_PX}", "interpolation": "bicubic"},
        )


def _describe(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """float32 (78,) of an RGB image (64, 64, 3)."""
    from skimage.color import rgb2gray, rgb2hsv
    from skimage.feature import hog, local_binary_pattern

    hue, saturation, value = np.moveaxis(rgb2hsv(pixels), 2, 0)
    grey = np.round(rgb2gray(pixels) * 255).astype(np.uint8)
    cells = hog(grey, orientations=9, pixels_per_cell=(8, 8), cells_per_block=(1, 1), feature_vector=False)
    blocks = [
        np.histogram(hue, bins=16, range=(0, 1), weights=saturation)[0],  # grey pixels have no hue to speak of
        np.histogram(saturation, bins=8, range=(0, 1))[0],
        np.histogram(value, bins=8, range=(0, 1))[0],
        np.bincount(local_binary_pattern(grey, 8, 1, "uniform").astype(int).ravel(), minlength=10),
        np.bincount(local_binary_pattern(grey, 16, 2, "uniform").astype(int).ravel(), minlength=18),
        cells.reshape(-1, 9).mean(0),
        cells.reshape(-1, 9).std(0),
    ]
    return np.concatenate([np.sqrt(block / max(block.sum(), 1e-12)) for block in blocks]).astype(np.float32)
